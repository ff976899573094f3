"""The way out: one mail to one recipient, step by step, so that an error tells whether it may have left."""

from __future__ import annotations

import base64
import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from hub.sdk import AuthError, ConfigError, Rejected, TresseError, Unavailable

from .settings import Login
from .tls import context, tls_error


@contextmanager
def connected(login: Login, hello: str) -> Iterator[smtplib.SMTP]:
    """A connection, logged in where a user is given. `hello` names us in EHLO.

    Raises the sdk's errors, for its block as well.
    """
    with _speaking(login), closing(_open(login, hello)) as smtp:
        smtp.ehlo_or_helo_if_needed()
        if login.security == "starttls":
            if not smtp.has_extn("starttls"):
                raise ConfigError(f"{login.place} offers no STARTTLS", path="smtp.security")
            smtp.starttls(context=context(login))
            smtp.ehlo()
        if login.user:
            _log_in(smtp, login)
        yield smtp
        _say_goodbye(smtp)


def hand_over(login: Login, mail: bytes, sender: str, recipient: str) -> None:
    """Give a mail to the server. Done when it returns.

    Raises Rejected where the server will never take it, Unavailable where it may later;
    `maybe_done` when the answer to the whole mail was lost (RFC 1047: then nobody can know).
    """
    with connected(login, sender.rpartition("@")[2]) as smtp:
        options = []
        if not (recipient.isascii() and sender.isascii()):
            if not smtp.has_extn("smtputf8"):
                raise Rejected(f"{login.place} does not take addresses beyond ASCII (SMTPUTF8)")
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        _expect(login, "MAIL FROM", *smtp.mail(sender, options))
        _expect(login, "RCPT TO", *smtp.rcpt(recipient))
        _expect(login, "DATA", *smtp.docmd("DATA"), wanted=354)
        smtp.send(_dotted(mail))
        try:
            code, words = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            text = f"{login.place} took the mail, and its answer was lost: {error}"
            raise Unavailable(text, maybe_done=True) from error
        _expect(login, "the mail", code, words)


def _open(login: Login, hello: str) -> smtplib.SMTP:
    # local_hostname: without it smtplib asks the DNS for this machine's name, which may take a minute.
    if login.security == "tls":
        return smtplib.SMTP_SSL(login.host, login.port, hello, timeout=login.timeout, context=context(login))
    return smtplib.SMTP(login.host, login.port, hello, timeout=login.timeout)


def _say_goodbye(smtp: smtplib.SMTP) -> None:
    """QUIT, whatever comes back: a mail that was taken stays taken."""
    with suppress(OSError, smtplib.SMTPException):
        assert smtp.sock is not None
        smtp.sock.settimeout(2)
        smtp.quit()


def _log_in(smtp: smtplib.SMTP, login: Login) -> None:
    if not smtp.has_extn("auth"):
        raise ConfigError(f"{login.place} offers no login; smtp.log_in = false, or another port", path="smtp.log_in")
    if "PLAIN" in smtp.esmtp_features["auth"].upper().split():
        # Not smtplib's: that one is ASCII, and RFC 4616 says UTF-8.
        token = base64.b64encode(f"\0{login.user}\0{login.password}".encode()).decode()
        code, words = smtp.docmd("AUTH", f"PLAIN {token}")
        if code not in (235, 503):  # 503: somebody is logged in already
            raise smtplib.SMTPAuthenticationError(code, words)
    else:
        smtp.login(login.user, login.password)


def _dotted(mail: bytes) -> bytes:
    """Lines end with CRLF, leading dots are doubled, and a dot alone ends it (RFC 5321, section 4.5.2)."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", mail)
    lines = re.sub(rb"(?m)^\.", b"..", lines)
    return lines + (b"" if lines.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _expect(login: Login, what: str, code: int, words: bytes, wanted: int = 250) -> None:
    if code == wanted or (wanted == 250 and code == 251):
        return
    raise _refused(login, what, code, words)


def _refused(login: Login, what: str, code: int, words: bytes) -> TresseError:
    text = login.hide(f"{login.place} refused {what}: {code} {words.decode(errors='replace')}")
    if code in (530, 535, 538):  # RFC 4954: it wants a login, or a better one
        return AuthError(text, path="smtp.password")
    return Rejected(text) if 500 <= code < 600 else Unavailable(text)


@contextmanager
def _speaking(login: Login) -> Iterator[None]:
    """Turn what can go wrong on the line into the sdk's words."""
    try:
        yield
    except TresseError:
        raise
    except smtplib.SMTPAuthenticationError as error:
        text = login.hide(f"{login.place} refuses the login of {login.user}: {error.smtp_code} {error.smtp_error!r}")
        # 4xx is the server's own trouble (RFC 4954, section 6), anything else is about us.
        raise (Unavailable(text) if 400 <= error.smtp_code < 500 else AuthError(text, path="smtp.password")) from None
    except ssl.SSLError as error:
        raise tls_error(login, error) from error
    except (OSError, smtplib.SMTPException) as error:
        raise Unavailable(f"{login.place} does not answer as it should: {login.hide(str(error))}") from error
