"""A disk that fills up under the real daemon: nothing is promised that is not kept, and it heals by itself."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.running import Running, check_everything
from tests.servers.ports import wait_for

MB = 1024**2
SIZE = 24 * MB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, small enough to fill."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SIZE}", "tresse-test", str(place)]
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path, leave: int) -> Path:
    """A ballast that leaves so many bytes free."""
    ballast = place / "ballast"
    room = shutil.disk_usage(place).free - leave
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room)
    return ballast


def numbered(word: str, count: int) -> list[str]:
    return [f"{word}{n:04}" for n in range(count)]


def pushed_into(hub: Running, word: str) -> tuple[set[str], set[str]]:
    """Push until pushes are refused, and some more. Returns what was acknowledged and what was not."""
    told: dict[str, int] = {}
    for turn in range(100):
        told |= hub.push(numbered(f"{word}{turn:02}-", 20), 16_000)
        if list(told.values()).count(503) >= 40:
            break
    # The engine fills the disk as well: it may be full before the first of these.
    assert 503 in told.values()
    assert set(told.values()) <= {202, 503}
    return {k for k, s in told.items() if s == 202}, {k for k, s in told.items() if s == 503}


def heals(hub: Running) -> None:
    wait_for(lambda: hub.push(["probe"])["probe"] == 202, 20, "pushes to be taken again")


def test_a_disk_that_is_really_full(tmp_path: Path, disk: Path) -> None:
    hub = Running(tmp_path, disk / "var", keep_free="0B")
    hub.start()
    try:
        before = set(numbered("before", 20))
        assert set(hub.push(sorted(before)).values()) == {202}
        ballast = fill(disk, MB)
        taken, refused = pushed_into(hub, "full")
        assert shutil.disk_usage(disk).free < MB
        hub.mail(numbered("mail", 20))
        time.sleep(3)  # it polls, reads, plans and sends into the full disk meanwhile
        assert hub.alive()
        assert hub.get("/healthz") == 200
        assert set(hub.push(numbered("full-again", 8), 100_000).values()) == {503}
        ballast.unlink()
        heals(hub)
        again = hub.push(sorted(refused | taken), 16_000)  # senders that were refused, and some that need not
        assert set(again.values()) == {202}
        every = before | taken | refused | {"probe"} | set(numbered("mail", 20))
        wait_for(lambda: set(numbered("mail", 20)) <= set(hub.keys()), 30, "the mail to come in")
        check_everything(hub, every)
    finally:
        hub.stop()
    told = hub.log()
    assert told.count("the database does not answer") == told.count("the database answers again")
    assert 1 <= told.count("the database does not answer") <= 5
    assert len(told.splitlines()) < 50, told[-3000:]
    assert "Traceback" not in told


def test_files_that_cannot_grow(tmp_path: Path) -> None:
    """The same without root: the kernel refuses the hub's files every further byte (SQLite: disk I/O error)."""
    hub = Running(tmp_path, tmp_path / "var", keep_free="0B")
    hub.start()
    assert hub.process is not None
    limits = resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE)
    try:
        taken = {k for k, s in hub.push(numbered("before", 50)).items() if s == 202}
        largest = max(file.stat().st_size for file in hub.data.iterdir())
        resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, (largest + 256 * 1024, limits[1]))
        more, refused = pushed_into(hub, "full")
        hub.mail(numbered("mail", 20))
        time.sleep(2)
        assert hub.alive()
        resource.prlimit(hub.process.pid, resource.RLIMIT_FSIZE, limits)
        heals(hub)
        assert set(hub.push(sorted(refused), 16_000).values()) == {202}
        wait_for(lambda: set(numbered("mail", 20)) <= set(hub.keys()), 30, "the mail to come in")
        check_everything(hub, taken | more | refused | {"probe"} | set(numbered("mail", 20)))
    finally:
        hub.stop()


def test_intake_stops_before_the_disk_is_full(tmp_path: Path, disk: Path) -> None:
    hub = Running(tmp_path, disk / "var", keep_free="6MB")
    hub.start()
    try:
        before = set(numbered("before", 50))
        assert set(hub.push(sorted(before)).values()) == {202}
        ballast = fill(disk, 5 * MB)
        wait_for(lambda: hub.push(["late"])["late"] == 503, 10, "the hub to look at the disk")
        before |= {"late"} & set(hub.keys())  # an answer of the disk holds for a second
        hub.mail(numbered("mail", 20))
        assert set(hub.push(numbered("more", 50)).values()) == {503}
        wait_for(lambda: open_alerts(hub) == [("disk",)], 10, "the alert")
        wait_for(hub.worked_off, 30, "what was received to be worked off")
        assert set(hub.keys()) == before
        assert len(hub.sent()) == len(before)
        ballast.unlink()
        heals(hub)
        wait_for(lambda: open_alerts(hub) == [], 10, "the alert to close")
        wait_for(lambda: set(numbered("mail", 20)) <= set(hub.keys()), 30, "the mail to come in")
        check_everything(hub, before | {"probe"} | set(numbered("mail", 20)))
    finally:
        hub.stop()
    assert hub.log().count("the disk is nearly full") == 1
    assert hub.log().count("there is room on the disk again") == 1
    assert "could not" not in hub.log()


def open_alerts(hub: Running) -> list[tuple[str]]:
    return hub.ask("SELECT key FROM alert WHERE closed_at IS NULL")
