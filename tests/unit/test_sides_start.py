"""Processes of one hub that start at the same moment do not stand in each other's way."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from hub.store import Store, sides


def test_two_that_start_at_once_do_not_wait_for_each_other(postgres, monkeypatch):
    """A set has another order in each process: one held the first row and waited for the second, one the reverse."""
    store, real = Store(postgres.new_hub_database()), sides.save_side
    second = threading.Event()

    def slow(connection: Any, name: str, *rest: Any) -> Any:
        written = real(connection, name, *rest)
        second.wait(0.5)  # the other one has its first row by now, where it may
        return written

    def begin(names: list[str]) -> None:
        with store.write() as connection:
            sides.begin_sides(connection, dict.fromkeys(names).keys(), {}, datetime(2026, 1, 5, tzinfo=UTC))  # type: ignore[arg-type]

    monkeypatch.setattr(sides, "save_side", slow)
    with ThreadPoolExecutor(2) as threads:
        began = [threads.submit(begin, ["one", "two"])]
        time.sleep(0.1)
        began.append(threads.submit(begin, ["two", "one"]))
        for one in began:
            one.result(20)
    store.close()
