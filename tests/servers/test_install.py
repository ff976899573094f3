"""A missing server is said loudly, and in CI it is a failure."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.servers import install
from tests.servers.install import Server, need
from tests.servers.ports import answers, free_ports, is_free


@pytest.fixture
def nothing_installs(monkeypatch: Any) -> None:
    monkeypatch.setitem(install.SERVERS, "phantom", Server(("no-such-binary-anywhere",), ("phantom-server",)))
    monkeypatch.setattr(install, "_install", lambda *_: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("nothing_installs")
def test_without_ci_the_test_is_skipped_by_name(monkeypatch: Any) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"NO PHANTOM.*apt-get install phantom-server"):
        need("phantom")


@pytest.mark.usefixtures("nothing_installs")
def test_in_ci_it_fails(monkeypatch: Any) -> None:
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="NO PHANTOM"):
        need("phantom")


@pytest.mark.usefixtures("nothing_installs")
def test_a_server_that_needs_root_says_so(monkeypatch: Any) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception, match="as root"):
        need("phantom")


def test_ports_are_free_and_different() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) and not answers(port) for port in ports)
