"""A private Request Tracker 5 on loopback: Debian's package, SQLite, its own directory, its own port.

Nothing under /etc is used or changed: `RT_SITE_CONFIG` names our configuration. Setting up and
furnishing a database takes Perl many seconds, so it is done once a machine; later starts copy it.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
import requests

from tests.servers.install import need
from tests.servers.ports import free_ports, is_free, wait_for
from tests.servers.postfix import Postfix

LIBRARY = "/usr/share/request-tracker5/lib"
SERVER = "/usr/share/request-tracker5/libexec/rt-server"
SEED = Path(__file__).with_name("rt_seed.pl")
RT_NAME = "tresse-test"
ORGANIZATION = "desk.shop.example"
ROOT = ("root", "root-secret")
AGENTS = {"agent1": "agent1-secret", "agent2": "agent2-secret"}

_CONFIG = """\
use utf8;
$RT::VarPath = '{dir}/var';
$RT::MasonDataDir = '{dir}/var/mason';
$RT::MasonSessionDir = '{dir}/var/sessions';
Set($rtname, '{name}');
Set($Organization, '{organization}');
Set($OwnerEmail, 'rt-owner@shop.example');
Set($CorrespondAddress, 'support@shop.example');
Set($CommentAddress, 'support-comment@shop.example');
Set($WebDomain, '127.0.0.1');
Set($WebPort, {port});
Set($WebPath, '');
Set($DatabaseType, 'SQLite');
Set($DatabaseName, '{dir}/rt.sqlite');
Set($LogToSTDERR, 'warning');
Set($LogToSyslog, undef);
Set($LogToFile, undef);
Set($Timezone, 'UTC');
Set($RestrictReferrer, 0);
Set($BcryptCost, 4);  # RT hashes the token at every request: at the usual cost that is 95 % of a test's time
{mail}
1;
"""
# SetOutgoingMailFrom: bounces go to the queue's address, as on a real desk, not to root@here.
_SENDMAIL = """\
Set($MailCommand, 'sendmailpipe');
Set($SetOutgoingMailFrom, 1);
Set($SendmailPath, '/usr/sbin/sendmail');
Set($SendmailArguments, '-C {etc} -oi -t');
"""
_NO_MAIL = "Set($MailCommand, 'testfile');"


class RequestTracker:
    """One server. `directory` is ours alone; without `postfix` (its configuration directory) mail goes to a file."""

    def __init__(self, directory: Path, port: int, postfix: Path | None = None) -> None:
        self.directory = directory
        self.port = port
        self.postfix = postfix
        self.url = f"http://127.0.0.1:{port}"
        self.queue = "Support"
        self.noisy_queue = "Noisy"
        self.seed: dict[str, Any] = {}
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def token(self) -> str:
        """The API token of the user `hub`."""
        return str(self.seed["token"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- life

    def start(self) -> None:
        """Start and wait until it answers. The directory keeps its tickets from one start to the next."""
        assert self._server is None, "Request Tracker runs already"
        assert is_free(self.port), f"somebody else listens on {self.port}"
        self._configure()
        if not (self.directory / "rt.sqlite").exists():
            template = _template()
            shutil.copy(template / "seed.json", self.directory)
            shutil.copy(template / "rt.sqlite", self.directory)
        self.seed = json.loads((self.directory / "seed.json").read_text())
        with (self.directory / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [SERVER, "--host", "127.0.0.1", "--port", str(self.port), "--max-workers", "2"],
                env=_environment(self.directory),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.directory / "server.pid").write_text(str(self._server.pid))
        self._wait()

    def stop(self) -> None:
        """SIGTERM: as root, SIGINT makes rt-server chown /var/lib/request-tracker5 on its way out."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            server.wait(8)
        with suppress(ProcessLookupError):  # a killed parent leaves its workers behind, in its process group
            os.killpg(server.pid, signal.SIGKILL)
        server.wait(5)
        wait_for(lambda: is_free(self.port), 10, "Request Tracker to let go of its port")

    def _configure(self) -> None:
        _write_config(self.directory, self.port, self.postfix)

    def _wait(self, seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self._server is not None
            if self._server.poll() is not None:
                break
            try:
                if requests.get(f"{self.url}/REST/2.0/rt", auth=ROOT, timeout=10).ok:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        log = (self.directory / "server.log").read_text(errors="replace")
        self.kill()
        raise RuntimeError(f"Request Tracker does not answer on {self.url}:\n{log[-2000:]}")

    # --- for tests: what agents and the judge of a story do

    def call(self, method: str, path: str, *, auth: tuple[str, str] = ROOT, **more: Any) -> Any:
        """A REST 2 call, by default as root; `path` follows /REST/2.0/."""
        answer = requests.request(method, f"{self.url}/REST/2.0/{path}", auth=auth, timeout=30, **more)
        answer.raise_for_status()
        return answer.json()

    def as_agent(self, name: str) -> requests.Session:
        """A session that speaks as `agent1` or `agent2`; join addresses with `rest`."""
        session = requests.Session()
        session.auth = (name, AGENTS[name])
        return session

    def rest(self, path: str) -> str:
        return f"{self.url}/REST/2.0/{path}"

    def reply(self, agent: str, ticket: int | str, text: str, content_type: str = "text/plain") -> int:
        """An agent answers; RT mails it. Returns the transaction's id."""
        return self._say(agent, ticket, "correspond", text, content_type)

    def comment(self, agent: str, ticket: int | str, text: str) -> int:
        return self._say(agent, ticket, "comment", text, "text/plain")

    def _say(self, agent: str, ticket: int | str, how: str, text: str, content_type: str) -> int:
        with self.as_agent(agent) as session:
            answer = session.post(
                self.rest(f"ticket/{ticket}/{how}"), json={"Content": text, "ContentType": content_type}, timeout=30
            )
        answer.raise_for_status()
        return int(answer.headers["Location"].rsplit("/", 1)[1])

    def create(self, requestor: str, subject: str, text: str, queue: str = "Support", **fields: str) -> int:
        """A ticket that the hub knows nothing of."""
        body = {
            "Queue": queue,
            "Subject": subject,
            "Requestor": requestor,
            "Content": text,
            "ContentType": "text/plain",
        }
        return int(self.call("POST", "ticket", json=body | {"CustomFields": fields})["id"])

    def gate(self, mail: bytes, queue: str = "Support") -> str:
        """A mail that reached RT without the hub."""
        form = {"queue": queue, "action": "correspond", "SessionType": "REST", "message": mail}
        answer = requests.post(f"{self.url}/REST/1.0/NoAuth/mail-gateway", data=form, timeout=30)
        answer.raise_for_status()
        return answer.text.strip()

    def tickets(self, query: str = "id > 0") -> list[dict[str, Any]]:
        """Tickets with `fields` (custom fields by name) and `requestors` (addresses), oldest first."""
        parameters = {
            "query": query,
            "fields": "Subject,Status,Queue,CustomFields,Requestor",
            "fields[Queue]": "Name",
            "fields[Requestor]": "EmailAddress",
            "orderby": "id",
            "per_page": 100,
        }
        found: list[dict[str, Any]] = self.call("GET", "tickets", params=parameters)["items"]
        for ticket in found:
            ticket["fields"] = {f["name"]: "\n".join(f["values"]) for f in ticket.get("CustomFields") or []}
            ticket["requestors"] = [r["EmailAddress"] for r in ticket.get("Requestor") or []]
        return found

    def history(self, ticket: int | str, *types: str) -> list[dict[str, Any]]:
        """The ticket's transactions, oldest first, with creator; those of `types`, or all."""
        parameters = {
            "fields": "Type,Created,Creator,Field,OldValue,NewValue,Data",
            "fields[Creator]": "Name,EmailAddress,Privileged",
            "per_page": 100,
        }
        items = self.call("GET", f"ticket/{ticket}/history", params=parameters)["items"]
        return sorted((i for i in items if not types or i["Type"] in types), key=lambda i: int(i["id"]))

    def attachments(self, transaction: int | str) -> list[dict[str, Any]]:
        """A transaction's attachments; `text` is the decoded content."""
        found = self.call("GET", f"transaction/{transaction}/attachments", params={"per_page": 100})["items"]
        items: list[dict[str, Any]] = [self.call("GET", f"attachment/{a['id']}") for a in found]
        for item in items:
            item["text"] = base64.b64decode(item["Content"] or "").decode("utf-8", "replace")
        return items

    def texts(self, ticket: int | str, *types: str) -> list[str]:
        """The words of a ticket's transactions of `types`, oldest first."""
        return ["".join(a["text"] for a in self.attachments(t["id"])) for t in self.history(ticket, *types)]


@pytest.fixture(scope="session")
def request_tracker(postfix: Postfix) -> Iterator[RequestTracker]:
    """A running Request Tracker whose mail goes through `postfix` into Dovecot."""
    need("request_tracker")
    with (
        tempfile.TemporaryDirectory(prefix="tresse-rt-") as directory,
        RequestTracker(Path(directory), free_ports(1)[0], postfix.etc) as server,
    ):
        yield server


def _environment(directory: Path) -> dict[str, str]:
    return os.environ | {
        "RT_SITE_CONFIG": str(directory / "RT_SiteConfig.pm"),
        "RT_SITE_CONFIG_DIR": str(directory / "conf.d"),
    }


def _write_config(directory: Path, port: int, postfix: Path | None) -> None:
    for folder in ("conf.d", "var/mason", "var/sessions", "var/log", "var/smime", "var/gpg"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    mail = _SENDMAIL.replace("{etc}", str(postfix)) if postfix else _NO_MAIL
    values = {"dir": directory, "port": port, "name": RT_NAME, "organization": ORGANIZATION, "mail": mail}
    text = _CONFIG
    for key, value in values.items():
        text = text.replace("{" + key + "}", str(value))
    (directory / "RT_SiteConfig.pm").write_text(text)


def _template() -> Path:
    """The directory with a furnished database, made when this machine has none for this seed and RT."""
    version = Path(f"{LIBRARY}/RT/Generated.pm").read_bytes()
    mark = hashlib.sha256(SEED.read_bytes() + version + _CONFIG.encode()).hexdigest()[:12]
    place = Path(tempfile.gettempdir()) / f"tresse-rt-template-{os.geteuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    if place.stat().st_uid != os.geteuid():
        raise RuntimeError(f"{place} belongs to somebody else: remove it")
    template = place / mark
    with (place / "lock").open("w") as lock:  # two test runs at once: one furnishes, the other waits
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            _furnish(template)
    return template


def _furnish(template: Path) -> None:
    with tempfile.TemporaryDirectory(dir=template.parent) as name:
        directory = Path(name)
        _write_config(directory, 80, None)
        (directory / "password").write_text(ROOT[1])
        setup = ["--action", "init", "--skip-create", "--root-password-file", str(directory / "password")]
        _run(["rt-setup-database-5", *setup], directory)
        seed = _run(["perl", f"-I{LIBRARY}", str(SEED)], directory)
        (directory / "seed.json").write_text(seed.strip().splitlines()[-1])
        ready = Path(tempfile.mkdtemp(dir=template.parent))
        shutil.copy(directory / "rt.sqlite", ready)
        shutil.copy(directory / "seed.json", ready)
        ready.rename(template)


def _run(command: list[str], directory: Path) -> str:
    done = subprocess.run(command, env=_environment(directory), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout
