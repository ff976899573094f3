"""What a plugin logs while it reads stands in the hub's log: under its instance's name, short, and not too often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from hub import log
from hub.reading import Unread
from hub.reading.children import Children
from hub.reading.coding import JUNK
from hub.reading.lines import A_MINUTE, FACTS, LARGEST, LOGGED, MINUTE, MOST, NAME, WORDS, Lines, decode, encode
from tests.hostile import FINE, LIMITS, HostileSettings, made, order, read, said

LEFT_OUT = ("warning", "the plugin says more about this message; it is left out", {})
TOO_MUCH = ("warning", "its plugin logs too much while it reads; the rest of this minute is left out", {})


class Recorder:
    """A log that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **facts: self.lines.append((level, event, facts))


@pytest.fixture
def children() -> Iterator[Children]:
    found = Children(LIMITS)
    yield found
    found.end()


@pytest.fixture
def configured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


# -- from a real reader --------------------------------------------------------------------------


def logs(*lines: tuple[str, str, dict[str, Any]]) -> Any:
    return order("log", lines)


def test_what_is_logged_while_reading_reaches_the_log(children):
    told, one = Recorder(), ("warning", "part left out", {"part": 3, "why": "too deep", "share": 0.5, "whole": False})
    component = made(HostileSettings(word="tell"), log=told)
    assert told.lines == [("info", "put together", {})]
    told.lines.clear()  # in the reader its constructor says so as well, and nobody hears it
    outcomes = read(children, order("say", "fine"), logs(one, ("info", "done", {})), component=component)
    assert outcomes == [FINE, (said("logged"),)]
    assert told.lines == [one, ("info", "done", {})]


def test_a_line_bears_its_instance_and_hides_what_the_log_hides(children, configured, capsys):
    log.configure("info", "json")
    from hub.log import logger

    line = ("info", "from alice@customer.example", {"token": "canary", "who": "zoë@customer.example"})
    read(children, logs(line), component=made(name="sick", log=logger(instance="sick")))
    (written,) = [json.loads(one) for one in capsys.readouterr().err.splitlines()]
    assert written.pop("timestamp")
    assert written == {
        "event": "from ***@customer.example",
        "instance": "sick",
        "level": "info",
        "token": "***",
        "who": "***@customer.example",
    }


def test_lines_below_the_level_are_not_even_sent(children, configured):
    log.configure("warning")
    told = Recorder()
    component = made(log=told)
    many = [("debug", "x", {}), ("info", "x", {})] * MOST
    read(children, logs(*many, ("error", "heard", {})), component=component)
    assert told.lines == [("error", "heard", {})], "and they take no place of those that count"


def test_a_line_before_a_crash_arrives(children):
    told = Recorder()
    component = made(log=told)
    (outcome,) = read(children, order("log_and_crash", "now it comes"), component=component)
    assert isinstance(outcome, Unread)
    assert told.lines == [("warning", "now it comes", {})]


def test_one_mail_does_not_flood_the_log(children):
    told = Recorder()
    component = made(log=told)
    endless = logs(*[("warning", "x" * 1000, {f"f{n}": "y" * 1000 for n in range(20)})] * 100)
    assert read(children, endless, order("say", "fine"), component=component) == [(said("logged"),), FINE]
    assert len(told.lines) == MOST + 1
    assert told.lines[-1] == LEFT_OUT
    for _, event, facts in told.lines[:-1]:
        assert event == "x" * WORDS
        assert list(facts.values()) == ["y" * WORDS] * FACTS


