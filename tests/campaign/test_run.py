"""The command that runs them all: what it shows of what a campaign says, and in which order they come."""

from __future__ import annotations

from tests.campaign.__main__ import FIGURES, PROGRESS, Job


def test_progress_and_figures_are_told_from_noise():
    assert PROGRESS.search("  mail bomb, bomb: 67 of 150 written, 20 s\n")
    assert PROGRESS.search(".  stopped, distributed: 1 of 10 stops, 11 s\n"), "behind a dot of the test before"
    assert FIGURES.search("lease, seed 984927: 6680 messages; overlapping commits 0, kept twice 0\n")
    assert FIGURES.search("  afterwards: 2000 messages, 11174 calls; lost 0, doubled by key 0\n")
    assert FIGURES.search(
        "mail bomb, embedded, seed 7: same channel ...; ratios of medians 1.26 and 1.14; peak 133 MB\n"
    )
    for noise in (
        '{"campaign": "intake", "lost": 0}',
        "E       assert ratio <= goal",
        ">       assert max(ratios) <= goal",
        '        print(f"ratio {ratio}")',
    ):
        assert not FIGURES.search(noise)


def test_what_is_timed_comes_last_and_the_longest_first():
    tests = ["test_bomb.py::a", "test_stop.py::a", "test_lease.py::a", "test_pipeline.py::a"]
    places = {test: Job(test, test).place for test in tests}
    assert sorted(tests, key=lambda test: places[test]) == [tests[3], tests[2], tests[1], tests[0]]
