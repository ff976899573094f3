"""A filter in the kernel (seccomp): the process gets no socket it does not have already, of any kind.

A network namespace of one's own is refused in most containers, and Landlock knows TCP from Linux 6.7 on
and UDP never. This needs no rights and works in both. Sockets of this machine are refused as well: a
database or a daemon that trusts the hub's user by its number would trust a reader.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import Any

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # of the kernel's little language
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_SIZE = 8
"""Bytes of an instruction."""
_OTHER_WORDS = 0x40000000
"""From here on numbers of x32: the same calls under other numbers, which nothing of ours uses."""

_CALLS = {
    # socket, socketpair; ptrace, process_vm_readv, process_vm_writev, pidfd_getfd: another process's sockets;
    # io_uring_setup: its rings open sockets without such a call.
    "x86_64": (0xC000003E, (41, 53, 101, 310, 311, 438, 425)),
    "aarch64": (0xC00000B7, (198, 199, 117, 270, 271, 438, 425)),
}
"""By machine: the kernel's name for it, and the calls to refuse. Where a process can speak as another machine
(32 bits), it is refused everything."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def refuse_sockets(libc: Any) -> bool:
    """For good, and for whatever it starts. False on a machine we have no numbers of, and where the kernel will not.

    The process must have said that it wants no new privileges.
    """
    known = _CALLS.get(platform.machine())
    if known is None or struct.calcsize("P") != 8:
        return False
    code = _program(*known)
    held = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // _SIZE, ctypes.addressof(held))
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def _program(architecture: int, calls: tuple[int, ...]) -> bytes:
    """Another architecture, a number of x32 or one of `calls`: EPERM; anything else is allowed."""
    left = len(calls)  # instructions between the one at hand and the last but one, which allows
    code = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_EQUAL, architecture, otherwise=left + 3),
        _step(_LOAD, _NUMBER_AT),
        _step(_AT_LEAST, _OTHER_WORDS, then=left + 1),
    ]
    code += [_step(_EQUAL, call, then=left - place) for place, call in enumerate(calls)]
    return b"".join([*code, _step(_RETURN, _ALLOW), _step(_RETURN, _REFUSE)])


def _step(what: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction; of a comparison, how many instructions are skipped then, and otherwise."""
    return struct.pack("=HBBI", what, then, otherwise, value)
