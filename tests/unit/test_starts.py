"""Processes that start together on one database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hub.store import Store
from hub.store.sides import begin_sides

NAMES = [f"instance{n}" for n in range(30)]
NOW = datetime(2026, 11, 23, tzinfo=UTC)


class Backwards(set[str]):
    """A set as another process has it: in another order."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(NAMES, reverse=True))


class Forwards(set[str]):
    def __iter__(self) -> Iterator[str]:
        return iter(sorted(NAMES))


@pytest.mark.timeout(60)
def test_workers_that_start_together_do_not_lock_each_other_out(postgres):
    url = postgres.new_hub_database()
    failed: list[BaseException] = []
    together = threading.Barrier(2)

    def start(names: set[str]) -> None:
        store = Store(url)
        try:
            for _ in range(20):
                together.wait(20)
                with store.write() as connection:
                    begin_sides(connection, names, {}, NOW)
        except BaseException as error:  # noqa: BLE001 - told by the test
            failed.append(error)
            together.abort()
        finally:
            store.close()

    threads = [threading.Thread(target=start, args=(kind(NAMES),)) for kind in (Forwards, Backwards)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
