"""Outcomes on their way between processes: what is right comes back as it was, and nothing else comes back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, PrivateAttr, SecretBytes, SecretStr

from hub.reading import Unread
from hub.reading.blueprint import blank
from hub.reading.coding import JUNK, decode, encode
from hub.sdk import Attachment, Direction, Event, Identity, Message, Proof, Raw, Secret, Settings

RAW = Raw("k", b"data")
AT = datetime(2026, 11, 23, 9, 0, 1, 500, tzinfo=UTC)
WHO = Identity("email", "zoë@customer.example", "Zoë")

texts = st.text(st.characters(), max_size=30)  # lone surrogates too: mails hold them
identities = st.builds(Identity, texts, texts, texts)
attachments = st.builds(Attachment, texts, texts, st.integers(0, 2**40), texts, st.booleans(), st.integers(0, 99))
times = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))
messages = st.builds(
    Message,
    st.sampled_from(Direction),
    identities,
    identities,
    times,
    text=texts,
    proof=st.sampled_from(Proof),
    may_acknowledge=st.booleans(),
    references=st.lists(texts, max_size=3).map(tuple),
    attachments=st.lists(attachments, max_size=2).map(tuple),
    facts=st.dictionaries(texts, texts, max_size=3),
)
events = st.builds(
    Event, texts, texts, identities, times, data=st.dictionaries(texts, st.one_of(texts, st.integers(), st.none()))
)


@given(st.lists(st.one_of(messages, events), max_size=4).map(tuple))
def test_everything_that_was_said_comes_back(said):
    assert decode(encode(said, RAW)) == said


@given(texts)
def test_a_reason_comes_back(reason):
    assert decode(encode(Unread("ValueError", reason), RAW)) == Unread("ValueError", reason)


@dataclass(frozen=True, slots=True)
class Mine(Message):
    """A plugin's own kind of message."""

    more: str = ""


def test_a_plugins_own_kind_of_message_is_a_message():
    mine = Mine(Direction.IN, WHO, WHO, AT, text="Bonjour", facts=MappingProxyType({"a": "b"}), more="mine")
    assert decode(encode((mine,), RAW)) == (Message(Direction.IN, WHO, WHO, AT, text="Bonjour", facts={"a": "b"}),)


def message(**changes: Any) -> bytes:
    """A coded message with other values in some of its fields."""
    coded = json.loads(encode((Message(Direction.IN, WHO, WHO, AT),), RAW))
    for place, value in changes.items():
        coded[1][1][int(place[1:])] = value
    return json.dumps(coded).encode()


def test_it_is_the_change_that_is_refused():
    assert decode(message())


@pytest.mark.parametrize(
    "coded",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'["said", 7]',
        b'["said", ["profile", []]]',
        b'["said", ["message", []]]',
        b'["unread", "ValueError"]',
        b'["unread", "ValueError", 7]',
        b'["other", "ValueError", "x"]',
        b"\x80\x04K\x07.",
        b"\xff\xfe",
        message(_0="sideways"),
        message(_1=None),
        message(_1=["email", "a@b.example"]),
        message(_1="email"),
        message(_3="yesterday"),
        message(_3=7),
        message(_5=["a", "list"]),
        message(_5={"a": "table"}),
        message(_5=None),
        message(_12=1),
        message(_15="<a>"),
        message(_15=["<a>", 7]),
        message(_19=[["name", "type", "many", "hash", False, 0]]),
        message(_19=[["name", "type", True, "hash", False, 0]]),
        b"[" * 100_000,
        b'["said"' + b',["event",[]]' * 3 + b"]",
    ],
)
def test_anything_else_is_refused(coded):
    with pytest.raises(ValueError, match="not an outcome"):
        decode(coded)


def test_what_no_json_can_hold_is_junk():
    circle: dict[str, Any] = {}
    circle["self"] = circle
    for data in ({"a": object()}, {"a": b"bytes"}, circle):
        assert decode(encode((Event("note", "k", WHO, AT, data=data),), RAW)) == JUNK
    for said in (("text",), (None,), (WHO,), ({},)):
        assert decode(encode(said, RAW)) == JUNK


def test_an_errors_name_is_a_name():
    assert decode(encode(Unread("words of a customer", "x"), RAW)) == Unread("unknown", "x")
    assert len(decode(encode(Unread("E" * 999, "x" * 9999), RAW)).reason) == 500


# -- secrets -----------------------------------------------------------------------------------


class Below(Settings):
    token: Secret = Field(Secret(""), description="A secret.", alias="api-token")


class Holding(Settings):
    password: Secret = Field(description="A secret.")
    below: Below = Field(description="A table.")
    key: SecretBytes = Field(description="A secret in bytes.")
    each: dict[str, list[Secret]] = Field(description="Deep.")
    maybe: Secret | None = Field(None, description="None is no secret.")
    pair: tuple[str, Secret] = Field(description="A pair.")
    _made: str = PrivateAttr("")

    def model_post_init(self, _: Any) -> None:
        self._made = f"Basic {self.password.get_secret_value()}"
        self.__dict__["cached"] = self.password.get_secret_value()


def secrets_of(settings: Holding) -> list[Any]:
    found = [settings.password, settings.below.token, settings.key, *settings.each["a"], settings.pair[1]]
    return [one.get_secret_value() for one in found]


def test_every_secret_is_blank_and_nothing_else():
    written = {
        "password": "canary-1",
        "below": {"api-token": "canary-2"},
        "key": b"canary-3",
        "each": {"a": ["canary-4"]},
        "pair": ["kept", "canary-5"],
    }
    settings = Holding.model_validate(written)
    assert all(secrets_of(settings))
    blanked = blank(settings)
    assert isinstance(blanked, Holding)
    assert secrets_of(blanked) == ["", "", b"", "", ""]
    assert blanked.pair[0] == "kept"
    assert blanked.maybe is None
    assert blanked._made == "Basic "
    assert "canary" not in repr(vars(blanked))
    assert all(secrets_of(settings)), "the hub keeps its own"


def test_a_secret_of_an_unknown_kind_is_handed_to_nobody():
    class Odd:
        def get_secret_value(self) -> int:
            return 7

    with pytest.raises(TypeError):
        blank([SecretStr("x"), Odd()])
