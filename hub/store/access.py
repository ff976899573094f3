"""Who may come in: logins with passwords, tokens with scopes, counted attempts, and the audit log.

Passwords are hashed with argon2id (RFC 9106). A token is 256 random bits, so a plain SHA-256
of it is enough to keep: there is nothing to guess, and a check costs no 50 ms of CPU.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.engine import Connection

from hub.sdk.errors import ConfigError
from hub.store.base import from_ms, to_ms
from hub.store.people import audit, login, throttle, token
from hub.store.session import upsert

ROLES = ("admin", "editor")
SCOPES = ("read", "write", "admin")
"""Each includes the ones before it."""
SHORTEST_PASSWORD = 12
"""Characters; NIST SP 800-63B asks for length, not for strange signs."""

_TOKEN_PREFIX = "tresse_"  # noqa: S105 - lets secret scanners name a leaked token
_USED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Login:
    """A person who may use the admin pages. `epoch` ends all sessions when it is raised."""

    id: int
    name: str
    role: str
    language: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Token:
    """A program that may use the API."""

    id: int
    name: str
    scopes: tuple[str, ...]

    def may(self, scope: str) -> bool:
        """Whether the token's scopes include `scope`: admin includes write, write includes read."""
        return any(SCOPES.index(s) >= SCOPES.index(scope) for s in self.scopes)


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token as a list shows it; the token itself is known to its owner alone."""

    id: int
    name: str
    scopes: str
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


# -- passwords and logins --------------------------------------------------------------------


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys_hash() -> str:
    """Checked for unknown names, so that the time an answer takes does not tell who exists."""
    return _hasher().hash(secrets.token_urlsafe(16))


def hash_password(password: str) -> str:
    """The argon2id hash to keep. Raises ConfigError for a password that is too short."""
    if len(password) < SHORTEST_PASSWORD:
        raise ConfigError(
            f"the password is too short: take at least {SHORTEST_PASSWORD} characters, a sentence is fine"
        )
    return _hasher().hash(password)


def password_fits(password: str, password_hash: str | None) -> bool:
    """Whether `password` belongs to the hash; takes as long when there is none. About 50 ms of CPU."""
    try:
        return _hasher().verify(password_hash or _nobodys_hash(), password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def add_login(connection: Connection, name: str, password_hash: str, role: str, now: datetime) -> None:
    """Add a login, or give an existing one a new password and end its sessions. Raises ConfigError for a bad role."""
    if role not in ROLES:
        raise ConfigError(f'"{role}" is not a role: take one of {", ".join(ROLES)}')
    if not name.strip() or len(name) > 80:
        raise ConfigError("a login's name has 1 to 80 characters")
    values = {"password_hash": password_hash, "role": role}
    insert = upsert(connection, login).values(name=name.strip(), created_at=now, **values)
    changes = {**values, "session_epoch": login.c.session_epoch + 1}
    connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_=changes))


def remove_login(connection: Connection, name: str) -> bool:
    """Remove a login and with it all its sessions; False where there was none."""
    return bool(connection.execute(sa.delete(login).where(login.c.name == name)).rowcount)


def logins(connection: Connection) -> list[Login]:
    """Everybody who may log in, by name."""
    return [_login(row) for row in connection.execute(sa.select(login).order_by(login.c.name))]


def find_login(connection: Connection, name: str) -> tuple[Login, str] | None:
    """The login called `name` with its password's hash, for `password_fits` outside the transaction."""
    row = connection.execute(sa.select(login).where(login.c.name == name)).first()
    return (_login(row), row.password_hash) if row else None


def login_of_session(connection: Connection, login_id: int, epoch: int) -> Login | None:
    """The login of a session, None when its sessions were ended."""
    row = connection.execute(sa.select(login).where(login.c.id == login_id, login.c.session_epoch == epoch)).first()
    return _login(row) if row else None


def end_sessions(connection: Connection, login_id: int) -> None:
    """End every session of a login, on every device."""
    connection.execute(sa.update(login).where(login.c.id == login_id).values(session_epoch=login.c.session_epoch + 1))


