"""What a process and its descendants cost: readers of mail are processes of their own."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path


def cpu() -> float:
    """Seconds of CPU of this process, of the children it has waited for, and of those that live."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = sum(sum(map(int, fields[11:15])) for fields in alive().values())
    waited = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return waited + ticks / os.sysconf("SC_CLK_TCK")


def alive() -> dict[int, list[str]]:
    """The descendants of this process, with what /proc/PID/stat says after the name."""
    every = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            every[int(file.parent.name)] = file.read_text().rpartition(")")[2].split()
    family = {os.getpid()}
    while more := {pid for pid, fields in every.items() if int(fields[1]) in family} - family:
        family |= more
    return {pid: every[pid] for pid in family - {os.getpid()}}


def peak() -> float:
    """Peak memory in MB: ours (Linux counts it in KB), and what the children have for themselves."""
    own = [line.split() for pid in alive() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
    children = sum(int(line[1]) for line in own if line[0].startswith("Private_"))
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + children) / 1024


# -- all runs ------------------------------------------------------------------------------------
