"""A private PostgreSQL on loopback: databases from a template in a tenth of a second, stops and outages on demand.

It refuses to run as root, so root starts it as the user `postgres` that Debian's package makes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Self

import psycopg

from tests.servers.ports import answers, free_ports, wait_for

USER = "tresse"


def binaries() -> Path:
    """Where the newest installed server lies. Raises FileNotFoundError when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: float(p.parts[-3]))
    if not found:
        raise FileNotFoundError("no PostgreSQL server under /usr/lib/postgresql")
    return found[-1].parent


class Postgres:
    """One server. `safe` asks the disk at every commit: only tests of faults need that. It lies `beneath` a folder."""

    def __init__(self, *, safe: bool = False, beneath: Path | None = None) -> None:
        self.safe, self.port = safe, free_ports(1)[0]
        self.folder = Path(tempfile.mkdtemp(prefix="tresse-pg-", dir=beneath))
        self.folder.chmod(0o755)  # its own user has to come through
        self._as: list[str] = []
        if os.geteuid() == 0:
            self._as = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--reset-env"]
        self.own()
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = count(1)
        self._templates: set[str] = set()

    def own(self) -> None:
        """Give the folder to the server's user; again after something was mounted there."""
        if self._as:
            shutil.chown(self.folder, "postgres")

    def __enter__(self) -> Self:
        make = [*self._as, str(binaries() / "initdb"), "-D", str(self.folder / "data"), "-A", "trust", "-U", USER]
        make += ["--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C.UTF-8"]
        done = subprocess.run(make, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(immediate=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- life

    def start(self) -> None:
        """Start, and wait until it answers."""
        assert self._server is None
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.folder}
        options |= {"max_connections": 200}
        if not self.safe:
            options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        command = [*self._as, str(binaries() / "postgres"), "-D", str(self.folder / "data")]
        command += [f"--{name}={value}" for name, value in options.items()]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        wait_for(self._ready, 30, "PostgreSQL to answer")

    @property
    def pid(self) -> int:
        """The server's first process."""
        assert self._server is not None
        return self._server.pid

    def _ready(self) -> bool:
        if not answers(self.port):
            return False
        with suppress(psycopg.OperationalError), psycopg.connect(self.conninfo("postgres"), connect_timeout=2):
            return True
        return False

    def alive(self) -> bool:
        """Whether the server runs; it may have ended by itself."""
        return self._server is not None and self._server.poll() is None

    def stop(self, *, immediate: bool = False) -> None:
        """Stop: at once, as a crash would (`-m immediate`), or after the sessions were ended (`-m fast`)."""
        if self._server is None:
            return
        self._server.send_signal(signal.SIGQUIT if immediate else signal.SIGINT)
        self._server.wait(30)
        self._server = None

    def restart(self, *, immediate: bool = True) -> None:
        """A crash and a recovery."""
        self.stop(immediate=immediate)
        self.start()

    @contextmanager
    def outage(self, seconds: float = 0.0) -> Iterator[None]:
        """Gone while the block runs, and at least `seconds` long."""
        self.stop(immediate=True)
        end = time.monotonic() + seconds
        try:
            yield
        finally:
            time.sleep(max(0.0, end - time.monotonic()))
            self.start()

    # -- databases

    def conninfo(self, database: str) -> str:
        """An address for libpq."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def url(self, database: str) -> str:
        """An address for SQLAlchemy."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self, template: str = "") -> str:
        """The SQLAlchemy address of a fresh database; `template` names one of this server to copy."""
        name = f"t{next(self._numbers)}"
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return self.url(name)

    def new_hub_database(self) -> str:
        """A fresh database with the hub's tables: copied from one that was migrated once."""
        if "ready" not in self._templates:
            from hub.engine.jobs import prepare
            from hub.store import Store
            from hub.store.migrate import migrate

            with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
                connection.execute("CREATE DATABASE ready")
            store = Store(self.url("ready"))
            migrate(store)
            prepare(store)
            store.close()
            self._templates.add("ready")
        return self.new_database("ready")
