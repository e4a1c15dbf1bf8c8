"""The system calls that a stranger's build is denied, as a seccomp filter for bubblewrap.

No namespace divides the keys that the kernel holds of a user, and memory that no process has
mapped (a memfd, a segment of System V) is not seen by the watch. The others are no business of
a build, and had more defects in the kernel than most.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Machine:
    """The audit number of an architecture (linux/audit.h), and its numbers of system calls."""

    audit: int
    denied: Mapping[str, int]


_MACHINES = {
    "x86_64": _Machine(
        0xC000003E,
        {
            "shmget": 29,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "perf_event_open": 298,
            "memfd_create": 319,
            "bpf": 321,
            "userfaultfd": 323,
            "io_uring_setup": 425,
            "memfd_secret": 447,
        },
    ),
    "aarch64": _Machine(
        0xC00000B7,
        {
            "shmget": 194,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "perf_event_open": 241,
            "memfd_create": 279,
            "bpf": 280,
            "userfaultfd": 282,
            "io_uring_setup": 425,
            "memfd_secret": 447,
        },
    ),
}
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCH = 0, 4
_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
_X32 = 0x40000000


def program(machine: str) -> bytes:
    """The filter for a machine as ``uname -m`` names it; empty where khoci has none.

    System calls of another architecture, which the kernel may have beside its own, are denied.
    """
    if machine not in _MACHINES:
        return b""
    known = _MACHINES[machine]
    tests = [(_AT_LEAST, _X32), *((_EQUAL, number) for number in known.denied.values())]
    left = len(tests)
    rows = [
        (_LOAD, 0, 0, _ARCH),
        (_EQUAL, 0, left + 2, known.audit),
        (_LOAD, 0, 0, _NUMBER),
        *((code, left - index, 0, value) for index, (code, value) in enumerate(tests)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _DENY),
    ]
    return b"".join(struct.pack("=HBBI", *row) for row in rows)


@contextmanager
def filter_file() -> Iterator[int | None]:
    """A file that bubblewrap can read the filter of this machine from, once; or none."""
    content = program(os.uname().machine)
    if not content:
        yield None
        return
    reader, writer = os.pipe()
    try:
        with os.fdopen(writer, "wb") as file:
            file.write(content)
        yield reader
    finally:
        os.close(reader)
