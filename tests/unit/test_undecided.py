"""Alerts about deliveries that wait for a human: one for each instance, whatever stands open for others."""

from __future__ import annotations

import sqlalchemy as sa

from hub.locale.sentences import sentence
from hub.pipeline.replay import replay_delivery, settle_unsure
from hub.pipeline.undecided import tell_undecided, tend_undecided
from hub.store import Store
from hub.store.alerts import raise_alert
from hub.store.health import alert
from tests.unit.braid import Braid
from tests.world import START


def standing(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.scalars(sa.select(alert.c.key).where(alert.c.closed_at.is_(None)).order_by(alert.c.key)))


def owe(store: Store, *owed: tuple[str, str]) -> list[int]:
    with store.write() as connection:
        braid = Braid(connection)
        numbers = [braid.delivery(instance, "send", state) for instance, state in owed]
        for instance, state in owed:
            tell_undecided(connection, state, instance, START)
    return numbers


def test_each_instance_has_its_own_that_names_it_and_closes_by_itself(store):
    first, _, second, _ = owe(store, ("rt", "rejected"), ("other", "rejected"), ("mail", "unsure"), ("mail2", "unsure"))
    assert standing(store) == ["rejected:other", "rejected:rt", "unsure:mail", "unsure:mail2"]
    with store.read() as connection:
        texts = dict(connection.execute(sa.select(alert.c.key, alert.c.text)).all())
        assert connection.scalar(sa.select(alert.c.instance).where(alert.c.key == "rejected:rt")) == "rt"
    for key, text in texts.items():
        name = key.partition(":")[2]
        assert f" to {name} " in text
        assert f" vers {name} " in sentence("fr", text)
    replay_delivery(store, START, first)
    assert standing(store) == ["rejected:other", "unsure:mail", "unsure:mail2"]
    settle_unsure(store, START, second, sent=True)
    assert standing(store) == ["rejected:other", "unsure:mail2"]
    replay_delivery(store, START)
    settle_unsure(store, START, sent=True)
    assert standing(store) == []


def test_the_one_alert_of_earlier_versions_becomes_one_for_each_instance(store):
    with store.write() as connection:
        braid = Braid(connection)
        for instance in ("rt", "other"):
            braid.delivery(instance, "show", "rejected")
        raise_alert(connection, "rejected", "of an earlier version", START)
        raise_alert(connection, "unsure", "of an earlier version", START)
        raise_alert(connection, "unsure:rt", "somebody decided it meanwhile", START, "rt")
        tend_undecided(connection, START)
    assert standing(store) == ["rejected:other", "rejected:rt"]


def test_that_of_earlier_versions_closes_with_a_replay_as_well(store):
    (number,) = owe(store, ("rt", "rejected"))
    with store.write() as connection:
        raise_alert(connection, "rejected", "of an earlier version", START)
    replay_delivery(store, START, number)
    assert standing(store) == []
