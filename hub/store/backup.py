"""A backup of the SQLite database, taken while the hub works: one private folder, complete and verified.

The copy is made by SQLite's own backup interface inside one read transaction, so that it is the
database of one moment, however long the copying takes and whatever the hub writes meanwhile.
A folder gets its name when everything in it is verified: what has that name is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from hub.rules.dates import parse_date
from hub.sdk.errors import ConfigError

DATABASE, KEY, MANIFEST = "tresse.db", "hub.key", "manifest.json"
FORMAT = 1
PAGES, PAUSE = 256, 0.002
"""Pages copied in one step (1 MB), and seconds in between for the hub's own reading."""
TABLES = ("customer", "cases", "raw", "message", "delivery", "step")
"""Tables whose rows are counted, so that a person recognises what lies in a backup."""

Progress = Callable[[int, int], None]
"""Told how many pages are copied, and of how many."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself. `files` are sizes and SHA-256 by name; `schema` is the migration it is at."""

    version: str
    schema: str
    taken_at: datetime
    configuration: str
    files: dict[str, dict[str, str | int]]
    counts: dict[str, int] = field(default_factory=dict)


def take(database: Path, key: Path, target: Path, facts: dict[str, str], now: datetime, progress: Progress) -> Path:
    """Write a backup below `target` and return its folder. `facts` are `version` and `configuration`.

    Raises ConfigError with what to do where the disk is too small or the copy is damaged.
    """
    folder = target / f"tresse-{now:%Y%m%d-%H%M%SZ}"
    if folder.exists():
        raise ConfigError(f"there is a backup {folder} already")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    _room(target, database)
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(mode=0o700)
    try:
        _copy_database(database, partial / DATABASE, progress)
        if key.exists():
            copy_private(key, partial / KEY)
        schema, counts = _examined(partial / DATABASE)
        files = {p.name: _facts(p) for p in sorted(partial.iterdir())}
        manifest = Manifest(facts["version"], schema, now, facts["configuration"], files, counts)
        _write_manifest(partial, manifest)
        partial.rename(folder)
        _sync(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder


def read_manifest(folder: Path) -> Manifest:
    """What the backup in `folder` says of itself. Raises ConfigError where there is none, or of another format."""
    try:
        kept = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{folder} is no backup: there is no {MANIFEST} in it") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder / MANIFEST} cannot be read: {error}") from None
    if kept.pop("format", None) != FORMAT:
        raise ConfigError(f"{folder} was written by another version of Tresse, whose format this one does not know")
    taken_at = parse_date(str(kept.pop("taken_at", "")))
    if taken_at is None or not {"version", "schema", "configuration", "files"} <= set(kept):
        raise ConfigError(f"{folder / MANIFEST} is not complete")
    return Manifest(taken_at=taken_at, **kept)


def verify(folder: Path, manifest: Manifest) -> None:
    """Compare every file with the manifest. Raises ConfigError naming the one that differs."""
    if DATABASE not in manifest.files:
        raise ConfigError(f"{folder / MANIFEST} names no database")
    for name, facts in manifest.files.items():
        file = folder / name
        if name not in (DATABASE, KEY) or not file.is_file():
            raise ConfigError(f"{folder} is not complete: {name} is missing")
        if file.stat().st_size != facts["size"] or _hash(file) != facts["sha256"]:
            raise ConfigError(f"{file} is not what the manifest says: it was changed or damaged; take another backup")


def put(
    folder: Path, manifest: Manifest, database: Path, key: Path, stamp: str, prepare: Callable[[Path], None]
) -> list[Path]:
    """Put a verified backup in place; returns the files that were set aside for it.

    `prepare` is given the copy before it has the database's name: no hub can open it without that.
    """
    database.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = database.with_name(f"{database.name}.restoring")
    _remove(fresh)
    try:
        copy_private(folder / DATABASE, fresh)
        prepare(fresh)
        _one_file(fresh)
        _examined(fresh)
        aside = _set_aside(database, stamp)
        if KEY in manifest.files:
            aside += _put_key(folder / KEY, key, stamp)
        for ending in ("-wal", "-shm"):  # the old one's: it would be read into the new one
            Path(f"{database}{ending}").unlink(missing_ok=True)
        fresh.replace(database)
        _sync(database.parent)
    except BaseException:
        _remove(fresh)
        raise
    return aside


