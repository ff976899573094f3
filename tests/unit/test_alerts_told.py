"""Alerts told by webhook and mail: once each, signed, after a while, whatever dies or hangs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from hub.engine.telling import Telling
from hub.pipeline import tell
from hub.rules.signing import DELAYS, secret_bytes, signed_headers
from hub.sdk import Unavailable
from hub.store import telling
from hub.store.alerts import close_alert, raise_alert
from hub.store.health import telling as rows_of
from hub.threads import Threads
from tests.unit.receiver import Receiver
from tests.world import CONFIG, World

KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def open_world(tmp_path, receiver):
    worlds = []

    def opened(alerts: str) -> World:
        world = World(tmp_path, CONFIG + f"[alerts]\n{alerts}\n")
        worlds.append(world)
        return world

    yield opened
    for world in worlds:
        world.hub.stop()


def webhook(receiver: Receiver, more: str = "") -> str:
    return f'webhook = "{receiver.url}"\nsecret = "{SECRET}"\n{more}'


def alarm(world: World, text: str = "the password is refused", key: str = "some-cause") -> None:
    with world.hub.store.write() as connection:
        raise_alert(connection, key, text, world.clock.now(), "desk")


def calm(world: World, key: str = "some-cause") -> None:
    with world.hub.store.write() as connection:
        close_alert(connection, key, world.clock.now())


def told(world: World) -> list[tuple[str, str, str, int]]:
    with world.hub.store.read() as connection:
        found = connection.execute(sa.select(rows_of).order_by(rows_of.c.id)).all()
    return [(r.target, r.what, r.state, r.attempts) for r in found]


def test_told_once_when_it_opens_and_once_when_it_closes(open_world, receiver):
    world = open_world(webhook(receiver))
    alarm(world, "Some messages could not be read; they wait under “Kept unread”.", "kept-unread")
    world.go(10)
    world.restart()
    world.go(10)
    assert [s["type"] for s in receiver.said] == ["alert.opened"]
    calm(world, "kept-unread")
    world.go(10)
    world.restart()
    world.go(10)
    assert [s["type"] for s in receiver.said] == ["alert.opened", "alert.closed"]
    data = receiver.said[1]["data"]
    assert (data["key"], data["instance"]) == ("kept-unread", "desk")
    assert "pas pu être lus" in data["text"]
    assert data["closed_at"]


def test_the_same_cause_again_is_told_again(open_world, receiver):
    world = open_world(webhook(receiver))
    for _ in range(2):
        alarm(world)
        world.go(3)
        calm(world)
        world.go(3)
    assert [s["type"] for s in receiver.said] == ["alert.opened", "alert.closed"] * 2
    assert len({h["webhook-id"] for h, _ in receiver.posts}) == 4


def test_the_signature_is_what_the_specification_says(open_world, receiver):
    world = open_world(webhook(receiver))
    alarm(world)
    world.go(2)
    headers, body = receiver.posts[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - world.clock.now().timestamp()) < 10


def test_the_example_of_the_specification():
    """The vector of the reference libraries' own tests."""
    headers = signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["whsec_", "whsec_!!", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_weak_secret_is_refused(secret):
    with pytest.raises(ValueError, match="should"):
        secret_bytes(secret)


def test_a_short_one_is_silent(open_world, receiver):
    world = open_world(webhook(receiver, 'after = "60s"'))
    alarm(world)
    world.go(30)
    calm(world)
    world.go(90)
    assert receiver.posts == []
    alarm(world)
    world.go(70)
    assert [s["type"] for s in receiver.said] == ["alert.opened"]


def test_a_failure_is_tried_again_with_the_same_id_and_the_end_waits_its_turn(open_world, receiver):
    receiver.answers = [(500, {}), (302, {"location": "http://127.0.0.1:1/"})]
    world = open_world(webhook(receiver))
    alarm(world)
    world.go(3)
    calm(world)
    assert len(receiver.posts) == 1
    world.go(10)
    assert len(receiver.posts) == 2
    world.go(350)
    assert [s["type"] for s in receiver.said] == ["alert.opened"] * 3 + ["alert.closed"]
    assert len({h["webhook-id"] for h, _ in receiver.posts[:3]}) == 1


def test_the_receiver_may_ask_for_time(open_world, receiver):
    receiver.answers = [(503, {"retry-after": "60"})]
    world = open_world(webhook(receiver))
    alarm(world)
    world.go(50)
    assert len(receiver.posts) == 1
    world.go(20)
    assert len(receiver.posts) == 2


@pytest.mark.parametrize("gone", [True, False])
def test_it_gives_up_at_the_end_or_when_told(open_world, receiver, gone):
    world = open_world(webhook(receiver))
    receiver.answers = [(410 if gone else 500, {})] * 20
    alarm(world)
    for delay in (0, *DELAYS, 100_000):
        world.clock.at += timedelta(seconds=delay * 1.2)
        tell.tell_due(world.hub.parts)
    assert told(world) == [("webhook", "opened", "gave up", 1 if gone else len(DELAYS) + 1)]
    calm(world)
    tell.tell_due(world.hub.parts)
    assert len(told(world)) == 1, "who heard of no beginning hears of no end"


def test_nothing_of_a_customer_is_told(open_world, receiver):
    world = open_world(webhook(receiver))
    alarm(world, "550 alice.martin@customer.example is not known")
    world.go(2)
    assert b"alice" not in receiver.posts[0][1]
    assert "***@customer.example" in receiver.said[0]["data"]["text"]


def test_by_mail_in_french_and_each_way_for_itself(open_world, receiver):
    receiver.answers = [(500, {})]
    world = open_world(webhook(receiver, 'mail = "admin@shop.example"\nlanguage = "fr"'))
    alarm(world, "Some deliveries to desk were refused for good; they wait for a decision.")
    world.go(20)
    (sent,) = world.far.sent
    assert sent[0].to.value == "admin@shop.example"
    assert "refusés" in sent[0].text
    assert "À regarder" in sent[0].subject
    assert len(receiver.posts) == 2, "the mail was not repeated with the webhook"
    assert told(world) == [("webhook", "opened", "done", 2), ("mail", "opened", "done", 1)]


def test_a_sick_channel_does_not_send_its_own_alert(open_world, receiver):
    world = open_world('mail = "admin@shop.example"')
    used = []
    for one in world.hub.instances.values():
        if one.has("Sends"):
            one.call = lambda *a, _i=one.id, **k: used.append(_i)
    with world.hub.store.write() as connection:
        raise_alert(connection, "instance:support", "red", world.clock.now(), "support")
    tell.tell_due(world.hub.parts)
    assert used == ["contact"]


def test_a_mail_that_does_not_go_out_is_tried_again(open_world, receiver):
    world = open_world('mail = "admin@shop.example"\nvia = "contact"')
    world.far.trouble = lambda _what: (_ for _ in ()).throw(Unavailable("not now"))
    alarm(world)
    world.go(2)
    assert told(world) == [("mail", "opened", "waiting", 1)]
    world.far.trouble = lambda _what: None
    world.go(10)
    assert told(world) == [("mail", "opened", "done", 2)]


def test_two_workers_do_not_tell_the_same(open_world, receiver):
    world = open_world(webhook(receiver))
    alarm(world)
    parts = world.hub.parts
    first = threading.Barrier(2)
    due = telling.due

    def both_see_it(*arguments, **named):
        found = due(*arguments, **named)
        first.wait(10)
        return found

    telling.due, waiting = both_see_it, []
    try:
        waiting = [threading.Thread(target=tell.tell_due, args=(parts,)) for _ in range(2)]
        for one in waiting:
            one.start()
        for one in waiting:
            one.join(20)
    finally:
        telling.due = due
    assert len(receiver.posts) == 1


def test_who_dies_while_telling_leaves_it_to_the_next(open_world, receiver):
    world = open_world(webhook(receiver))
    alarm(world)
    parts = world.hub.parts
    with world.hub.store.write() as connection:
        telling.owe(connection, telling.owed(connection, ["webhook"], world.clock.now()), world.clock.now())
        (row,) = telling.due(connection, ["webhook"], world.clock.now())
        assert telling.claim(connection, row, world.clock.now())
        assert not telling.claim(connection, row, world.clock.now())
    assert tell.tell_due(parts) == 0
    world.clock.at += telling.LEASE
    assert tell.tell_due(parts) == 1


def test_a_webhook_that_hangs_holds_up_nothing(open_world, receiver, monkeypatch):
    world = open_world(webhook(receiver))
    hangs, begun, calls = threading.Event(), threading.Event(), []

    def hang(_parts) -> int:
        calls.append(1)
        begun.set()
        hangs.wait(20)
        return 0

    monkeypatch.setattr("hub.engine.telling.tell_due", hang)
    engine = Telling(world.hub.parts, Threads)
    began = time.monotonic()
    for _ in range(5):
        world.clock.at += timedelta(seconds=2)
        engine.look()
    assert time.monotonic() - began < 5
    assert begun.wait(10)
    hangs.set()
    assert len(calls) == 1


def test_nobody_to_tell_costs_nothing(open_world, receiver, monkeypatch):
    world = open_world("")
    monkeypatch.setattr(telling, "owed", lambda *_: 1 / 0)
    alarm(world)
    assert tell.tell_due(world.hub.parts) == 0
