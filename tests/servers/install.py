"""Has a machine the servers our tests need? As root on Debian they are installed, else said loudly."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Server:
    """What shows that a server is there, and how Debian calls it."""

    binaries: tuple[str, ...]
    packages: tuple[str, ...]
    answers: str = ""  # debconf-set-selections: a package must not stop to ask
    root: bool = True  # the server itself has to be started as root


_RT = "request-tracker5 request-tracker5"

SERVERS = {
    "dovecot": Server(("dovecot", "doveadm", "openssl"), ("dovecot-imapd", "dovecot-lmtpd", "dovecot-submissiond")),
    "postfix": Server(
        ("postfix", "/usr/lib/postfix/sbin/master", "sendmail"),
        ("postfix",),
        "postfix postfix/main_mailer_type select No configuration\n",
    ),
    "request_tracker": Server(
        ("/usr/share/request-tracker5/libexec/rt-server", "rt-setup-database-5"),
        ("request-tracker5", "rt5-standalone", "rt5-db-sqlite", "dbconfig-no-thanks"),
        f"{_RT}/rtname string tresse\n{_RT}/organization string shop.example\n"
        f"{_RT}/correspondaddress string rt@shop.example\n{_RT}/commentaddress string rt-comment@shop.example\n"
        f"{_RT}/webbaseurl string http://127.0.0.1:8080\n{_RT}/webpath string\n"
        f"{_RT}/handle-siteconfig-permissions boolean true\n{_RT}/install-cronjobs boolean false\n"
        f"{_RT}/initial-root-password password rootpass\n{_RT}/initial-root-password-confirm password rootpass\n",
    ),
    # Debian starts a cluster of its own where services may start; ours is another one.
    "postgres": Server(("/usr/lib/postgresql/*/bin/postgres",), ("postgresql",), root=False),
    "chromium": Server(("chromium",), ("chromium", "fonts-dejavu-core"), root=False),
}


def need(name: str) -> None:
    """Make sure the server `name` can be started; skip the test where it cannot, in CI fail instead.

    A test that silently skips in CI proves nothing for years, hence the difference.
    """
    server = SERVERS[name]
    if server.root and os.geteuid() != 0:
        _without(name, "it has to be started as root (it changes to its own users)")
    if _missing(server):
        _install(name, server)
    if missing := _missing(server):
        _without(name, f"{', '.join(missing)} not found; on Debian: apt-get install {' '.join(server.packages)}")


def _missing(server: Server) -> list[str]:
    # /usr/sbin is not on everybody's PATH, and servers live there.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [
        b for b in server.binaries if not (any(Path("/").glob(b[1:])) if b[0] == "/" else shutil.which(b, path=path))
    ]


def _install(name: str, server: Server) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if server.answers:
        subprocess.run(["debconf-set-selections"], input=server.answers.encode(), env=environ, check=False)
    get = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    install = [*get, "install", "-y", "--no-install-recommends", *server.packages]
    if subprocess.run(install, env=environ, check=False, capture_output=True).returncode:
        # A fresh image has no package lists yet.
        subprocess.run([*get, "update"], env=environ, check=False, capture_output=True)
        done = subprocess.run(install, env=environ, check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"apt-get could not install {name}:\n{done.stdout}{done.stderr}")


def _without(name: str, why: str) -> None:
    text = f"NO {name.upper()}: {why}"
    if os.environ.get("CI"):
        pytest.fail(f"{text}. In CI every server must be there.", pytrace=False)
    pytest.skip(text)


def everything() -> None:
    """Install whatever is missing, before any test waits for it (`make servers`)."""
    for name, server in SERVERS.items():
        if _missing(server):
            print(f"installing {name} ...")
            _install(name, server)


if __name__ == "__main__":
    everything()
