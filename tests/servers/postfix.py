"""A private Postfix: shop.example and customer.example go by LMTP into a Dovecot, the rest into a sink."""

from __future__ import annotations

import email
import email.policy
import shutil
import smtplib
import subprocess
import tempfile
from email.utils import getaddresses
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller

from tests.servers.dovecot import Dovecot
from tests.servers.ports import answers, free_ports, is_free, wait_for

_MAIN = """
compatibility_level = 3.6
maillog_file = {dir}/mail.log
maillog_file_prefixes = /tmp, /var
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.shop.example
mydomain = shop.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
local_recipient_maps =
alias_maps =
alias_database =
virtual_mailbox_domains = shop.example, customer.example
virtual_mailbox_maps = regexp:{dir}/etc/boxes
smtpd_recipient_restrictions = check_recipient_access regexp:{dir}/etc/access, permit_mynetworks, reject
header_checks = regexp:{dir}/etc/headers
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
default_transport = smtp:[127.0.0.1]:{sink}
relay_transport = smtp:[127.0.0.1]:{sink}
disable_dns_lookups = yes
smtputf8_enable = yes
recipient_delimiter = +
biff = no
# A real one waits minutes before it tries again; a test that stops Dovecot has seconds.
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
smtpd_tls_cert_file = {dovecot}/tls.pem
smtpd_tls_key_file = {dovecot}/tls.key
smtpd_tls_security_level = may
"""

_BOXES = "!/^nobody/ known\n"
"""Whom Postfix takes for known: everybody but nobody@ (550 at RCPT). Those whom Dovecot does not
know bounce after they were accepted, as on a real relay."""
_ACCESS = "/^later/ 450 4.2.0 Try again later\n"
_HEADERS = "/^Subject: .*REFUSE THIS/ REJECT this content is not wanted\n"

# No chroot (the fifth column): our directories hold no copies of the system's files.
_MASTER = """
127.0.0.1:{smtp} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 1 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


class Sink:
    """Takes every mail that leaves our two domains; `mails` keeps (sender, recipients, bytes)."""

    def __init__(self, port: int) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=port)

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 taken"


class Postfix:
    """One instance before the given Dovecot; `etc` is what `sendmail -C` wants."""

    host = "127.0.0.1"

    def __init__(self, dovecot: Dovecot) -> None:
        self.dovecot = dovecot
        self.dir = Path(tempfile.mkdtemp(prefix="tresse-pf-"))
        self.dir.chmod(0o755)
        self.smtp = dovecot.relay  # Dovecot's submission service hands mail on to us
        self.sink = Sink(free_ports(1)[0])
        self.etc = self.dir / "etc"
        self._process: subprocess.Popen[bytes] | None = None
        for name in ("etc", "spool", "data"):
            (self.dir / name).mkdir()
        shutil.chown(self.dir / "data", "postfix")
        values = {"dir": self.dir, "dovecot": dovecot.dir, "lmtp": dovecot.lmtp, "smtp": self.smtp}
        values["sink"] = self.sink._controller.port
        files = {"main.cf": _MAIN.format(**values), "master.cf": _MASTER.format(**values)}
        for name, text in {**files, "boxes": _BOXES, "access": _ACCESS, "headers": _HEADERS}.items():
            (self.etc / name).write_text(text)
        # `check` makes the queue's directories with the owners Postfix insists on.
        subprocess.run(["postfix", "-c", self.etc, "check"], check=True, capture_output=True)

    def __enter__(self) -> Self:
        self.sink.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.sink.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self) -> None:
        """Start, or start again with the same port and queue."""
        assert self._process is None, "Postfix runs already"
        # An old master that kept the port would let tests pass against yesterday's instance.
        assert is_free(self.smtp), f"somebody else listens on {self.smtp}"
        # The master itself, in its own process group and in the foreground: SIGTERM ends its children too.
        command = ["/usr/lib/postfix/sbin/master", "-c", str(self.etc), "-s"]
        out = (self.dir / "master.out").open("ab")
        with out:
            self._process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        wait_for(lambda: answers(self.smtp), 20, "Postfix to listen")

    def stop(self) -> None:
        """Stop; the queue stays for the next `start`."""
        if self._process:
            self._process.terminate()
            self._process.wait(20)
            self._process = None
            wait_for(lambda: is_free(self.smtp), 10, "Postfix to let go of its port")

    def send(self, mail: bytes, sender: str | None = None, to: list[str] | None = None) -> None:
        """Hand in a mail; the envelope is taken from From and To where not given."""
        headers = email.message_from_bytes(mail, policy=email.policy.compat32)
        sender = sender if sender is not None else getaddresses([headers.get("From", "")])[0][1]
        to = to or [address for _, address in getaddresses(headers.get_all("To", []))]
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=20) as smtp:
            smtp.sendmail(sender, to, mail)

    def deliver(self, mail: bytes, user: str, seconds: float = 10) -> None:
        """Send to one of our mailboxes and wait until it lies there."""
        before = len(self.dovecot.messages(user))
        self.send(mail, to=[user])
        wait_for(lambda: len(self.dovecot.messages(user)) > before, seconds, f"a mail to reach {user}")

    def settle(self, seconds: float = 10) -> None:
        """Wait until everything in the queue has gone where it goes."""
        wait_for(lambda: not self.queue(), seconds, "Postfix's queue to empty")

    def queue(self) -> list[Path]:
        """The mails that wait."""
        folders = (self.dir / "spool" / name for name in ("maildrop", "incoming", "active", "deferred", "hold"))
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    def log(self) -> str:
        path = self.dir / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""
