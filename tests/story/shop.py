"""A shop with everything the story needs: mailboxes, a desk, and a hub that can be killed.

What a test counts, it counts in Alice's mailbox and in the desk, not in the hub's tables.
"""

from __future__ import annotations

import email
import email.policy
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage, Message
from pathlib import Path
from typing import Any, TypeVar

import requests

from tests.servers.dovecot import PASSWORD, Dovecot
from tests.servers.ports import free_ports
from tests.servers.postfix import Postfix
from tests.servers.rt import RequestTracker

T = TypeVar("T")
TRESSE = Path(sys.executable).with_name("tresse")
ALICE = "alice@customer.example"
SUPPORT, CONTACT = "support@shop.example", "contact@shop.example"

CONFIG = """
[hub]
name = "Maison Lavande"
data = "var"
address = "http://127.0.0.1:{web}"
languages = ["fr", "en", "es"]
country = "FR"
order_patterns = ['CMD-\\d{{4}}-\\d{{4}}']

[web]
listen = "127.0.0.1:{web}"

[log]
format = "json"

[acknowledge]
per_sender_day = 1000

[answers]
file = "answers.csv"

[channels.support]
use = "mail"
address = "support@shop.example"
imap = {{ host = "127.0.0.1", port = {imap}, security = "none", user = "support@shop.example", password = {{ file = "mail.secret" }}, poll = "2s" }}
smtp = {{ host = "127.0.0.1", port = {smtp}, security = "none", log_in = false }}

[channels.contact]
use = "mail"
address = "contact@shop.example"
imap = {{ host = "127.0.0.1", port = {imap}, security = "none", user = "contact@shop.example", password = {{ env = "CONTACT_PASSWORD" }}, poll = "2s" }}
smtp = {{ host = "127.0.0.1", port = {smtp}, security = "none", log_in = false }}

[channels.website]
use = "form"
minimum_fill = "0s"
rate = 1000

[crm.rt]
use = "request_tracker"
url = "{rt}"
token = {{ file = "rt.secret" }}
queue = "Support"
interval = "1s"
language = "fr"

[crm.rt.fields]
case = "Case"
order = "Order"
order_state = "Order State"
sender = "Sender"
language = "Language"
customer = "Customer"
segment = "Segment"
earlier_cases = "Earlier Cases"
timeline = "Timeline"
answers = "Answers"

[crm.files]
use = "csv"
customers = "customers.csv"
orders = "orders.csv"

[cti.phones]
use = "push"
token = {{ file = "cti.secret" }}

[matchers.answers]
use = "whoosh"
"""

ANSWERS = """ref,title,language,text,phrasings
retard,Où est ma commande ?,fr,"Votre commande a été remise au transporteur. Vous la recevrez sous trois jours ouvrés et pouvez la suivre avec le lien reçu par e-mail.",Je n'ai toujours pas reçu mon colis
retour,Comment retourner un article ?,fr,"Vous disposez de trente jours pour nous renvoyer un article. Glissez le bon de retour dans le colis et déposez-le dans un point relais.",Je veux renvoyer un produit
remboursement,Quand serai-je remboursé ?,fr,"Le remboursement est effectué sous cinq jours ouvrés après réception de votre retour, par le moyen de paiement utilisé.",
adresse,Puis-je changer mon adresse de livraison ?,fr,"Tant que la commande n'est pas expédiée, vous pouvez changer l'adresse de livraison dans votre compte.",
facture,Où trouver ma facture ?,fr,"Votre facture se trouve dans votre compte, à la page Mes commandes.",
"""
CUSTOMERS = """id,name,email,phone,segment,language
C-12,Alice Martin,alice@customer.example,06 12 34 56 78,fidèle,fr
C-13,Bob Durand,bob@customer.example,06 98 76 54 32,nouveau,fr
"""
ORDERS = """number,email,state,placed_at
CMD-2026-0042,alice@customer.example,expédiée,2026-11-18
CMD-2026-0043,bob@customer.example,préparée,2026-11-20
"""
CTI_TOKEN = "phones-token-of-the-story-1234"


def eventually(look: Callable[[], T], seconds: float, what: str) -> T:
    """Look until something true comes back. The last thing seen is in the failure."""
    end, last, error = time.monotonic() + seconds, None, None
    while time.monotonic() < end:
        try:
            last, error = look(), None
            if last:
                return last
        except (AssertionError, LookupError, requests.RequestException) as problem:
            error = problem
        time.sleep(0.15)
    raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {error or last!r}")