def copy_private(source: Path, target: Path) -> None:
    """Copy a file for the hub's own user alone, and wait for the disk."""
    with source.open("rb") as read, _private(target) as written:
        shutil.copyfileobj(read, written, 1024 * 1024)
        written.flush()
        os.fsync(written.fileno())


def expire(target: Path, keep: int) -> list[Path]:
    """Remove the oldest whole backups below `target` so that `keep` are left; returns those that went."""
    whole = sorted(p for p in target.glob("tresse-*Z") if (p / MANIFEST).is_file())
    old = whole[:-keep]
    for folder in old:
        shutil.rmtree(folder)
    return old


def _private(file: Path) -> BinaryIO:
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _room(target: Path, database: Path) -> None:
    files = [p for p in (database, Path(f"{database}-wal")) if p.exists()]
    needed, free = sum(p.stat().st_size for p in files), shutil.disk_usage(target).free
    if free < needed * 1.05:
        raise ConfigError(f"{target} has {free // 2**20} MB left, and the database may need {needed // 2**20} MB")


def _copy_database(database: Path, copy: Path, progress: Progress) -> None:
    with _private(copy):
        pass
    with closing(_connect(database)) as source, closing(_connect(copy)) as target:
        # A read transaction of our own: without it every write of the hub would begin the copy anew.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()

        def step(_status: int, left: int, total: int) -> None:
            progress(total - left, total)
            time.sleep(PAUSE)

        source.backup(target, pages=PAGES, progress=step)
        source.rollback()
    _one_file(copy)
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def _one_file(database: Path) -> None:
    """Without a log beside it, so that the file alone is the database."""
    with closing(_connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _examined(database: Path) -> tuple[str, dict[str, int]]:
    """The schema's revision and the rows of some tables. Raises ConfigError where the file is damaged."""
    with closing(_connect(database)) as connection:
        try:
            found = connection.execute("PRAGMA integrity_check(5)").fetchall()
            schema = str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])
            counts = {t: int(connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0]) for t in TABLES}  # noqa: S608 - our own names
        except (sqlite3.DatabaseError, TypeError) as error:
            raise ConfigError(f"{database} is no database of a hub: {error}") from None
    if found != [("ok",)]:
        raise ConfigError(f"{database} is damaged: {found[0][0]}")
    return schema, counts


def _connect(database: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(database.absolute()))}?mode=rw"  # never makes one
    return sqlite3.connect(uri, uri=True, timeout=30, isolation_level=None)


def _hash(file: Path) -> str:
    with file.open("rb") as read:
        return hashlib.file_digest(read, "sha256").hexdigest()


def _facts(file: Path) -> dict[str, str | int]:
    return {"size": file.stat().st_size, "sha256": _hash(file)}


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    said = {"format": FORMAT, **asdict(manifest), "taken_at": manifest.taken_at.isoformat()}
    with _private(folder / MANIFEST) as file:
        file.write((json.dumps(said, indent=2, ensure_ascii=False) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)


def _set_aside(file: Path, stamp: str) -> list[Path]:
    """Give a database a second name, its log with it, so that it opens under that one."""
    if not file.exists():
        return []
    aside = file.with_name(f"{file.name}.before-{stamp}")
    for ending in ("", "-wal"):
        if Path(f"{file}{ending}").exists():
            _second_name(Path(f"{file}{ending}"), Path(f"{aside}{ending}"))
    return [aside]


def _put_key(source: Path, key: Path, stamp: str) -> list[Path]:
    aside: list[Path] = []
    if key.exists():
        if key.read_bytes() == source.read_bytes():
            return []
        aside = [key.with_name(f"{key.name}.before-{stamp}")]
        _second_name(key, aside[0])
    fresh = key.with_name(f"{key.name}.restoring")
    fresh.unlink(missing_ok=True)
    copy_private(source, fresh)
    fresh.replace(key)
    return aside


def _second_name(file: Path, other: Path) -> None:
    try:
        os.link(file, other)
    except OSError:  # a file system without links
        copy_private(file, other)


def _remove(database: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        Path(f"{database}{ending}").unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """The names in a folder reach the disk as well."""
    with suppress(OSError):  # some file systems have no such thing
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
