"""Backups taken while the hub works, and the commands that take and restore them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from datetime import timedelta

import pytest

from hub.cli import main
from hub.sdk import ConfigError
from hub.store import backup
from hub.store.cases import case
from tests.unit.test_restored import copy_of, rows, world
from tests.world import World

__all__ = ["world"]


def test_a_backup_under_writes_is_one_moment(world):
    """A writer that never rests: the copy ends all the same, and holds whole transactions only."""
    database = world.folder / "var" / "tresse.db"
    stop, written = threading.Event(), threading.Event()

    def write() -> None:
        connection = sqlite3.connect(database, timeout=30)
        connection.execute("CREATE TABLE a(n)")
        connection.execute("CREATE TABLE b(n, filler)")
        while not stop.is_set():
            with connection:
                connection.execute("INSERT INTO a SELECT count(*) FROM a")
                connection.execute("INSERT INTO b SELECT count(*), zeroblob(20000) FROM b")
            written.set()
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    written.wait(10)
    try:
        seen: list[tuple[int, int]] = []
        folder = backup.take(
            database, database.with_name("hub.key"), world.folder / "b", {"version": "1", "configuration": ""},
            world.clock.now(), lambda done, total: seen.append((done, total)),
        )  # fmt: skip
    finally:
        stop.set()
        writer.join(10)
    copy = sqlite3.connect(folder / "tresse.db")
    a, b = (copy.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in "ab")
    copy.close()
    assert a == b > 0
    assert seen[-1][0] == seen[-1][1]


def test_a_backup_is_private_and_complete(world):
    folder = copy_of(world)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir()} == {
        "tresse.db": 0o600, "hub.key": 0o600, "manifest.json": 0o600,
    }  # fmt: skip
    assert backup.read_manifest(folder).schema


def test_no_half_of_a_backup_is_left(world, monkeypatch):
    monkeypatch.setattr(backup, "_examined", lambda _f: (_ for _ in ()).throw(ConfigError("damaged")))
    with pytest.raises(ConfigError):
        copy_of(world)
    assert list((world.folder / "backups").iterdir()) == []


@pytest.mark.parametrize("name", ["tresse.db", "hub.key"])
def test_a_changed_backup_is_refused(world, name):
    folder = copy_of(world)
    with (folder / name).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")
    with pytest.raises(ConfigError, match="not what the manifest says"):
        backup.verify(folder, backup.read_manifest(folder))
    (folder / name).unlink()
    with pytest.raises(ConfigError, match="missing"):
        backup.verify(folder, backup.read_manifest(folder))


def test_only_the_newest_are_kept(world):
    for _ in range(3):
        copy_of(world)
        world.clock.at += timedelta(seconds=1)
    assert len(backup.expire(world.folder / "backups", 2)) == 1
    assert len(list((world.folder / "backups").iterdir())) == 2


# -- the commands ---------------------------------------------------------------------------------


@pytest.fixture
def tresse(world, capsys, monkeypatch):
    monkeypatch.setenv("TRESSE_CONFIG", str(world.file))

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()  # the log's lines, which a test's hub prints as well
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def end(world: World) -> None:
    world.hub.store.close()
    world.hub._lock.release()


def test_there_and_back_by_command(world, tresse):
    world.mail(text="bonjour")
    world.go(6)
    code, out, _ = tresse("backup", "--json")
    assert code == 0
    folder = json.loads(out)["backup"]
    code, _, err = tresse("restore", folder)
    assert code == 1
    assert "another hub" in err
    end(world)
    code, _, err = tresse("restore", folder)
    assert code == 1
    assert "--force" in err
    code, out, _ = tresse("restore", folder, "--force", "--json")
    assert code == 0
    done = json.loads(out)
    assert done["minutes_at_risk"] < 1
    (aside,) = done["aside"]
    old = sqlite3.connect(aside)
    assert old.execute("SELECT count(*) FROM cases").fetchone() == (1,)
    old.close()
    world.hub = world._open()
    assert len(rows(world, case)) == 1


def test_what_a_person_is_told(world, tresse):
    code, out, _ = tresse("backup", str(world.folder / "elsewhere"), "--keep", "1")
    assert code == 0
    assert "verified" in out
    (folder,) = (world.folder / "elsewhere").iterdir()
    end(world)
    code, out, _ = tresse("restore", str(folder), "--force", "--stopped", "2026-11-23T10:00")
    assert code == 0
    assert "at risk" in out
    assert "unsure" in out
    world.hub = world._open()


def test_a_backup_of_a_newer_hub_is_refused_before_anything_is_touched(world, tresse):
    end(world)
    data = world.folder / "var"
    with sqlite3.connect(data / "tresse.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    folder = copy_of(world)
    before = sorted(p.name for p in data.iterdir())
    code, _, err = tresse("restore", str(folder), "--force")
    assert code == 1
    assert "9999" in err
    assert sorted(p.name for p in data.iterdir()) == before
    shutil.rmtree(data)
    world.hub = world._open()


def test_a_restore_by_other_means_puts_up_the_same_guard(world, tresse):
    code, _, err = tresse("restore", "--mark")
    assert code == 1
    assert "another hub" in err
    end(world)
    code, out, _ = tresse("restore", "--mark", "--json")
    assert code == 0
    assert json.loads(out)["marked"]["numbers"] >= 1000
    world.hub = world._open()
    assert world.hub.parts.restored is not None


@pytest.mark.parametrize("command", [["backup"], ["restore", "."]])
def test_postgresql_is_left_to_its_own_tools(world, tresse, command):
    text = '[database]\nurl = "postgresql+psycopg://hub:geheim@db.example:5433/tresse"\n'
    world.file.write_text(text + world.file.read_text("utf-8"), "utf-8")
    code, _, err = tresse(*command)
    assert code == 1
    assert '"postgresql://hub@db.example:5433/tresse"' in err
    assert "geheim" not in err
    assert "pg_" in err
