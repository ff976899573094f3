"""Secrets at rest: a key file beside the database, Fernet (AES-128-CBC with HMAC-SHA256) around values."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken

from hub.sdk.errors import ConfigError, Unavailable
from hub.store.health import state
from hub.store.notes import get_note, set_note
from hub.store.session import ILL, Store, alone, upsert


def load_key(path: Path) -> bytes:
    """Read the hub's key; make one, readable by the owner alone, where there is none."""
    if not path.exists():
        _make_key(path)
    key = path.read_bytes().strip()
    try:
        Fernet(key)
    except ValueError:
        raise ConfigError(
            f"{path} is no key: restore hub.key from the backup (without one, delete it; stored tokens are then lost)"
        ) from None
    return key


def _make_key(path: Path) -> None:
    """Whole or not at all: a crash in the middle must not leave half a key, nor two processes two."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, name = tempfile.mkstemp(prefix="hub.key.", dir=path.parent)  # readable by the owner alone
    try:
        with os.fdopen(number, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()


def same_key(store: Store, key: bytes, path: Path) -> None:
    """Hosts that share a database share the key. Raises ConfigError where this one's is another."""
    mark = hashlib.sha256(b"tresse/key/" + key).hexdigest()[:16]
    with store.write() as connection:
        alone(connection, "start")
        known = get_note(connection, "hub.key")
        if known is None:
            set_note(connection, "hub.key", mark)
        elif known != mark:
            raise ConfigError(
                f"{path} is not the key this database was begun with: copy hub.key from the first host or a backup"
            )


@contextmanager
def _told_as_unavailable() -> Iterator[None]:
    """A plugin knows the four words, not our database's: else its call would look like a bug, and be set aside.

    "Maybe done": it may have called its far side before it asked us.
    """
    try:
        yield
    except ILL as error:
        raise Unavailable("the hub's own database does not answer", maybe_done=True) from error


class SecretState:
    """`context.state` of one instance: encrypted key-value rows with compare-and-swap."""

    def __init__(self, store: Store, instance: str, key: bytes) -> None:
        self._store, self._instance, self._fernet = store, instance, Fernet(key)

    def _where(self, key: str) -> sa.ColumnElement[bool]:
        return sa.and_(state.c.instance == self._instance, state.c.key == key)

    def _open(self, sealed: bytes | None) -> str | None:
        if sealed is None:
            return None
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise ConfigError(
                f"the stored state of {self._instance} was sealed with another key: restore hub.key from the backup"
            ) from None

    def get(self, key: str) -> str | None:
        with _told_as_unavailable(), self._store.read() as connection:
            return self._open(connection.scalar(sa.select(state.c.value).where(self._where(key))))

    def set(self, key: str, value: str) -> None:
        sealed = self._fernet.encrypt(value.encode())
        with _told_as_unavailable(), self._store.write() as connection:
            insert = upsert(connection, state).values(instance=self._instance, key=key, value=sealed)
            connection.execute(insert.on_conflict_do_update(index_elements=["instance", "key"], set_={"value": sealed}))

    def swap(self, key: str, old: str | None, new: str) -> bool:
        with _told_as_unavailable(), self._store.write() as connection:
            sealed = connection.scalar(sa.select(state.c.value).where(self._where(key)))
            if self._open(sealed) != old:
                return False
            fresh = self._fernet.encrypt(new.encode())
            if sealed is None:
                insert = upsert(connection, state).values(instance=self._instance, key=key, value=fresh)
                return connection.scalar(insert.on_conflict_do_nothing().returning(state.c.key)) is not None
            # No two encryptions of a value are alike: where the bytes still stand, nobody else has written.
            ours = sa.update(state).where(self._where(key), state.c.value == sealed)
            return connection.execute(ours.values(value=fresh)).rowcount == 1
