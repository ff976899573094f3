"""What people decide on the pages."""

from __future__ import annotations

import re

import sqlalchemy as sa
from flask.testing import FlaskClient

from hub.store.cases import delivery
from hub.store.intake import step
from hub.store.people import audit
from hub.store.reading_deliveries import deliveries_by_state
from tests.unit.braid import Braid
from tests.unit.small_hub import SmallHub
from tests.unit.web.door import csrf


def state_of(hub: SmallHub, number: int) -> str:
    with hub.store.read() as connection:
        return str(connection.scalar(sa.select(delivery.c.state).where(delivery.c.id == number)))


def number_of(hub: SmallHub, state: str) -> int:
    with hub.store.read() as connection:
        return int(connection.scalar(sa.select(delivery.c.id).where(delivery.c.state == state)) or 0)


def test_a_rejected_delivery_is_replayed_and_noted(hub: SmallHub, inside: FlaskClient) -> None:
    number = number_of(hub, "rejected")
    values = {"csrf_token": csrf(inside, "/overview"), "back": "/deliveries?state=rejected"}
    answer = inside.post(f"/deliveries/{number}/replay", data=values)
    assert answer.location == "/deliveries?state=rejected"
    assert state_of(hub, number) == "waiting"
    with hub.store.read() as connection:
        last = connection.execute(sa.select(audit).order_by(audit.c.id.desc())).first()
    assert last is not None
    assert (last.by, last.act, last.target) == ("camille", "delivery.replay", str(number))


def test_an_unsure_delivery_is_settled(hub: SmallHub, inside: FlaskClient) -> None:
    number = number_of(hub, "unsure")
    token = csrf(inside, "/overview")
    assert inside.post(f"/deliveries/{number}/settle", data={"csrf_token": token, "sent": "maybe"}).status_code == 404
    values = {"csrf_token": token, "sent": "yes", "back": "https://evil.example"}
    assert inside.post(f"/deliveries/{number}/settle", data=values).location == "/deliveries"
    assert state_of(hub, number) == "done"


def states(hub: SmallHub, instance: str) -> dict[str, int]:
    with hub.store.read() as connection:
        return deliveries_by_state(connection, instance)


def test_all_unsure_ones_of_a_list_are_settled_unless_there_are_others_by_now(
    hub: SmallHub, inside: FlaskClient
) -> None:
    with hub.store.write() as connection:
        for instance in ("many", "many", "other"):
            Braid(connection).delivery(instance, "send", "unsure")
    page = inside.get("/deliveries?state=unsure&instance=many").text
    assert "Tous les envois incertains vers many (2) partent tout de suite." in page
    assert "<option selected>many</option>" in page, "though it does not run"
    form = next(f for f in page.split("<form")[1:] if '"/deliveries/settle"' in f)
    values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    assert (values["instance"], values["count"], values["sent"]) == ("many", "2", "yes")
    values["back"] = "/deliveries?state=unsure"
    with hub.store.write() as connection:
        Braid(connection).delivery("many", "send", "unsure")  # while somebody looked at the page
    inside.post("/deliveries/settle", data=values)
    assert states(hub, "many") == {"unsure": 3}
    assert inside.post("/deliveries/settle", data=values | {"sent": "maybe"}).status_code == 404
    inside.post("/deliveries/settle", data={k: v for k, v in values.items() if k != "count"})
    assert states(hub, "many") == {"unsure": 3}
    assert inside.post("/deliveries/settle", data=values | {"count": "3"}).location == "/deliveries?state=unsure"
    assert states(hub, "many") == {"done": 3}
    assert states(hub, "other") == {"unsure": 1}
    inside.post("/deliveries/settle", data=values | {"instance": "other", "count": "1", "sent": "no"})
    assert states(hub, "other") == {"waiting": 1}
    with hub.store.read() as connection:
        last = connection.execute(sa.select(audit).order_by(audit.c.id.desc()).limit(2)).all()
    assert [(one.act, one.target) for one in last] == [
        ("delivery.all_not_sent", "other"),
        ("delivery.all_sent", "many"),
    ]


def test_all_is_what_the_list_shows(hub: SmallHub, inside: FlaskClient) -> None:
    with hub.store.write() as connection:
        for instance in ("left", "right"):
            Braid(connection).delivery(instance, "send", "rejected")
    page = inside.get("/deliveries?state=rejected&instance=left").text
    (form,) = [f for f in page.split("<form")[1:] if '"/deliveries/replay"' in f]
    values = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    inside.post("/deliveries/replay", data=values)
    assert states(hub, "left") == {"waiting": 1}
    assert states(hub, "right") == {"rejected": 1}


def test_a_kept_message_is_read_again(hub: SmallHub, inside: FlaskClient) -> None:
    with hub.store.read() as connection:
        number = connection.scalar(sa.select(step.c.raw_id).where(step.c.state == "kept"))
    inside.post(f"/kept/{number}/replay", data={"csrf_token": csrf(inside, "/overview")})
    with hub.store.read() as connection:
        assert connection.scalar(sa.select(step.c.state).where(step.c.raw_id == number)) == "waiting"


def test_an_answer_is_written_changed_and_retired(inside: FlaskClient) -> None:
    token = csrf(inside, "/answers/new")
    values = {
        "csrf_token": token,
        "ref": "cadeau",
        "title_fr": "Un paquet cadeau ?",
        "text_fr": "Oui, avec plaisir.",
        "phrasings_fr": "Emballage cadeau\n\nNoël",
    }
    saved = inside.post("/answers/new", data=values)
    assert saved.status_code == 302
    page = inside.get("/answers?search=cadeau").text
    assert "Un paquet cadeau" in page
    assert "Emballage cadeau" in page
    number = re.search(r"#a(\d+)", saved.location)
    assert number
    assert inside.post("/answers/new", data=values).status_code == 409
    assert inside.post("/answers/new", data={"csrf_token": token, "ref": "x"}).status_code == 400
    changed = values | {"text_fr": "Oui, gratuitement.", "title_en": "Gift wrap?", "text_en": "Yes."}
    assert inside.post(f"/answers/{number[1]}", data=changed).status_code == 302
    assert "gratuitement" in inside.get("/answers?search=wrap").text
    assert inside.post(f"/answers/{number[1]}/retire", data={"csrf_token": token}).status_code == 302
    assert "Un paquet cadeau" in inside.get("/answers?state=retired").text
    inside.post(f"/answers/{number[1]}/approve", data={"csrf_token": token})
    assert "Un paquet cadeau" not in inside.get("/answers?state=retired").text
