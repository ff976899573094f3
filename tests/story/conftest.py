"""Servers of their own for each story: what is counted in a mailbox must be this story's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.servers.dovecot import Dovecot
from tests.servers.install import need
from tests.servers.ports import free_ports
from tests.servers.postfix import Postfix
from tests.servers.rt import RequestTracker


@pytest.fixture
def story_servers():
    """Dovecot, Postfix before it, and a Request Tracker that mails through it."""
    for name in ("dovecot", "postfix", "request_tracker"):
        need(name)
    with (
        Dovecot() as dovecot,
        Postfix(dovecot) as postfix,
        tempfile.TemporaryDirectory(prefix="tresse-rt-") as folder,
        RequestTracker(Path(folder), free_ports(1)[0], postfix.etc) as rt,
    ):
        yield dovecot, postfix, rt