def test_many_mails_do_not_flood_the_log(children, monkeypatch):
    told, now = Recorder(), [0.0]
    monkeypatch.setattr("hub.reading.lines.time", type("Time", (), {"monotonic": staticmethod(lambda: now[0])}))
    component = made(log=told)
    bomb = [logs(*[("warning", "x", {})] * MOST)] * (2 * A_MINUTE // MOST)
    read(children, *bomb, component=component)
    assert len(told.lines) == A_MINUTE + 1
    assert told.lines[-1] == TOO_MUCH
    children._drop("hostile")  # a fresh reader is no fresh start
    read(children, logs(("info", "unheard", {})), component=component)
    assert told.lines[-1] == TOO_MUCH
    now[0] += MINUTE
    read(children, logs(("info", "heard", {})), component=component)
    assert told.lines[-1] == ("info", "heard", {})


@pytest.mark.parametrize(
    "forged",
    [
        '["logged","shout","x",{}]',
        '["logged","info",7,{}]',
        '["logged","info","x",[]]',
        '["logged","info","x"]',
        '["logged","info","x",{"instance":"another"}]',
        '["logged","info","x",{"event":"another"}]',
        '["logged","info","x",{"a b":1}]',
        '["logged","info","x",{"a":[1]}]',
        '["logged","info","x",{"a":' + "9" * 400 + "}]",
        '["logged","info","' + "x" * LARGEST + '",{}]',
        '["logged",' + "[" * 10_000,
        '["logged",',
    ],
)
def test_a_reader_that_was_taken_over_says_nothing_in_another_name(children, forged):
    told = Recorder()
    component = made(log=told)
    assert read(children, order("forge", forged), order("say", "fine"), component=component) == [JUNK, FINE]
    assert told.lines == []


def test_a_reader_that_was_taken_over_logs_no_more_than_others(children):
    told = Recorder()
    component = made(log=told)
    assert read(children, order("forge_many", '["logged","info","x",{}]'), component=component) == [JUNK]
    assert len(told.lines) <= MOST + 2


# -- the frames ----------------------------------------------------------------------------------

values = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.text())


@given(st.sampled_from(["debug", "info", "warning", "error"]), st.text(), st.dictionaries(st.text(), values))
def test_whatever_is_logged_fits(level, event, facts):
    frame = encode(level, event, facts)
    assert frame.startswith(LOGGED)
    assert len(frame) <= LARGEST
    if all(name.isidentifier() for name in facts):
        heard, words, found = decode(frame)
        assert heard == level
        assert words.isprintable()
        assert len(found) <= FACTS
        assert all(len(str(value)) <= WORDS for value in found.values())


def test_the_longest_line_fits_however_it_is_escaped():
    for worst in ("\0", "\\", "\ud800", "\U0001f600"):
        facts = {f"{n}{'é' * NAME}": worst * 1000 for n in range(100)}
        assert len(encode("warning", worst * 1000, facts)) <= LARGEST


def test_no_line_ends_early_or_speaks_to_a_terminal():
    _, event, facts = decode(encode("info", "one\ntwo\x1b[31m\u202e", {"x": "a\r\nb\ud800"}))
    assert event == "one two\ufffd[31m\ufffd"
    assert facts == {"x": "a b\ufffd"}


def test_of_an_exception_its_kind_is_told():
    try:
        raise ValueError("words of a customer")
    except ValueError as error:
        for given in (True, error):
            assert decode(encode("error", "odd", {"exc_info": given}))[2] == {"error": "ValueError"}


def test_a_value_that_cannot_be_told_spoils_nothing():
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError

    assert decode(encode("info", "x", {"odd": Odd(), "instance": "another"}))[2] == {
        "odd": "Odd",
        "instance_": "another",
    }


def test_every_name_that_is_let_through_can_be_logged(capsys):
    names = ["self", "event", "method_name", "instance", "args", "kw", "name", "level", "stack", "exception", "logger"]
    lines = Lines(log.logger(instance="mine"))
    for name in names:
        lines.take(encode("info", "said", {name: "theirs"}))
    written = "".join(capsys.readouterr())
    assert written.count("said") == len(names)
    assert "instance=mine" in written.replace("\x1b[36m", "").replace("\x1b[0m", "").replace("\x1b[35m", "")
