"""What settings get wrong is named, with its path; an outage is not a mistake."""

from __future__ import annotations

import time
from typing import Any

import pytest

from hub.sdk import AuthError, ConfigError, Unavailable
from plugins.crm.request_tracker.crm import RequestTracker as Desk
from tests.plugins.request_tracker.world import FIELDS, a_case, a_message, effect, make, start
from tests.servers.rt import RequestTracker


def test_an_unknown_case_field_is_named_before_a_ticket_is_made(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, fields=FIELDS | {"case": "Cases"})
    before = len(request_tracker.tickets())
    with pytest.raises(ConfigError, match="did you mean 'Case'") as caught:
        desk.save_case(a_case(), effect("save"))
    assert caught.value.path == "fields.case"
    assert len(request_tracker.tickets()) == before
    with pytest.raises(ConfigError, match="did you mean 'Case'"):
        desk.check()


def test_another_unknown_field_is_logged_once_and_noticed(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, fields=FIELDS | {"segment": "Segmnt"})
    case = a_case("nadia@customer.example")
    ticket = desk.save_case(case, effect("save"))
    desk.save_case(case, effect("save", ticket))
    log: Any = desk.context.log
    assert [event for level, event, _ in log.lines if level == "warning"] == ["custom field not kept"]
    (notice,) = [n for n in desk.check() if n.path == "fields.segment"]
    assert "did you mean 'Segment'" in notice.text


def test_an_unknown_queue_is_a_mistake_in_the_settings(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, queue="Suport")
    for call in (desk.check, lambda: desk.save_case(a_case(), effect("save"))):
        with pytest.raises(ConfigError, match="did you mean 'Support'") as caught:
            call()
        assert caught.value.path == "queue"
    with pytest.raises(ConfigError) as caught:
        make(request_tracker, queues=["Nope"]).check()
    assert caught.value.path == "queues"


def test_a_bad_token_is_an_auth_error(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, token="1-14-0123456789abcdef")
    for call in (desk.check, lambda: desk.save_case(a_case(), effect("save")), lambda: list(desk.changes({}))):
        with pytest.raises(AuthError) as caught:
            call()
        assert "0123456789abcdef" not in str(caught.value)
        assert caught.value.path == "token"


def test_a_wrong_address_is_named(request_tracker: RequestTracker) -> None:
    with pytest.raises(ConfigError) as caught:
        make(request_tracker, url=request_tracker.url + "/nowhere").check()
    assert caught.value.path == "url"


def test_a_wrong_mail_gate_is_noticed(request_tracker: RequestTracker) -> None:
    desk = make(request_tracker, mail_gate=request_tracker.url + "/REST/1.0/NoAuth/nowhere")
    assert "mail_gate" in [n.path for n in desk.check()]
    case = a_case("nadia@customer.example")
    ticket = desk.save_case(case, effect("save"))
    with pytest.raises(ConfigError) as caught:
        desk.add_message(case, a_message("nadia@customer.example"), effect("add", ticket))
    assert caught.value.path == "mail_gate"


def test_good_settings_pass_without_a_word(desk: Desk) -> None:
    assert desk.check() == []


def test_a_stopped_rt_is_unavailable_at_once_and_comes_back(
    request_tracker: RequestTracker, desk: Desk, alice: str
) -> None:
    case = a_case(alice)
    ticket = desk.save_case(case, effect("save"))
    cursor = start(desk)
    request_tracker.kill()
    try:
        begun = time.monotonic()
        for call in (
            desk.check,
            lambda: desk.save_case(case, effect("save", ticket)),
            lambda: desk.add_message(case, a_message(alice), effect("add", ticket)),
            lambda: list(desk.changes(cursor)),
        ):
            with pytest.raises(Unavailable) as caught:
                call()
            assert not caught.value.maybe_done
        assert time.monotonic() - begun < 2
    finally:
        request_tracker.start()
    assert desk.save_case(case, effect("save", ticket)) == ticket
