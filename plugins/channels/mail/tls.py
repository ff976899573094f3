"""TLS towards mail servers: certificates are always checked, and a refusal says what to do."""

from __future__ import annotations

import ssl

from hub.sdk import ConfigError, TresseError, Unavailable

from .settings import Login

_NOT_TLS = ("WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def context(login: Login) -> ssl.SSLContext:
    """The system's authorities, or the configured one. Raises ConfigError for an unreadable file."""
    try:
        return ssl.create_default_context(cafile=str(login.ca_file) if login.ca_file else None)
    except OSError as error:
        raise ConfigError(f"cannot read {login.ca_file}: {error}", path=f"{login.table}.ca_file") from error


def tls_error(login: Login, error: ssl.SSLError) -> TresseError:
    """What an error of TLS means for the person who configured it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"the certificate of {login.place} is not trusted: {error.verify_message}"
        return ConfigError(
            f"{text}; mend it there, or name your own authority in ca_file", path=f"{login.table}.ca_file"
        )
    if error.reason in _NOT_TLS:
        text = f"{login.place} does not speak TLS there; another port, or another security?"
        return ConfigError(text, path=f"{login.table}.security")
    return Unavailable(f"TLS with {login.place} failed: {error.reason or error}")
