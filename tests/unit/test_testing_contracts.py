"""The contract tests themselves: each promise fails for a component that breaks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from hub.sdk import (
    Accepted,
    AuthError,
    Channel,
    Direction,
    Effect,
    Event,
    Identity,
    Matcher,
    Message,
    Outgoing,
    Page,
    Raw,
    Reply,
    Request,
    Scored,
    Secret,
    Settings,
    Unavailable,
)
from hub.testing import (
    AcceptsContract,
    Answered,
    ComponentContract,
    FarSide,
    MatcherContract,
    PollsContract,
    ReadsContract,
    SendsContract,
    closed_port,
    fake_context,
    raises,
    values,
)

ALICE = Identity("email", "alice@customer.example")


class GoodSettings(Settings):
    url: str = Field("http://127.0.0.1:1", description="Where it is.")
    token: Secret = Field(Secret("t"), description="Its token.")


class Good(Channel[GoodSettings]):
    """A channel over a list in memory that keeps every promise; the bad ones below each break one."""

    name = "good"
    summary = "Keeps its promises."
    settings_model = GoodSettings
    interval = 1.0
    blind = False
    arrived: list[bytes] = []  # noqa: RUF012 - the far side, shared by all components of a test
    out: dict[str, str] = {}  # noqa: RUF012

    def check(self) -> None:
        import requests

        try:
            answer = self.context.http.get(self.settings.url, timeout=2)
        except requests.RequestException:
            raise Unavailable("it does not answer") from None
        if answer.status_code == 401:
            raise AuthError("it refuses the token")

    def poll(self, cursor: Any) -> Any:
        for number in range(int(cursor.get("n", 0)), len(self.arrived)):
            yield Page((Raw(str(number), self.arrived[number]),), {"n": number + 1})

    def read(self, raw: Raw) -> list[Message | Event]:
        at = values.later(0)
        return [Message(Direction.IN, ALICE, ALICE, at, text=raw.data.decode("utf-8", "replace"))]

    def accept(self, request: Request) -> Accepted:
        if request.headers.get("x-token") != "t":
            return Accepted((), Reply(403))
        return Accepted((Raw(request.path, request.body or b"-"),), Reply(200))

    def send(self, outgoing: Outgoing, effect: Effect) -> str:
        self.out.setdefault(effect.key, outgoing.text)
        return f"sent-{effect.key}"


class Promises(PollsContract, ReadsContract, AcceptsContract, SendsContract, ComponentContract):
    """All that `Good` promises. Not called Test...: each test below collects it by hand."""

    component: Any = Good

    def begin(self) -> None:
        Good.arrived, Good.out = [], {}
        self.far = FarSide(Answered(401)).__enter__()

    def end(self) -> None:
        self.far.__exit__()

    def settings(self) -> dict[str, Any]:
        return {"url": self.far.address}

    def outage(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{closed_port()}"}

    def refused(self) -> dict[str, Any]:
        return self.settings()

    def arrive(self, count: int) -> None:
        Good.arrived += [f"letter {len(Good.arrived) + i}".encode() for i in range(count)]

    def raws(self) -> list[Raw]:
        return [Raw("1", b"hello"), Raw("2", "où ?".encode())]

    def good_request(self) -> Request:
        return Request("POST", "/1", {"x-token": "t"}, {}, b'{"text": "hello"}', "127.0.0.1")

    def forged_request(self) -> Request:
        return Request("POST", "/1", {"x-token": "x"}, {}, b'{"text": "hello"}', "127.0.0.1")

    def sent(self) -> list[Any]:
        return list(Good.out.values())

    def test_the_sample_parses(self) -> None:
        """`Good` lives in a test: it has no file."""


def failures(promises: type[Any], component: type[Any], tmp_path: Path) -> set[str]:
    """Run the promises on `component` as pytest would; the names of those that failed."""
    told = promises()
    told.component = component
    failed = set()
    for name in dir(promises):
        if not name.startswith("test_"):
            continue
        told.setup_method()
        try:
            getattr(told, name)()
        except Exception:  # noqa: BLE001 - any failure counts
            failed.add(name)
        except pytest.skip.Exception:
            pass
        finally:
            told.teardown_method()
    return failed


def test_a_good_component_keeps_every_promise(tmp_path: Path) -> None:
    assert failures(Promises, Good, tmp_path) == set()


def broken(**methods: Any) -> type[Good]:
    return type("Broken", (Good,), methods)


class Undescribed(Settings):
    url: str = ""
    token: Secret = Secret("t")


class Lenient(GoodSettings, extra="ignore"):
    pass


class Chatty(GoodSettings):
    token: str = Field("", description="A secret that is not declared as one, and its type says so.")  # type: ignore[assignment]


def early(self: Good, cursor: Any) -> Any:
    """Forgets a letter as soon as it is handed out."""
    while Good.arrived:
        yield Page((Raw("x", Good.arrived.pop(0)),), {})


def same_key(self: Good, cursor: Any) -> Any:
    for number in range(int(cursor.get("n", 0)), len(self.arrived)):
        yield Page((Raw("always", self.arrived[number]),), {"n": number + 1})


def impure(self: Good, raw: Raw) -> Any:
    return [Message(Direction.IN, ALICE, ALICE, self.context.now(), text="x")]


def looks_back(self: Good, settings: Any, context: Any) -> None:
    """A constructor that cannot do without a secret."""
    Channel.__init__(self, settings, context)
    assert settings.token.get_secret_value()


def brittle(self: Good, raw: Raw) -> Any:
    return [Message(Direction.IN, ALICE, ALICE, values.later(0), text=raw.data.decode())]


def logs_token(self: Good) -> None:
    self.context.log.info("trying", token=self.settings.token.get_secret_value())
    raise Unavailable("away")


def raises_oserror(self: Good) -> None:
    raise OSError("refused")


def sends_again(self: Good, outgoing: Outgoing, effect: Effect) -> str:
    Good.out[str(len(Good.out))] = outgoing.text
    return "sent"


def trusts(self: Good, request: Request) -> Accepted:
    return Accepted((Raw("1", request.body),), Reply(200))


def parses(self: Good, request: Request) -> Accepted:
    json.loads(request.body)
    return Good.accept(self, request)


@pytest.mark.parametrize(
    ("component", "breaks"),
    [
        (broken(settings_model=Undescribed), {"test_every_setting_is_described"}),
        (broken(settings_model=Lenient), {"test_an_unknown_setting_is_refused"}),
        (broken(summary=""), {"test_the_hub_accepts_the_class"}),
        (broken(sdk=">=2"), {"test_the_hub_accepts_the_class"}),
        (broken(check=logs_token), {"test_secrets_are_never_shown", "test_refused_credentials_are_an_auth_error"}),
        (broken(check=raises_oserror), {"test_an_outage_is_unavailable", "test_refused_credentials_are_an_auth_error"}),
        (broken(poll=early), {"test_what_was_not_stored_comes_again", "test_everything_arrives_once"}),
        (broken(poll=same_key), {"test_everything_arrives_once"}),
        (
            broken(read=impure),
            {
                "test_reading_is_deterministic",
                "test_reading_needs_nobody",
                "test_reading_works_in_a_process_of_its_own",
            },
        ),
        (broken(__init__=looks_back), {"test_reading_works_in_a_process_of_its_own"}),
        (broken(read=brittle), {"test_junk_is_read_or_rejected", "test_junk_does_not_hurt_what_follows"}),
        (broken(read=lambda self, raw: []), {"test_good_raws_give_something"}),
        (broken(send=sends_again), {"test_one_effect_is_sent_once"}),
        (broken(accept=trusts), {"test_a_forged_request_is_refused"}),
        (broken(accept=parses), {"test_junk_is_answered"}),
        (broken(interval=0), {"test_abilities_say_what_the_hub_needs_to_know"}),
    ],
)
def test_a_broken_promise_is_noticed(component: type[Any], breaks: set[str], tmp_path: Path) -> None:
    assert failures(Promises, component, tmp_path) == breaks


class MatcherSettings(Settings):
    pass


class Words(Matcher[MatcherSettings]):
    name = "words"
    summary = "Shared words."
    settings_model = MatcherSettings

    def __init__(self, settings: MatcherSettings, context: Any) -> None:
        super().__init__(settings, context)
        self.known: tuple[str, dict[str, Any]] = ("", {})

    def check(self) -> None:
        return None

    def index(self, answers: Any, revision: str) -> None:
        self.known = (revision, {a.id: (a.language, set(a.title.lower().split())) for a in answers})

    def indexed(self) -> str:
        return self.known[0]

    def suggest(self, question: str, language: str, limit: int) -> list[Scored]:
        asked = {w for w in question.lower().split() if w.isalpha()}
        found = [Scored(i, len(asked & w)) for i, (lang, w) in self.known[1].items() if lang == language and asked & w]
        return sorted(found, key=lambda s: -s.score)[:limit]


def in_two_steps(self: Words, answers: Any, revision: str) -> None:
    import time

    self.known = (revision, {})
    time.sleep(0.01)
    Words.index(self, answers, revision)


def adds_only(self: Words, answers: Any, revision: str) -> None:
    before = self.known[1]
    Words.index(self, answers, revision)
    self.known = (revision, {**before, **self.known[1]})


def short_only(self: Words, question: str, language: str, limit: int) -> list[Scored]:
    if len(question) > 1000:
        raise ValueError("too long")
    return Words.suggest(self, question, language, limit)


SCORES, STAYS = "test_scores_are_ordered_and_limited", "test_what_stays_behind_is_known_or_gone"
WORDLESS, HOSTILE = "test_a_question_without_words_finds_nothing", "test_hostile_questions_are_questions"


@pytest.mark.parametrize(
    ("methods", "breaks"),
    [
        ({}, set()),
        (
            {"suggest": lambda s, q, la, li: Words.suggest(s, q, la, li)[::-1]},
            {SCORES, "test_a_question_finds_its_answer"},
        ),
        ({"suggest": lambda s, q, la, li: Words.suggest(s, q, la, 99)}, {SCORES}),
        ({"suggest": lambda s, q, la, li: Words.suggest(s, q or "où", la, li)}, {WORDLESS}),
        ({"suggest": short_only}, {HOSTILE}),
        ({"index": in_two_steps}, {"test_nobody_sees_half_an_index"}),
        ({"index": adds_only}, {"test_indexing_replaces_everything", "test_nobody_sees_half_an_index"}),
        ({"indexed": lambda s: s.known[0] or "one"}, {"test_an_empty_base_is_silent", STAYS}),
    ],
)
def test_a_matchers_promises(methods: dict[str, Callable[..., Any]], breaks: set[str], tmp_path: Path) -> None:
    assert failures(MatcherContract, type("Broken", (Words,), methods), tmp_path) == breaks


def test_raises_fails_where_nothing_is_raised() -> None:
    with pytest.raises(AssertionError, match="nothing was raised"), raises(ValueError):
        pass


def test_the_fake_state_swaps_as_the_database_does(tmp_path: Path) -> None:
    state = fake_context(tmp_path).state
    assert state.swap("k", None, "a")
    assert not state.swap("k", None, "b")
    assert state.swap("k", "a", "b")
    assert state.get("k") == "b"
