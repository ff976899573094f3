"""Hostile text must cost no more than its length: that is a bound on time, on machines of any speed.

What a block costs is its own thread's CPU time, so nobody else's work counts; and a machine that is
slow (old, shared, in a bad minute) is asked how slow, by a piece of work of the same kind, before a
block is called too dear. How quick the hub is stands in `bench/`, not here: what these tests look for
takes hundreds of times as long as the bound.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

# What `_work` took on the machine the bounds were written on, seconds of CPU.
USUAL = 0.015
_WORDS = re.compile(r"(\w+) (\w+)")


@contextmanager
def cheap(seconds: float, what: str = "it") -> Iterator[None]:
    """The block may cost so many seconds of CPU on a usual machine, and in proportion on a slower one."""
    began = time.thread_time()
    yield
    took = time.thread_time() - began
    if took >= seconds:
        slower = max(1.0, max(_work() for _ in range(3)) / USUAL)
        assert took < seconds * slower, (
            f"{what}: {took:.2f} s of CPU, and this machine takes {slower:.1f} times as long as usual"
        )


def _work() -> float:
    began = time.thread_time()
    for _ in range(20):
        _WORDS.sub(r"\2 \1", "some words " * 1000).split()
    return time.thread_time() - began
