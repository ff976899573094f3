"""One owner for a mailbox: leases, their epochs, and what an owner that was overtaken brings."""

from __future__ import annotations

import pytest

from hub.pipeline.receive import Overtaken, read_cursor, receive
from hub.sdk import Page, Raw
from hub.store.intake import raw
from hub.store.leases import LONG, free_leases, lease_is_free, renew_leases, take_lease
from tests.unit.braid import NOON


def take(store, owner, now=NOON):
    with store.write() as connection:
        return take_lease(connection, "support", "poll", owner, now)


def keep(store, epoch, key="k1"):
    page = Page((Raw(key, b"hello"),), {"n": key})
    return receive(store, "support", page, NOON, "poll", epoch=epoch)


def test_one_owner_at_a_time(store):
    assert take(store, "a") == 1
    assert take(store, "b") is None
    with store.read() as connection:
        assert not lease_is_free(connection, "support", "poll", NOON)
        assert lease_is_free(connection, "support", "poll", NOON + LONG * 2)
    assert take(store, "b", NOON + LONG * 2) == 2


def test_a_lease_is_renewed_and_given_back(store):
    epoch = take(store, "a")
    with store.write() as connection:
        assert renew_leases(connection, {("support", "poll"): epoch}, NOON + LONG) == {("support", "poll")}
    assert take(store, "b", NOON + LONG * 1.5) is None
    with store.write() as connection:
        free_leases(connection, {("support", "poll"): epoch})
    assert take(store, "b") == 2
    with store.write() as connection:
        assert renew_leases(connection, {("support", "poll"): epoch}, NOON) == set()


def test_what_an_overtaken_owner_brings_is_not_kept(store):
    first = take(store, "a")
    assert keep(store, first, "k1") == 1
    second = take(store, "b", NOON + LONG * 2)
    with pytest.raises(Overtaken):
        keep(store, first, "k2")
    assert read_cursor(store, "support", "poll") == {"n": "k1"}
    assert keep(store, second, "k3") == 1
    with store.read() as connection:
        assert set(connection.scalars(raw.select().with_only_columns(raw.c.source_key))) == {"k1", "k3"}


def test_a_lease_keeps_the_cursor_and_the_cursor_keeps_the_lease(store):
    receive(store, "support", Page((), {"n": 7}), NOON, "poll")
    epoch = take(store, "a")
    assert read_cursor(store, "support", "poll") == {"n": 7}
    keep(store, epoch)
    assert take(store, "b") is None
