"""What a plugin logs while it reads, on its way from the reader to the hub's log.

A line is a frame in front of the raw's outcome, sent at once: those before a crash arrive. A mail may
make its plugin log without end, and a reader that was taken over may say anything; so the reader sends
few and short lines, and the hub takes no more, of a raw and of a minute, and nothing but plain values.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from hub.sdk.components import Log

LOGGED = b'["logged",'
"""How such a frame begins."""
LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}
MOST = 10
"""Lines about one raw; one more says that others were left out."""
WORDS, FACTS, NAME = 200, 10, 40
"""Characters of an event and of a value; facts of a line, and characters of a fact's name."""
LARGEST = 16 * 1024
"""Bytes of a frame: what lies within the bounds above, however it is escaped."""
MINUTE, A_MINUTE = 60.0, 100
"""Lines of one instance in so many seconds; beyond that, one says that others are left out."""
_OURS = {
    *("event", "level", "timestamp", "instance", "logger", "logger_name", "positional_args"),
    *("exc_info", "exception", "stack", "stack_info", "self", "method_name"),
}
"""Names that mean something to the hub's log: no plugin's own."""
_PLAIN = (str, int, float, bool, type(None))


class ReaderLog:
    """`context.log` in a reader. Silent while nothing is read: what a constructor says, the hub's own has said."""

    def __init__(self, lowest: int, send: Callable[[bytes], None]) -> None:
        self._lowest, self._send = lowest, send
        self._left = -1

    def begin(self) -> None:
        """A raw is read from here on."""
        self._left = MOST

    def end(self) -> None:
        """Nothing is read any more."""
        self._left = -1

    def debug(self, event: str, **facts: Any) -> None:
        self._say("debug", event, facts)

    def info(self, event: str, **facts: Any) -> None:
        self._say("info", event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        self._say("warning", event, facts)

    def error(self, event: str, **facts: Any) -> None:
        self._say("error", event, facts)

    def _say(self, level: str, event: str, facts: dict[str, Any]) -> None:
        if self._left < 0 or LEVELS[level] < self._lowest:
            return
        self._left -= 1
        if self._left < 0:
            level, event, facts = "warning", "the plugin says more about this message; it is left out", {}
        self._send(encode(level, event, facts))


def encode(level: str, event: str, facts: Mapping[str, Any]) -> bytes:
    """A line as a frame, cut to what it may hold."""
    short = {_name(name): _value(name, value) for name, value in list(facts.items())[:FACTS]}
    coded = json.dumps(["logged", level, str(event)[:WORDS], short], ensure_ascii=False, separators=(",", ":"))
    return coded.encode("utf-8", "surrogatepass")


def _name(name: str) -> str:
    if name == "exc_info":
        return "error"
    return f"{name[: NAME - 1]}_" if name in _OURS else name[:NAME]


def _value(name: str, value: Any) -> Any:
    if name == "exc_info":  # the kind of an exception; its words may quote a customer, and its places lie here
        error = value if isinstance(value, BaseException) else sys.exc_info()[1]
        return type(error).__name__[:WORDS]
    if type(value) is int and abs(value) < 2**63:
        return value
    if type(value) in (float, bool, type(None)):
        return value
    try:
        return str(value)[:WORDS]
    except Exception:  # noqa: BLE001 - a value that cannot be told must not make a mail unreadable
        return type(value).__name__[:WORDS]


def decode(frame: bytes) -> tuple[str, str, dict[str, Any]]:
    """Level, event and facts. Raises ValueError for anything that no reader of ours would send."""
    if len(frame) > LARGEST:
        raise ValueError("too long a line")
    try:
        _, level, event, facts = json.loads(frame.decode("utf-8", "surrogatepass"))
        if level not in LEVELS or not isinstance(event, str) or len(facts) > FACTS:
            raise ValueError(level)
        return level, printable(event), {_checked(name): _plain(value) for name, value in facts.items()}
    except (AttributeError, TypeError, RecursionError) as why:
        raise ValueError("no line") from why


def _checked(name: str) -> str:
    if not name.isidentifier() or name in _OURS or len(name) > NAME:
        raise ValueError("no name of a fact")
    return name


def _plain(value: Any) -> Any:
    if type(value) not in _PLAIN or (type(value) is int and abs(value) >= 2**63):
        raise ValueError("no plain value")
    return printable(value) if isinstance(value, str) else value


def printable(text: str) -> str:
    """One short line of it: nothing in it can end the line or speak to a terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text[:WORDS].split()))


class Lines:
    """What an instance's readers log, for the hub's log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._until, self._left = float("-inf"), 0

    def take(self, frame: bytes) -> None:
        """Log one line. Raises ValueError where it is none."""
        level, event, facts = decode(frame)
        now = time.monotonic()
        if now >= self._until:
            self._until, self._left = now + MINUTE, A_MINUTE
        if self._left > 0:
            getattr(self._log, level)(event, **facts)
            self._left -= 1
            if self._left == 0:
                self._log.warning("its plugin logs too much while it reads; the rest of this minute is left out")
