"""A fence in the kernel (Landlock): the process may read Python's libraries and nothing else.

A reader has the hub's own user: without this it could open the hub's key, its configuration and its
database, and trace or kill the hub. Kernels since 5.13 know it; the newer, the more they can refuse.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the same on every architecture we know
_VERSION, _PATH_BENEATH = 1, 1
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILES = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights on files each version knows; what is not given back by a rule is refused."""
_TCP, _SCOPES = 0b11, 0b11
"""Binding and connecting; abstract sockets and signals to others."""
_SYSTEM = ("/usr/lib", "/usr/local/lib", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/dev/null")


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version(libc: Any) -> int:
    """How much the kernel can refuse; below 1 nothing."""
    return int(libc.syscall(_CREATE, None, 0, _VERSION))


def fence(libc: Any) -> bool:
    """Fence this process in, for good. False where the kernel cannot."""
    known = version(libc)
    if known < 1:
        return False
    rules = _Ruleset((1 << _FILES[min(known, max(_FILES))]) - 1, _TCP, _SCOPES)
    size = 8 if known < 4 else 16 if known < 6 else 24
    ruleset = libc.syscall(_CREATE, ctypes.byref(rules), size, 0)
    if ruleset < 0:
        return False
    for place in {*_SYSTEM, *_libraries()}:
        _allow(libc, ruleset, place)
    done = libc.syscall(_RESTRICT, ruleset, 0) == 0
    os.close(ruleset)
    return bool(done)


def _allow(libc: Any, ruleset: int, place: str) -> None:
    """Reading `place`, and what lies beneath it."""
    with suppress(OSError):
        there = os.open(place, os.O_PATH | os.O_CLOEXEC)
        allowed = _READ_FILE | (_READ_DIR if Path(place).is_dir() else 0)
        libc.syscall(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(_Beneath(allowed, there)), 0)
        os.close(there)


def _libraries() -> Iterator[str]:
    """Where modules that are not loaded yet may come from.

    Of an import path only the packages that were imported: beside them may lie the hub's own files.
    """
    for name in ("stdlib", "platstdlib", "purelib", "platlib"):
        yield sysconfig.get_path(name)
    for name, module in list(sys.modules.items()):
        if "." not in name:
            yield from getattr(module, "__path__", ()) or filter(None, [getattr(module, "__file__", None)])
