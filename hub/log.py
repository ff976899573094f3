"""One line per event, structured, with the instance's id in it.

Customers' text is never logged above DEBUG, and secrets never: a value under a key that
names a secret is replaced here, whoever logs it.
"""

from __future__ import annotations

import logging
import re
import sys
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
            event[name] = _ADDRESS.sub("***@", value)
    return event


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
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # looked up at each line: tests exchange it
        cache_logger_on_first_use=False,
    )
    # A tick that finds the last one still at work is skipped on purpose.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    # Libraries speak through logging; their chatter (a URL with a token in it) stays below WARNING.
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", force=True
    )


def logger(**facts: Any) -> Any:
    """A logger with `facts` bound (the instance's id)."""
    return structlog.get_logger(**facts)