def set_language(connection: Connection, login_id: int, language: str) -> None:
    """Remember the language a person reads the pages in."""
    connection.execute(sa.update(login).where(login.c.id == login_id).values(language=language))


def _login(row: sa.Row[tuple[object, ...]]) -> Login:
    return Login(row.id, row.name, row.role, row.language, row.session_epoch)


# -- tokens ----------------------------------------------------------------------------------


def add_token(connection: Connection, name: str, scopes: Iterable[str], now: datetime) -> str:
    """Make a token and return it: it is shown once and kept as a hash only. Raises ConfigError for a bad scope."""
    wanted = tuple(dict.fromkeys(scopes))
    if not wanted or not set(wanted) <= set(SCOPES):
        raise ConfigError(f"a token has one or more of these scopes: {', '.join(SCOPES)}")
    plain = _TOKEN_PREFIX + secrets.token_urlsafe(32)
    connection.execute(sa.insert(token).values(name=name, hash=_hash(plain), scopes=" ".join(wanted), created_at=now))
    return plain


def find_token(connection: Connection, plain: str) -> Token | None:
    """The token `plain`, unless it is unknown or revoked."""
    wanted = _hash(plain)
    row = connection.execute(sa.select(token).where(token.c.hash == wanted, token.c.revoked_at.is_(None))).first()
    if row is None or not hmac.compare_digest(row.hash, wanted):
        return None
    return Token(row.id, row.name, tuple(s for s in row.scopes.split() if s in SCOPES))


def token_is_stale(connection: Connection, token_id: int, now: datetime) -> bool:
    """Whether the token's last use is worth writing down anew; not at every request."""
    used = connection.scalar(sa.select(token.c.used_at).where(token.c.id == token_id))
    return used is None or now - used > _USED_EVERY


def touch_token(connection: Connection, token_id: int, now: datetime) -> None:
    """Write down that the token was used."""
    connection.execute(sa.update(token).where(token.c.id == token_id).values(used_at=now))


def tokens(connection: Connection) -> list[TokenRow]:
    """Every token, the newest first."""
    query = sa.select(token).order_by(token.c.id.desc())
    return [TokenRow(r.id, r.name, r.scopes, r.created_at, r.used_at, r.revoked_at) for r in connection.execute(query)]


def revoke_token(connection: Connection, token_id: int, now: datetime) -> bool:
    """End a token; False where it does not exist or had ended."""
    end = sa.update(token).where(token.c.id == token_id, token.c.revoked_at.is_(None)).values(revoked_at=now)
    return bool(connection.execute(end).rowcount)


def _hash(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()


# -- counted attempts, audit -----------------------------------------------------------------


def attempt(connection: Connection, limits: Mapping[str, int], now: datetime, window: timedelta) -> bool:
    """Count one attempt under each key; False when one of the limits in this window is passed.

    Counted before the attempt is judged, so that a hundred at once are a hundred.
    """
    start = from_ms(to_ms(now) // int(window.total_seconds() * 1000) * int(window.total_seconds() * 1000))
    connection.execute(sa.delete(throttle).where(throttle.c.key.in_(limits), throttle.c.window_at < start))
    fine = True
    for key, limit in limits.items():
        insert = upsert(connection, throttle).values(key=key[:200], window_at=start, count=1)
        more = {"count": throttle.c.count + 1}
        connection.execute(insert.on_conflict_do_update(index_elements=["key", "window_at"], set_=more))
        count = sa.select(throttle.c.count).where(throttle.c.key == key[:200], throttle.c.window_at == start)
        fine = (connection.scalar(count) or 0) <= limit and fine
    return fine


def forgive(connection: Connection, keys: Iterable[str]) -> None:
    """Forget the attempts under `keys`: the right password came."""
    connection.execute(sa.delete(throttle).where(throttle.c.key.in_([k[:200] for k in keys])))


def write_audit(connection: Connection, by: str, act: str, target: str, now: datetime) -> None:
    """Note who did what."""
    connection.execute(sa.insert(audit).values(at=now, by=by[:80], act=act[:80], target=target[:200]))
