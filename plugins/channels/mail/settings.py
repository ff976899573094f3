"""What sections with `use = "mail"` and `use = "maildir"` may say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hub.sdk import Duration, Secret, Settings, Size

Security = Literal["tls", "starttls", "none"]

IMAP_PORTS = {"tls": 993, "starttls": 143, "none": 143}
SMTP_PORTS = {"tls": 465, "starttls": 587, "none": 25}

MAX_SIZE = 25 * 1024**2
"""Bytes: what most mail servers let through at most."""


def _address(text: str) -> str:
    local, at, domain = text.strip().rpartition("@")
    if not (local and at and domain) or any(c.isspace() for c in text.strip()):
        raise ValueError('write an address such as "support@shop.example"')
    try:
        return f"{local}@{domain.encode('idna').decode('ascii').lower()}"
    except UnicodeError:
        raise ValueError(f'"{domain}" is not a domain') from None


def _after(text: str) -> str:
    if text in ("nothing", "seen") or (text.startswith("move:") and text.removeprefix("move:").strip()):
        return text
    raise ValueError('write "nothing", "seen" or "move:Folder"')


def _folder(text: str) -> str:
    # INBOX is the one name without case (RFC 3501, section 5.1); our mark goes by the name.
    return "INBOX" if text.upper() == "INBOX" else text


Address = Annotated[str, AfterValidator(_address)]


@dataclass(frozen=True, slots=True)
class Login:
    """Where and as whom to log in, after all defaults. `table` is where a person would change it."""

    table: str  # imap | smtp
    host: str
    port: int
    security: Security
    user: str
    password: str = field(repr=False)
    timeout: float
    ca_file: Path | None

    @property
    def place(self) -> str:
        """For error sentences."""
        return f"{self.host}:{self.port}"

    def hide(self, text: str) -> str:
        """`text` without the password: servers have been seen to echo what they were sent."""
        return text.replace(self.password, "***") if self.password else text


class _ServerSettings(Settings):
    """What IMAP and SMTP have in common."""

    host: str = Field("", description="The server's name, where it differs from the section's host.")
    port: int = Field(0, description="The port; 0 is the usual one for the chosen security.", ge=0, le=65535)
    user: str = Field("", description="The login name, where it differs from the section's user.")
    password: Secret = Field(Secret(""), description="The password, where it differs from the section's password.")
    timeout: Duration = Field(20.0, description="How long to wait for the server's next word.", gt=0)
    ca_file: Path | None = Field(
        None, description="A PEM file to check the server's certificate with, for a certificate authority of your own."
    )


class ImapSettings(_ServerSettings):
    """The way in."""

    security: Security = Field(
        "tls", description='"tls" from the first byte, "starttls", or "none" (the password travels in clear).'
    )
    folder: Annotated[str, AfterValidator(_folder)] = Field(
        "INBOX", description="The folder to read.", min_length=1, max_length=200
    )
    poll: Duration = Field(60.0, description="How often to look where the server does not call (no IDLE).", ge=1)
    idle: bool = Field(True, description="Let the server call when mail comes (IDLE, RFC 2177), where it offers that.")
    idle_renew: Duration = Field(
        540.0,
        description="Renew IDLE this often: after 29 minutes servers may hang up, many firewalls do so earlier.",
        ge=1,
        le=1740,
    )
    after: Annotated[str, AfterValidator(_after)] = Field(
        "nothing",
        description='What to do with a mail once it is stored: "nothing", "seen" (mark it as read) or "move:Folder".',
    )


class SmtpSettings(_ServerSettings):
    """The way out."""

    security: Security = Field(
        "starttls", description='"tls" from the first byte, "starttls", or "none" (the password travels in clear).'
    )
    log_in: bool = Field(
        True, description="false: hand mail over without a login, to a relay that trusts this machine."
    )
    bounce_tag: bool = Field(
        True,
        description="Send with an envelope sender of its own per message (support+ack-1a2b3c@...), so that a bounce "
        "tells what it belongs to. The mailbox must take plus-addresses; false uses the plain address.",
    )


class MailSettings(Settings):
    """A mailbox: IMAP in, SMTP out. Host, user and password serve both, unless their tables differ."""

    address: Address = Field(description="The mailbox's address: what customers write to, and read as sender.")
    name: str = Field("", description="The name beside the address in what the hub sends; empty is the hub's name.")
    host: str = Field("", description="The mail server's name.")
    user: str = Field("", description="The login name; empty is the address.")
    password: Secret = Field(Secret(""), description="The password.")
    imap: ImapSettings = Field(ImapSettings(), description="The way in.")
    smtp: SmtpSettings = Field(SmtpSettings(), description="The way out.")
    trusted_authservs: tuple[str, ...] = Field(
        (),
        description="Servers of yours whose Authentication-Results header is believed (its first word, the "
        "authserv-id). Only then is a sender's address more than a claim.",
    )
    max_size: Size = Field(
        MAX_SIZE, description="A larger mail is taken in with its headers alone, and marked.", ge=10_000
    )

    @model_validator(mode="after")
    def _somewhere(self) -> MailSettings:
        for table in ("imap", "smtp"):
            if not (getattr(self, table).host or self.host):
                raise ValueError(f'say where the mailbox is: host = "mail.shop.example" (or host in the {table} table)')
        if not (self.imap.password or self.password).get_secret_value():
            raise ValueError('the mailbox needs its password: password = { file = "..." } or { env = "..." }')
        if self.smtp.log_in and not (self.smtp.password or self.password).get_secret_value():
            raise ValueError("sending needs a password as well, or smtp.log_in = false for a relay that trusts you")
        return self

    def imap_login(self) -> Login:
        """How to get in for reading."""
        return self._login("imap", self.imap, self.imap.security, IMAP_PORTS)

    def smtp_login(self) -> Login:
        """How to get in for sending; without a user where no login is wanted."""
        login = self._login("smtp", self.smtp, self.smtp.security, SMTP_PORTS)
        if self.smtp.log_in:
            return login
        return Login("smtp", login.host, login.port, login.security, "", "", login.timeout, login.ca_file)

    def _login(self, table: str, own: _ServerSettings, security: Security, ports: dict[str, int]) -> Login:
        return Login(
            table,
            own.host or self.host,
            own.port or ports[security],
            security,
            own.user or self.user or self.address,
            (own.password or self.password).get_secret_value(),
            own.timeout,
            own.ca_file,
        )


class MaildirSettings(Settings):
    """A Maildir on this machine: read, and given drafts; never sent from."""

    path: Path = Field(description="The Maildir: the directory that holds cur, new and tmp.")
    address: Address = Field(description="The address whose mail lies there.")
    name: str = Field("", description="The name beside the address in drafts; empty is the hub's name.")
    folder: str = Field("", description="A folder of it (Maildir++), such as Archive.2026; empty is the inbox.")
    sent: bool = Field(
        False, description="The folder is where your mail client files what agents send: their answers are read there."
    )
    drafts: str = Field("Drafts", description="The folder that draft replies are written to.", min_length=1)
    poll: Duration = Field(5.0, description="How often to look for new mail.", gt=0)
    trusted_authservs: tuple[str, ...] = Field(
        (),
        description="Servers of yours whose Authentication-Results header is believed (its first word, the "
        "authserv-id). Only then is a sender's address more than a claim.",
    )
    max_size: Size = Field(
        MAX_SIZE, description="A larger mail is taken in with its headers alone, and marked.", ge=10_000
    )
