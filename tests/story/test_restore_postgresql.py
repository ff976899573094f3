"""A restore by PostgreSQL's own tools, with the commands that the hub prints; then the hub's guard."""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import timedelta

import pytest
import sqlalchemy as sa

from hub.cli import main
from hub.store.cases import case, delivery
from tests.world import CONFIG, World

servers = pytest.importorskip("tests.servers.postgres")
pytestmark = pytest.mark.server


@pytest.fixture
def world(tmp_path, postgres, monkeypatch):
    config = CONFIG + f'\n[database]\nurl = "{postgres.new_database()}"\n'
    made = World(tmp_path, config)
    monkeypatch.setenv("TRESSE_CONFIG", str(made.file))
    yield made
    made.hub.stop()


@pytest.fixture
def tresse(capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def printed(said: str, folder) -> None:
    """Do what the hub tells a person to do."""
    command = re.search(r"(?:umask 077; )?pg_\w+ --.*", said)
    assert command is not None, said
    path = f"{servers.binaries()}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command[0]], cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_guard_holds_after_pg_restore(world, tresse, tmp_path):
    world.mail(text="avant", id="<a@x>")
    world.go(6)
    code, _, said = tresse("backup")
    assert code == 1
    printed(said, tmp_path)
    assert (tmp_path / "tresse.dump").stat().st_mode & 0o777 == 0o600
    world.clock.at += timedelta(minutes=5)
    world.mail(text="pendant", id="<b@x>")
    world.go(6)
    assert len(world.far.sent) == 2
    code, _, said = tresse("restore", "--mark")
    assert code == 1, "a hub works on it"
    assert "stop" in said

    world.hub.stop()
    _, _, said = tresse("restore", str(tmp_path))
    printed(said, tmp_path)
    code, out, said = tresse("restore", "--mark", "--json")
    assert code == 0, said
    assert json.loads(out)["marked"]["numbers"] >= 1000
    world.hub = world._open()
    world.go(10)
    assert len(world.far.sent) == 2
    with world.hub.store.read() as connection:
        states = connection.execute(sa.select(delivery.c.state).where(delivery.c.ability == "send")).scalars().all()
        numbers = connection.execute(sa.select(case.c.number).order_by(case.c.id)).scalars().all()
    assert sorted(states) == ["done", "unsure"]
    assert len(numbers) == 2
    assert int(numbers[1][-6:]) - int(numbers[0][-6:]) > 1000
