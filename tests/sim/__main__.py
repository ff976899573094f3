"""`python -m tests.sim`: repeat what a test printed, or run a campaign."""

from __future__ import annotations

import argparse
import sys
import time

from hub.log import configure
from tests.sim.run import STEPS, Result, play


def main() -> int:
    """Play one seed and print its history, or many and print the figures."""
    asked = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    asked.add_argument("--seed", type=int, help="play this one and print what happened")
    asked.add_argument("--first", type=int, default=1, help="the first seed of a campaign")
    asked.add_argument("--seeds", type=int, default=100, help="how many")
    asked.add_argument("--steps", type=int, default=STEPS, help="things that happen before everything heals")
    told = asked.parse_args()
    configure("CRITICAL")
    if told.seed is not None:
        result = play(told.seed, told.steps)
        print("\n".join(result.history))
        print(f"\nseed {told.seed}: {result.violations or 'no violation'}")
        return bool(result.violations)
    return campaign(told.first, told.seeds, told.steps)


def campaign(first: int, seeds: int, steps: int = STEPS) -> int:
    """Play many seeds; every failing one is printed with the command that repeats it."""
    began, done, failed = time.perf_counter(), [], 0
    for seed in range(first, first + seeds):
        result = play(seed, steps)
        result.history.clear()
        done.append(result)
        if result.violations:
            failed += 1
            print(f"seed {seed}: {result.violations}\n  repeat: python -m tests.sim --seed {seed}", flush=True)
        if len(done) % 100 == 0 and len(done) < seeds:
            print(figures(done, time.perf_counter() - began), flush=True)
    print(figures(done, time.perf_counter() - began))
    return int(failed > 0)


def figures(done: list[Result], seconds: float) -> str:
    """What a campaign saw."""
    total = {
        name: sum(getattr(one, name) for one in done)
        for name in ("events", "crashes", "points", "calls", "effects", "repeated")
    }
    wrong = sum(bool(one.violations) for one in done)
    return (
        f"{len(done)} seeds ({done[0].seed} to {done[-1].seed}) in {seconds:.1f} s, {len(done) / seconds:.1f} a second; "
        + ", ".join(f"{number} {name}" for name, number in total.items())
        + f"; seeds with a violation: {wrong}"
    )


if __name__ == "__main__":
    sys.exit(main())
