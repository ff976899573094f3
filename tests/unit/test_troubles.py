"""A trouble is told once, and a database that is away is one trouble, wherever it shows."""

from __future__ import annotations

import os
import socket

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from hub.engine.jobs import conninfo
from hub.log import configure
from hub.pipeline.troubles import Troubles
from hub.sdk import Unavailable
from hub.store import Store
from hub.store.secrets import SecretState
from tests.databases import database_url, is_sqlite
from tests.servers.ports import free_ports

AWAY = sa.exc.OperationalError("select", {}, Exception("Alice's private words"))


def said(capsys) -> list[str]:
    return [line.split("]", 1)[1].split(" at=")[0].strip() for line in capsys.readouterr().err.splitlines()]


def test_a_database_that_is_away_is_told_once_for_all_places(capsys):
    configure("INFO")
    troubles = Troubles()
    for where in ("lane", "tend", "lane", "intake"):
        troubles.ill(where, AWAY)
    troubles.well("poll")  # it never found it away: it knows nothing
    troubles.well("tend")
    troubles.well("lane")
    assert said(capsys) == ["the database does not answer; waiting", "the database answers again"]
    troubles.ill("lane", AWAY)
    assert said(capsys) == ["the database does not answer; waiting"]


def test_a_bug_is_told_at_each_place_beside_it(capsys):
    configure("INFO")
    troubles = Troubles()
    troubles.ill("lane", AWAY)
    troubles.ill("lane", KeyError("Alice"))
    troubles.ill("plan", KeyError("Alice"))
    troubles.ill("plan", KeyError("Alice"))
    troubles.well("plan")
    assert said(capsys) == [
        "the database does not answer; waiting",
        "bug in the engine",
        "bug in the engine",
        "works again",
    ]


def test_the_queue_says_by_itself_that_its_cause_is_the_database(capsys):
    configure("INFO")
    troubles = Troubles()
    troubles.ill("jobs", RuntimeError("no connection"), database=True)
    troubles.well("jobs")
    assert said(capsys) == ["the database does not answer; waiting", "the database answers again"]


@pytest.mark.parametrize("call", ["get", "set", "swap"])
def test_a_plugin_hears_one_of_the_four_words_when_our_database_is_away(tmp_path, call):
    """Else its call ended as a bug, and what it was to deliver was set aside."""
    nobody = f"postgresql+psycopg://tresse@127.0.0.1:{free_ports(1)[0]}/gone"
    store = Store(database_url(tmp_path, "no-tables.db") if is_sqlite() else nobody)  # as on a disk that is gone
    state = SecretState(store, "one", Fernet.generate_key())
    arguments = {"get": ("key",), "set": ("key", "value"), "swap": ("key", None, "value")}[call]
    with pytest.raises(Unavailable, match="own database") as told:
        getattr(state, call)(*arguments)
    assert told.value.maybe_done
    store.close()


def test_a_database_host_that_went_away_without_a_word_is_noticed(postgres):
    """By every connection, of ours and of the queue's; what an admin wrote into the address stands."""
    store = Store(postgres.new_database() + "?keepalives_idle=7")
    with store.read() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket.socket(fileno=os.dup(driver.fileno())) as wire:
            assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
    assert "tcp_user_timeout=20000" in conninfo(store.url)
    assert conninfo(store.url).count("keepalives_idle=7") == conninfo(store.url).count("keepalives_idle") == 1
    store.close()