class Shop:
    """The servers and the hub of one story."""

    command: tuple[str, ...] = (str(TRESSE),)

    def __init__(self, folder: Path, dovecot: Dovecot, postfix: Postfix, rt: RequestTracker) -> None:
        self.folder, self.dovecot, self.postfix, self.rt = folder, dovecot, postfix, rt
        self.web = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.web}"
        self.config = folder / "hub.toml"
        self._hub: subprocess.Popen[bytes] | None = None
        self._files()
        self._token = ""

    def _files(self) -> None:
        values = {"web": self.web, "imap": self.dovecot.imap, "smtp": self.postfix.smtp, "rt": self.rt.url}
        self.config.write_text(CONFIG.format(**values), "utf-8")
        texts = {"answers.csv": ANSWERS, "customers.csv": CUSTOMERS, "orders.csv": ORDERS}
        for name, text in texts.items():
            (self.folder / name).write_text(text, "utf-8")
        for name, secret in {"mail": PASSWORD, "rt": self.rt.token, "cti": CTI_TOKEN}.items():
            file = self.folder / f"{name}.secret"
            file.write_text(secret)
            file.chmod(0o600)

    # -- the hub

    @property
    def environment(self) -> dict[str, str]:
        """What the hub's processes are started with: the configuration is named here."""
        return {**os.environ, "CONTACT_PASSWORD": PASSWORD, "TRESSE_CONFIG": str(self.config)}

    def start(self) -> None:
        """Start the daemon and wait until it is ready."""
        assert self._hub is None
        with (self.folder / "hub.log").open("ab") as log:
            self._hub = subprocess.Popen([*self.command, "run"], stdout=log, stderr=log, env=self.environment)
        eventually(lambda: requests.get(f"{self.url}/readyz", timeout=2).ok, 30, f"the hub to be ready\n{self.log()}")

    def kill(self) -> None:
        """As the power would."""
        assert self._hub is not None
        self._hub.send_signal(signal.SIGKILL)
        self._hub.wait(10)
        self._hub = None

    def stop(self) -> float:
        """SIGTERM; returns the seconds it took."""
        if self._hub is None:
            return 0.0
        began = time.monotonic()
        self._hub.terminate()
        self._hub.wait(15)
        self._hub = None
        return time.monotonic() - began

    def log(self) -> str:
        file = self.folder / "hub.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def tell(self, *arguments: str, check: bool = True) -> str:
        """Run a command of the hub beside the daemon."""
        command = [str(TRESSE), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=120, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def api(self, path: str, **query: str) -> Any:
        """A GET on the hub's API."""
        if not self._token:
            self._token = json.loads(self.tell("token", "add", "story", "--scope", "read", "--json"))["token"]
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = requests.get(f"{self.url}/api/v1/{path}", params=query, headers=headers, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    # -- what people do

    def write(
        self, text: str, subject: str, to: str = SUPPORT, answer_to: Message | None = None, sender: str = ALICE
    ) -> str:
        """A customer sends a mail through Postfix; returns its Message-ID."""
        mail = EmailMessage(policy=email.policy.SMTP)
        mail["From"] = f"Alice Martin <{sender}>"
        mail["To"] = to
        mail["Subject"] = subject
        mail["Date"] = email.utils.format_datetime(email.utils.localtime())
        mail["Message-ID"] = email.utils.make_msgid(domain="customer.example")
        if answer_to is not None:
            mail["In-Reply-To"] = answer_to["Message-ID"]
            mail["References"] = f"{answer_to.get('References', '')} {answer_to['Message-ID']}".strip()
        mail.set_content(text)
        self.postfix.send(mail.as_bytes())
        return str(mail["Message-ID"])

    def fill_form(self, **fields: str) -> requests.Response:
        """Somebody uses the web form (JSON, as a shop's own page would)."""
        return requests.post(f"{self.url}/in/website", json=fields, timeout=20)

    def call(self, event: str, **fields: str) -> requests.Response:
        """The phone system pushes a call event."""
        said = {
            "event": event,
            "direction": "in",
            "from": "33612345678",
            "to": "33123456789",
            "callId": "call-1",
            **fields,
        }
        return requests.post(f"{self.url}/in/phones/{CTI_TOKEN}", json=said, timeout=20)

    # -- what can be counted outside

    def inbox(self, user: str = ALICE) -> list[Message]:
        """A real mailbox."""
        return [email.message_from_bytes(data) for data in self.dovecot.messages(user)]

    def acknowledgements(self, user: str = ALICE) -> list[Message]:
        return [m for m in self.inbox(user) if m.get("Auto-Submitted") == "auto-replied"]

    def tickets(self, number: str = "") -> list[dict[str, Any]]:
        """The desk's tickets, or those that carry our case number."""
        return [t for t in self.rt.tickets() if not number or t["fields"].get("Case") == number]


def words(mail: Message) -> str:
    """The text of a mail."""
    for part in mail.walk():
        if part.get_content_type() == "text/plain":
            data = part.get_payload(decode=True)
            assert isinstance(data, bytes)
            return data.decode(part.get_content_charset() or "utf-8")
    return ""
