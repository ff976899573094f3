"""Time that is told, and threads that do their work at once unless it hangs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tests.sim.far import Hang

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class SimClock:
    """The hub's clock: true time, and what somebody set it wrong by."""

    def __init__(self) -> None:
        self.true = 0.0
        self.wrong = 0.0
        self.passing: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return START + timedelta(seconds=self.true + self.wrong)

    def monotonic(self) -> float:
        return self.true

    def wait(self, event: Any, seconds: float | None) -> bool:
        self.pass_(seconds or 0)
        return bool(event.is_set())

    def pass_(self, seconds: float) -> None:
        """Time passes, here and over there."""
        self.true += seconds
        self.passing()


class Lives(Protocol):
    """What threads need of a simulation."""

    clock: SimClock
    hung: list[Hung]

    def while_hanging(self, seconds: float) -> None: ...


class Hung(Future[Any]):
    """A call that outlives its limit; `let_go` ends it."""

    def __init__(self, life: Lives, hang: Hang) -> None:
        super().__init__()
        self.set_running_or_notify_cancel()
        self.life, self.hang, self.until = life, hang, life.clock.true + hang.seconds

    def result(self, timeout: float | None = None) -> Any:
        self.life.while_hanging(timeout or 0)
        if self.done():
            return super().result()
        raise TimeoutError


class Inline:
    """Threads that do the work at once, unless it hangs."""

    def __init__(self, life: Lives, size: int) -> None:
        self.size, self._life = size, life

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args))
        except Hang as hang:
            future = Hung(self._life, hang)
            self._life.hung.append(future)
        except Exception as error:  # noqa: BLE001 - as a future does
            future.set_exception(error)
        return future

    def close(self) -> None: ...
