"""One line per event, structured, with the instance's id in it.

Customers' text is never logged above DEBUG, and secrets never: a value under a key that
names a secret is replaced here, whoever logs it.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_WORDS = ("password", "secret", "token", "authorization", "cookie", "key")


_ADDRESS = re.compile(r"[\w.+-]{1,64}@(?=[\w-])")
"""The part of an e-mail address that names a person: a server's refusal quotes it."""


def _hide(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Secrets by the name of their key, people by the look of their address."""
    for name, value in event.items():
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "***"
        elif isinstance(value, str) and "@" in value:
            event[name] = masked(value)
    return event


def masked(text: str) -> str:
    """`text` without the part of an e-mail address that names a person."""
    return _ADDRESS.sub("***@", text)


def configure(level: str = "INFO", style: str = "line") -> None:
    """Set up logging for the process. `style` is ``line`` (people) or ``json`` (collectors)."""
    render: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if style == "line":
        render = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if style == "json" else structlog.processors.StackInfoRenderer(),
            _hide,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: _Lines(sys.stderr),  # looked up at each line: tests exchange it
        cache_logger_on_first_use=False,
    )
    # A tick that finds the last one still at work is skipped on purpose.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # A line for each request that waits for a thread: under load, more than the requests cost.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    # While the database is away these tell of each try; we tell of it once.
    for library in ("psycopg.pool", "procrastinate"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    # Libraries speak through logging; their chatter (a URL with a token in it) stays below WARNING.
    logging.basicConfig(level=logging.WARNING, handlers=[_Libraries()], force=True)


class _Lines(structlog.WriteLogger):
    """A line that cannot be written (a full disk, a reader that is gone) must not end what it tells of.

    Text and line's end in one write: several processes share a file.
    """

    def msg(self, message: str) -> None:
        """Write a line, if it can be written."""
        with contextlib.suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = err = error = critical = fatal = exception = failure = msg


class _Libraries(logging.Handler):
    """What libraries say, in lines like ours; of an exception its place, and its words only at DEBUG."""

    def emit(self, record: logging.LogRecord) -> None:
        """One record, one line."""
        error = record.exc_info[1] if record.exc_info else None
        facts = {"error": type(error).__name__, "where": place(error)} if error is not None else {}
        logger(library=record.name, **facts).log(record.levelno, " ".join(record.getMessage().split()))
        if error is not None:
            logger(library=record.name).debug("in words", text=str(error))


def place(error: BaseException) -> str:
    """Where an exception was raised, innermost first. Its words may quote a customer, so they are not in here."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{f.filename.rsplit('/', 2)[-1]}:{f.lineno} {f.name}" for f in reversed(frames))


def logger(**facts: Any) -> Any:
    """A logger with `facts` bound (the instance's id)."""
    return structlog.get_logger(**facts)


def lowest() -> int:
    """The lowest level that is logged, as `logging` counts: what lies below need not be put together."""
    return int(logger().get_effective_level())
