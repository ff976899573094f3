"""Promises of what brings something in: Reads, Polls, ReportsChanges, Accepts."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from hub.reading.blueprint import rebuilt
from hub.reading.coding import decode, encode
from hub.sdk import Direction, Event, Message, Page, Raw, Rejected, Request
from hub.testing.component import Contract, skip
from hub.testing.fakes import Untouchable

_LATER = datetime(2031, 7, 14, 3, 0, tzinfo=UTC)


class ReadsContract(Contract):
    """`read` is pure: the same bytes give the same messages, years later and in another process."""

    def raws(self) -> list[Raw]:
        """Some good examples of what the source brings; the more different, the better."""
        raise AssertionError("give raws() some examples of what your source brings")

    def test_good_raws_give_something(self) -> None:
        made = self.make()
        for raw in self.raws():
            found = made.read(raw)
            assert found, f"nothing was read from {raw.key}"
            for entry in found:
                _sound(entry)

    def test_reading_is_deterministic(self) -> None:
        one = self.make()
        other = self.make(now=lambda: _LATER, random=random.Random(99))  # noqa: S311
        for raw in self.raws():
            assert one.read(raw) == one.read(raw) == other.read(raw)

    def test_reading_needs_nobody(self) -> None:
        alone: dict[str, Any] = {name: Untouchable(name) for name in ("http", "state", "now", "random")}
        made, reference = self.make(**alone), self.make()
        for raw in self.raws():
            assert made.read(raw) == reference.read(raw)

    def test_reading_works_in_a_process_of_its_own(self) -> None:
        """Built without secrets, network and state; what it gives survives the way back to the hub."""
        made = self.make()
        alone = rebuilt(made)
        for raw in self.raws():
            there = tuple(alone.read(raw))  # type: ignore[attr-defined]
            assert decode(encode(there, raw)) == tuple(made.read(raw))

    def test_junk_is_read_or_rejected(self) -> None:
        """Anything but Rejected would stop a source for one spoilt message."""
        made = self.make()
        for junk in _junk(self.raws()):
            with suppress(Rejected):
                for entry in made.read(junk):
                    _sound(entry)

    def test_junk_does_not_hurt_what_follows(self) -> None:
        made, fresh = self.make(), self.make()
        for junk in _junk(self.raws()):
            with suppress(Rejected):
                made.read(junk)
        for raw in self.raws():
            assert made.read(raw) == fresh.read(raw)


def _sound(entry: Any) -> None:
    """The form the hub relies on."""
    assert isinstance(entry, Message | Event), f"read() gives messages and events, not {type(entry).__name__}"
    assert entry.at.tzinfo is not None, "times carry their zone"
    assert isinstance(entry.direction, Direction)
    if isinstance(entry, Event):
        assert entry.key, "an event needs a key: its stages are merged by it"
    assert entry.customer.kind in ("email", "phone", "handle", "crm")


def _junk(raws: list[Raw]) -> Iterator[Raw]:
    """Spoilt copies, the same in every run: cut, flipped, doubled, foreign."""
    dice = random.Random(2033)  # noqa: S311
    for number, raw in enumerate(raws):
        data = raw.data
        for spoilt in (
            data[: len(data) // 2],
            data[len(data) // 2 :],
            data * 2,
            bytes(dice.randrange(256) if dice.random() < 0.02 else b for b in data),
            data.replace(b"\n", b"\r"),
            data.replace(b"e", b"\xe9\x00"),
        ):
            yield replace(raw, key=f"{raw.key}-junk-{number}", data=spoilt)
        yield replace(raw, data=b"", facts={})
        yield replace(raw, data=dice.randbytes(300))
        yield replace(raw, data=b"{" * 5000)
        yield replace(raw, data=b'{"": [null, 1e999, "\\ud800"]}')


class PollsContract(Contract):
    """`poll` acknowledges late: a page counts as stored only when the next one is asked for."""

    source: ClassVar[str] = "poll"

    def arrive(self, count: int) -> None:
        """Let `count` new things arrive at the source, each different from all before."""
        raise AssertionError("say how something arrives at your source")

    def pages(self, cursor: Any, component: Any = None) -> Iterator[Page]:
        """The pages after `cursor`, of a fresh component unless one is given."""
        return iter(getattr(component or self.make(), self.source)(cursor))

    def drain(self, cursor: Any, limit: int = 100) -> tuple[list[Raw], Any]:
        """Everything after `cursor`, and the cursor behind it."""
        raws: list[Raw] = []
        for number, page in enumerate(self.pages(cursor)):
            raws += page.raws
            cursor = _through_the_database(page.cursor)
            if number >= limit:
                break
        return raws, cursor

    def start(self) -> Any:
        """A cursor from which everything that arrives now is new."""
        return self.drain({})[1]

    def test_everything_arrives_once(self) -> None:
        cursor = self.start()
        self.arrive(3)
        raws, cursor = self.drain(cursor)
        assert len(raws) == 3
        assert len({r.key for r in raws}) == 3
        self.arrive(2)
        more, cursor = self.drain(cursor)
        assert len(more) == 2
        assert not {r.key for r in raws} & {r.key for r in more}
        assert self.drain(cursor)[0] == []

    def test_what_was_not_stored_comes_again(self) -> None:
        cursor = self.start()
        self.arrive(2)
        component = self.make()
        with closing(self.pages(cursor, component)) as pages:  # type: ignore[type-var]
            first = next(page for page in pages if page.raws)
        component.close()  # the hub died before it stored the page
        again = next(page for page in self.pages(cursor) if page.raws)
        assert [(r.key, r.data) for r in again.raws] == [(r.key, r.data) for r in first.raws]

    def test_the_bytes_do_not_depend_on_who_asks(self) -> None:
        cursor = self.start()
        self.arrive(2)
        one = self.drain(cursor)[0]
        if not one:
            skip("the source forgets what was stored")
        assert all(isinstance(r.data, bytes) and r.data for r in one)

    def test_the_cursor_fits_into_the_database(self) -> None:
        self.arrive(2)
        for page in self.pages({}):
            assert _through_the_database(page.cursor) == dict(page.cursor)


class ReportsChangesContract(PollsContract):
    """`changes` obeys the rules of `poll`; `arrive` lets agents write."""

    source: ClassVar[str] = "changes"


def _through_the_database(cursor: Any) -> Any:
    """A cursor as it comes back from its JSON column."""
    return json.loads(json.dumps(dict(cursor)))


class AcceptsContract(Contract):
    """`accept` checks first, stores before it answers, and never raises on what strangers send."""

    def good_request(self) -> Request:
        """A request as the far side sends it, signed where it signs."""
        raise AssertionError("give good_request() a request that is accepted")

    def forged_request(self) -> Request | None:
        """The same with a signature or token that is wrong. None: nothing is signed here."""
        return None

    def test_a_good_request_is_stored_and_answered(self) -> None:
        accepted = self.make().accept(self.good_request())
        assert accepted.raws
        assert all(isinstance(r.data, bytes) and r.key for r in accepted.raws)
        assert 200 <= accepted.reply.status < 400

    def test_what_was_accepted_can_be_read(self) -> None:
        made = self.make()
        if not callable(getattr(made, "read", None)):
            skip("it brings nothing that is read")
        for raw in made.accept(self.good_request()).raws:
            for entry in made.read(raw):
                _sound(entry)

    def test_a_forged_request_is_refused(self) -> None:
        forged = self.forged_request()
        if forged is None:
            skip("nothing is signed here")
        accepted = self.make().accept(forged)
        assert not accepted.raws
        assert accepted.reply.status in (400, 401, 403, 404)

    def test_junk_is_answered(self) -> None:
        made, good = self.make(), self.good_request()
        dice = random.Random(2033)  # noqa: S311
        for body in (b"", b"{", b"\xff\xfe", b"null", b"[]", b'{"a": 1}', dice.randbytes(300), good.body[:-3]):
            for method in ("POST", "GET", "OPTIONS", "DELETE"):
                junk = replace(good, method=method, body=body, form={}, files=(), query={})
                assert 200 <= made.accept(junk).reply.status < 500
