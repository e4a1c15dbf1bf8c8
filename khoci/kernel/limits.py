"""What the build of a stranger's code may take of the machine, and what it takes."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.proc import require_tool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 512
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one run of make in the sandbox may take.

    ``seconds`` on the clock. ``processes`` at once, and ``memory_mb`` that they hold together in
    RAM; ``spare_mb`` of the host's RAM stay available whoever takes it. ``process_mb`` of address
    space of one process; ``file_mb`` of one file. ``disk_mb`` of all objects, in folders that are
    nested at most ``depth`` deep; ``free_mb`` stay free on their disk whoever takes it.
    ``tmp_mb`` of ``/tmp``, which is RAM; ``log_mb`` of output.

    The kernel of the host holds each process to ``process_mb``, ``file_mb`` and ``tmp_mb`` (and,
    where not root runs khoci, to ``processes``). The rest is looked at a few times a second, so
    it can be passed for a moment, before all processes are killed at once. Of memory that is in
    no process's resident set, memfds and segments of System V cannot be had (`seccomp`), ``/tmp``
    has its limit, and buffers of pipes and sockets and shared pages that were let go are seen
    only by what is left to the host.
    """

    seconds: float = 3600
    processes: int = 2000
    memory_mb: int = 8000
    spare_mb: int = 100
    process_mb: int = 4000
    file_mb: int = 2000
    disk_mb: int = 6000
    depth: int = 40
    free_mb: int = 300
    tmp_mb: int = 500
    log_mb: int = 200

    def command(self) -> list[str]:
        """What holds the command after it, and all that it starts, to the limits of a process."""
        return [
            "prlimit",
            f"--as={self.process_mb * _MB}",
            f"--fsize={self.file_mb * _MB}",
            f"--nproc={self.processes}",
            "--core=0",
            "--",
        ]


LIMITS = Limits()
"""Ten times of what a kernel with a small config takes."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a build takes at a moment, in the units of ``Limits``."""

    seconds: float = 0
    processes: int = 0
    memory_mb: float = 0
    spare_mb: float = float("inf")
    disk_mb: float = 0
    depth: int = 0
    free_mb: float = float("inf")


def exceeded(usage: Usage, limits: Limits) -> str | None:
    """The first limit that is exceeded, as a phrase."""
    broken = {
        f"more than {limits.seconds:g} s": usage.seconds > limits.seconds,
        f"more than {limits.processes} processes": usage.processes > limits.processes,
        f"more than {limits.memory_mb} MB of memory": usage.memory_mb > limits.memory_mb,
        f"all but {limits.spare_mb} MB of the memory": usage.spare_mb < limits.spare_mb,
        f"more than {limits.disk_mb} MB on disk": usage.disk_mb > limits.disk_mb,
        f"folders nested more than {limits.depth} deep": usage.depth > limits.depth,
        f"all but {limits.free_mb} MB of the disk": usage.free_mb < limits.free_mb,
    }
    return next((phrase for phrase, is_broken in broken.items() if is_broken), None)


def denied(lines: Iterable[str], limits: Limits) -> str | None:
    """The limit of a process that a failed build ran into, by the first word of it in its log."""
    words = {
        r"File size limit exceeded|File too large": f"a file of more than {limits.file_mb} MB",
        r"[Cc]annot fork|[Rr]esource temporarily unavailable": (
            f"more than {limits.processes} processes"
        ),
        r"virtual memory exhausted|[Cc]annot allocate memory|out of memory|memory exhausted": (
            f"more than {limits.process_mb} MB of memory for one process"
        ),
    }
    found = (phrase for line in lines for word, phrase in words.items() if re.search(word, line))
    return next(found, None)


def running_below(root: int) -> tuple[int, float]:
    """How many processes descend from ``root``, with it, and the MB of RAM that they hold."""
    children: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        pid = int(stat.parent.name)
        children.setdefault(int(fields[1]), []).append(pid)
        resident[pid] = int(fields[21])
    found = _descendants(root, children)
    return len(found), sum(resident.get(pid, 0) for pid in found) * _PAGE / _MB


def available_mb() -> float:
    """The MB of RAM that the host could still give without swapping."""
    with Path("/proc/meminfo").open(encoding="ascii") as lines:
        found = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return int(next(found)) * 1024 / _MB


def size_below(folder: Path) -> tuple[float, int]:
    """The MB that all below a folder takes on disk, and how deep its folders are nested."""
    listed = subprocess.run(
        [require_tool("find"), folder, "-printf", "%b %d\n"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what is gone before it was looked at
        check=False,
    )
    rows = [line.split() for line in listed.stdout.splitlines()]
    blocks = sum(int(row[0]) for row in rows)
    return blocks * _BLOCK / _MB, max((int(row[1]) for row in rows), default=0)


def _descendants(root: int, children: Mapping[int, list[int]]) -> list[int]:
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found
