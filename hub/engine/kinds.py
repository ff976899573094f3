"""The engines by their names in `[engine] kind`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hub.clock import Clock
from hub.config import Config
from hub.engine.embedded import Embedded
from hub.pipeline.parts import Parts
from hub.pipeline.suggest import Answers
from hub.sdk import ConfigError
from hub.store import Store
from hub.threads import Executor


class Engine(Protocol):
    """Calls the steps. The rows are the queue; an engine is only the hand that moves them on."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def wake(self) -> None:
        """There may be something to do."""
        ...

    def alive(self) -> bool:
        """Whether it is at work."""
        ...


def teach(store: Store, config: Config, clock: Clock, *, tables: bool) -> None:
    """Let `store` wake the lanes of a distributed engine; `tables`: make or upgrade its tables first.

    Raises ConfigError where what it needs is not installed.
    """
    if config.engine.kind != "distributed":
        return
    if store.sqlite:
        raise ConfigError('engine.kind = "distributed" needs PostgreSQL: set [database] url')
    try:
        from hub.engine.jobs import Jobs, prepare  # procrastinate comes with an extra
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'engine.kind = "distributed" needs the extra: pip install "tresse[postgres]" ({error.name} is missing)'
        ) from error
    if tables:
        prepare(store)
    store.waker = Jobs().waker(clock.now)


def make_engine(
    config: Config, parts: Parts, answers: Answers, threads: Callable[[str, int], Executor]
) -> Embedded | Engine:
    """The engine of a configuration."""
    if config.engine.kind == "embedded":
        return Embedded(parts, answers, parts.stop, threads)
    from hub.engine.distributed import Distributed
    from hub.engine.jobs import Jobs

    return Distributed(parts, answers, parts.stop, threads, Jobs())
