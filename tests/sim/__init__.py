"""The simulator: a whole hub in one thread, where one seed decides everything, crashes included.

`crash.py` dies, `far.py` and `parts.py` are the world outside, `moods.py` is what goes wrong there,
`life.py` is the hub over its deaths, `people.py` and `admin.py` act, `judge.py` counts at the end,
`run.py` plays one seed, `sweep.py` dies once at every point, `bugs.py` proves that the judge can fail.
`python -m tests.sim --help` repeats what a test printed.
"""
