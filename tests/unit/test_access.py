"""Logins, tokens and counted attempts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.sdk import ConfigError
from hub.store import access
from hub.store.people import token
from tests.unit.braid import NOON, open_store

PASSWORD = "a braid of three strands"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    store = open_store(tmp_path)
    with store.write() as connection:
        yield connection
    store.close()


def test_a_password_fits_its_own_hash_only() -> None:
    kept = access.hash_password(PASSWORD)
    assert PASSWORD not in kept
    assert kept.startswith("$argon2id$")
    assert access.password_fits(PASSWORD, kept)
    assert not access.password_fits(PASSWORD + " ", kept)
    assert not access.password_fits(PASSWORD, None)
    assert not access.password_fits(PASSWORD, "not a hash")


def test_a_short_password_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match="at least 12"):
        access.hash_password("short")


def test_a_new_password_ends_the_sessions(connection: Connection) -> None:
    access.add_login(connection, "admin", "hash one", "admin", NOON)
    found = access.find_login(connection, "admin")
    assert found is not None
    person, kept = found
    assert (kept, person.role) == ("hash one", "admin")
    assert access.login_of_session(connection, person.id, person.epoch) == person
    access.add_login(connection, "admin", "hash two", "editor", NOON)
    assert access.login_of_session(connection, person.id, person.epoch) is None
    assert [p.role for p in access.logins(connection)] == ["editor"]


def test_ending_sessions_and_removing_a_login(connection: Connection) -> None:
    access.add_login(connection, "admin", "hash", "admin", NOON)
    (person,) = access.logins(connection)
    access.end_sessions(connection, person.id)
    assert access.login_of_session(connection, person.id, person.epoch) is None
    assert access.remove_login(connection, "admin")
    assert not access.remove_login(connection, "admin")
    assert access.find_login(connection, "admin") is None


@pytest.mark.parametrize(("name", "role"), [("x", "root"), ("", "admin"), ("x" * 81, "admin")])
def test_bad_logins_are_refused(connection: Connection, name: str, role: str) -> None:
    with pytest.raises(ConfigError):
        access.add_login(connection, name, "hash", role, NOON)


def test_a_token_is_kept_as_a_hash_and_found_by_itself_alone(connection: Connection) -> None:
    plain = access.add_token(connection, "reports", ["read"], NOON)
    kept = connection.execute(sa.select(token)).one()
    assert plain not in str(tuple(kept))
    found = access.find_token(connection, plain)
    assert found is not None
    assert (found.name, found.may("read"), found.may("write")) == ("reports", True, False)
    assert access.find_token(connection, plain[:-1]) is None
    assert access.find_token(connection, kept.hash) is None


def test_scopes_include_the_lesser_ones(connection: Connection) -> None:
    found = access.find_token(connection, access.add_token(connection, "x", ["admin"], NOON))
    assert found is not None
    assert all(found.may(scope) for scope in access.SCOPES)
    with pytest.raises(ConfigError):
        access.add_token(connection, "x", ["everything"], NOON)
    with pytest.raises(ConfigError):
        access.add_token(connection, "x", [], NOON)


def test_a_revoked_token_is_no_token(connection: Connection) -> None:
    plain = access.add_token(connection, "x", ["read"], NOON)
    (row,) = access.tokens(connection)
    assert access.revoke_token(connection, row.id, NOON)
    assert not access.revoke_token(connection, row.id, NOON)
    assert access.find_token(connection, plain) is None


def test_a_tokens_use_is_written_now_and_then(connection: Connection) -> None:
    access.add_token(connection, "x", ["read"], NOON)
    (row,) = access.tokens(connection)
    assert access.token_is_stale(connection, row.id, NOON)
    access.touch_token(connection, row.id, NOON)
    assert not access.token_is_stale(connection, row.id, NOON + timedelta(minutes=1))
    assert access.token_is_stale(connection, row.id, NOON + timedelta(minutes=6))


def test_attempts_are_counted_per_key_and_window(connection: Connection) -> None:
    window = timedelta(minutes=15)
    for _ in range(3):
        assert access.attempt(connection, {"a": 3, "b": 100}, NOON, window)
    assert not access.attempt(connection, {"a": 3, "b": 100}, NOON, window)
    assert access.attempt(connection, {"b": 100}, NOON, window)
    assert access.attempt(connection, {"a": 3}, NOON + window, window)
    for _ in range(5):
        access.attempt(connection, {"a": 3}, NOON + window, window)
    access.forgive(connection, ["a"])
    assert access.attempt(connection, {"a": 3}, NOON + window, window)
