"""Getting in over IMAP, and what can go wrong on the line, in the sdk's words."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from imapclient.exceptions import CapabilityError, IMAPClientError, LoginError

from hub.sdk import AuthError, ConfigError, TresseError, Unavailable

from .settings import Login
from .tls import context, tls_error
from .wire import Wire

_AWAY = ("[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]", "[CONTACTADMIN]", "TOO MANY")
"""A refused login that is not about the password (RFC 5530, section 3, and Gmail's words)."""


def connect(login: Login) -> Wire:
    """A connection, logged in. Raises imaplib's errors and OSError beside the sdk's."""
    tls = context(login) if login.security != "none" else None
    wire = Wire(login.host, login.port, tls if login.security == "tls" else None, login.timeout)
    try:
        if login.security == "starttls":
            try:
                wire.starttls(tls)
            except CapabilityError as error:
                raise ConfigError(f"{login.place} offers no STARTTLS", path="imap.security") from error
        _log_in(wire, login)
    except BaseException:
        wire.hang_up()
        raise
    return wire


def _log_in(wire: Wire, login: Login) -> None:
    try:
        if login.user.isascii() and login.password.isascii():
            wire.login(login.user, login.password)
        else:
            # LOGIN is ASCII; PLAIN is UTF-8 (RFC 4616).
            wire.sasl_login("PLAIN", lambda _: f"\0{login.user}\0{login.password}".encode())
    except LoginError as error:
        text = login.hide(str(error))
        if any(word in text.upper() for word in _AWAY):
            raise Unavailable(f"{login.place} lets nobody in now: {text}") from None
        raise AuthError(f"{login.place} refuses the login of {login.user}: {text}", path="imap.password") from None


@contextmanager
def speaking(login: Login) -> Iterator[None]:
    """Turn what can go wrong on the line into the sdk's words."""
    try:
        yield
    except TresseError:
        raise
    except ssl.SSLError as error:
        raise tls_error(login, error) from error
    except (OSError, IMAPClientError) as error:
        text = login.hide(str(error)) or type(error).__name__
        raise Unavailable(f"{login.place} does not answer as it should: {text}") from error
