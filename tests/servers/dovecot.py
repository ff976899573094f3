"""A private Dovecot: IMAP (plain, STARTTLS, TLS), LMTP in, submission out, on loopback.

Every setting that differs from Dovecot's default says why; the rest of the reasons are in
https://doc.dovecot.org/2.3/ under the setting's name.
"""

from __future__ import annotations

import imaplib
import os
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from tests.servers.ports import answers, free_ports, is_free, wait_for

PASSWORD = "secret"
MAILBOXES = ("support@shop.example", "contact@shop.example", "alice@customer.example", "bob@customer.example", "agent")
DOMAINS = ("shop.example", "customer.example")

_CONF = """
protocols = imap lmtp submission
base_dir = {dir}/run
state_dir = {dir}/state
instance_name = tresse-{imap}
log_path = {dir}/dovecot.log
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/tls.pem
ssl_key = <{dir}/tls.key
# Loopback only: a test may look at what goes over the wire.
disable_plaintext_auth = no
auth_mechanisms = plain login
# Wrong passwords are tested, and nobody attacks us here: no waiting.
auth_failure_delay = 0
recipient_delimiter = +
lmtp_save_to_detail_mailbox = no
mail_home = {dir}/mail/%u
mail_location = maildir:~/Maildir
mail_uid = nobody
mail_gid = nogroup
# Dovecot refuses system users by default; `nobody` is one.
first_valid_uid = 1
first_valid_gid = 1
mail_privileged_group =
mail_max_userip_connections = 100
postmaster_address = postmaster@shop.example
hostname = localhost
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
submission_relay_trusted = yes
submission_relay_ssl = no
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = passwd-file
  args = {dir}/users
  default_fields = uid=nobody gid=nogroup home={dir}/mail/%u
}}
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
  mailbox Drafts {{
    auto = create
    special_use = \\Drafts
  }}
  mailbox Junk {{
    auto = create
    special_use = \\Junk
  }}
  mailbox Trash {{
    auto = create
    special_use = \\Trash
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
  chroot =
}}
service submission-login {{
  inet_listener submission {{
    port = {submission}
  }}
  chroot =
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  chroot =
  # No listener, no penalty for failed log-ins (it would add seconds to each).
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """One instance; `with Dovecot() as dovecot:` starts and removes it.

    `relay` is the port where its submission service hands mail on: a Postfix takes that one.
    """

    password = PASSWORD
    host = "127.0.0.1"

    def __init__(self) -> None:
        # Not pytest's tmp_path: that is 0700, and Dovecot's own users must get in. Short: the
        # paths of unix sockets end at 108 bytes (unix(7)).
        self.dir = Path(tempfile.mkdtemp(prefix="tresse-dc-"))
        self.dir.chmod(0o755)
        self.imap, self.imaps, self.lmtp, self.submission, self.relay = free_ports(5)
        self.certificate = self.dir / "tls.pem"
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("run", "state", "mail"):
            (self.dir / name).mkdir()
        shutil.chown(self.dir / "mail", "nobody", "nogroup")
        # Made in advance: Dovecot looks at its list of users at most once a second.
        self._spare = {domain: [f"box-{n}@{domain}" for n in range(300)] for domain in DOMAINS}
        users = [*MAILBOXES, *(box for boxes in self._spare.values() for box in boxes)]
        (self.dir / "users").write_text("".join(f"{user}:{{PLAIN}}{PASSWORD}::::::\n" for user in users))
        self._write_certificate()
        values = {k: getattr(self, k) for k in ("dir", "imap", "imaps", "lmtp", "submission", "relay")}
        self.conf = self.dir / "dovecot.conf"
        self.conf.write_text(_CONF.format(**values))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self) -> None:
        """Start, or start again on the same ports and mailboxes."""
        assert self._process is None, "Dovecot runs already"
        assert is_free(self.imap), f"somebody else listens on {self.imap}"
        # -F: without it the process returns before its children listen, and its pid is of no use.
        # A group of its own, for `stop`.
        command = ["dovecot", "-F", "-c", str(self.conf)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(lambda: all(map(answers, (self.imap, self.lmtp, self.submission))), 20, "Dovecot to listen")

    def stop(self) -> None:
        """Stop; mailboxes stay for the next `start`."""
        if self._process:
            self._process.terminate()
            self._process.wait(20)
            # Its children go on serving the clients they have: that would be no outage. Politely
            # first, so that no index is torn.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
                time.sleep(0.2)
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process = None
            wait_for(lambda: is_free(self.imap), 10, "Dovecot to let go of its port")

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Down inside the block, up again after it."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def new_mailbox(self, domain: str = "shop.example") -> str:
        """An empty mailbox that no other test uses."""
        return self._spare[domain].pop(0)

    def add_user(self, user: str, password: str) -> str:
        """A further mailbox; takes a second, until Dovecot looks at its list again."""
        with (self.dir / "users").open("a", encoding="utf-8") as users:
            users.write(f"{user}:{{PLAIN}}{password}::::::\n")
        time.sleep(1.1)
        return user

    def connect(self, user: str) -> imaplib.IMAP4:
        """A second mail client, logged in."""
        client = imaplib.IMAP4("127.0.0.1", self.imap, timeout=20)
        client.login(user, PASSWORD)
        return client

    def append(self, user: str, *mails: bytes, folder: str = "INBOX", flags: str = "") -> None:
        """Put mails into a folder, as a mail client does (no Return-Path is added)."""
        client = self.connect(user)
        for mail in mails:
            status, text = client.append(folder, flags, None, mail)
            assert status == "OK", text
        client.logout()

    def deliver(self, user: str, mail: bytes, sender: str = "alice@customer.example") -> None:
        """Deliver by LMTP, as a mail server does (Return-Path and Delivered-To are added)."""
        with smtplib.LMTP("127.0.0.1", self.lmtp, timeout=20) as lmtp:
            lmtp.sendmail(sender, [user], mail)

    def empty(self, user: str, folder: str = "INBOX") -> None:
        """Remove every mail of a folder."""
        self.doveadm("expunge", "-u", user, "mailbox", folder, "all")

    def messages(self, user: str, folder: str = "INBOX") -> list[bytes]:
        """All mails of a folder, oldest first."""
        return [data for _, data in self._fetch(user, folder, "(BODY.PEEK[])")]

    def flags(self, user: str, folder: str = "INBOX") -> list[str]:
        """The flags of each mail of a folder, oldest first."""
        client = self.connect(user)
        client.select(f'"{folder}"', readonly=True)
        _, lines = client.fetch("1:*", "(FLAGS)")
        client.logout()
        return re.findall(r"FLAGS \(([^)]*)\)", b"\n".join(x for x in lines if isinstance(x, bytes)).decode())

    def _fetch(self, user: str, folder: str, what: str) -> list[tuple[bytes, bytes]]:
        client = self.connect(user)
        status, count = client.select(f'"{folder}"', readonly=True)
        assert status == "OK", count
        _, items = client.fetch("1:*", what) if count != [b"0"] else ("OK", [])
        client.logout()
        return [item for item in items if isinstance(item, tuple)]

    def doveadm(self, *arguments: str) -> str:
        """Run doveadm against this instance."""
        command = ["doveadm", "-c", str(self.conf), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def log(self) -> str:
        path = self.dir / "dovecot.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _write_certificate(self) -> None:
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        key = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(self.dir / "tls.key")]
        command = ["openssl", "req", "-x509", "-days", "30", "-subj", "/CN=localhost", "-addext", names, *key]
        subprocess.run([*command, "-out", str(self.certificate)], check=True, capture_output=True)
