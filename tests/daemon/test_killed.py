"""Killed while it takes in: what was answered 2xx is there, exactly once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.daemon.running import ROOT, Running, check_everything


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.campaign)])
@pytest.mark.timeout(600)
def test_what_was_acknowledged_outlives_kill_9(tmp_path: Path, kills: int) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    hub, told = Running(tmp_path, tmp_path / "var"), tmp_path / "told"
    for life in range(kills):
        hub.start()
        with load(hub, told, f"life{life}-") as loader:
            time.sleep(chance.uniform(0.3, 1.5))
            hub.kill()
            figures = json.loads(loader.communicate(timeout=30)[0])
        assert figures["broken"]  # it was killed under load, not beside it
        print(f"life {life}: {figures['answered']} acknowledged")
    acknowledged = told.read_text().split()
    hub.start()
    try:
        again = hub.push(acknowledged[-20:])  # a sender that missed the answer comes again
        assert set(again.values()) == {202}
        kept = hub.keys()
        if kills > 2:  # half a minute for each thousand
            check_everything(hub, set(kept))
    finally:
        hub.stop()
    assert len(acknowledged) == len(set(acknowledged)) > 20 * kills
    assert [key for key in acknowledged if kept[key] != 1] == []
    # Beside these there are only those whose answer the kill cut off; each once, too.
    assert set(kept.values()) == {1}
    assert len(kept) - len(acknowledged) <= kills * 16


def load(hub: Running, told: Path, prefix: str) -> subprocess.Popen[bytes]:
    """Sixteen connections that push until the hub is gone."""
    given = ["--port", str(hub.port), "--connections", "16", "--seconds", "30", "--prefix", prefix, "--keys", str(told)]
    command = [sys.executable, "-m", "bench.load", "--shape", "plain", *given]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
