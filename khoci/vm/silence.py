"""When a guest counts as hung: measured in the CPU time it got, not in the time that passed."""

from __future__ import annotations

import os
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU time that process ``pid`` has used; 0.0 if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


class SilenceClock:
    """Counts how long a guest has shown no sign of life.

    A guest that spins hangs after ``limit`` seconds of its own CPU time, so that a busy host
    makes nothing look like a hang; one that sleeps for ever after as many seconds of wall time,
    if it used less than a tenth of the CPU in them: so any after ``limit * 10``.
    """

    poll = 0.3

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since = time.monotonic()
        self._cpu: float | None = None

    def reset(self) -> None:
        """The guest said something."""
        self._since = time.monotonic()
        self._cpu = None

    @property
    def wall(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._since

    @property
    def quiet(self) -> bool:
        """Whether it is worth looking at the CPUs."""
        return self.wall > 2 * self.poll

    def used(self, pid: int) -> float:
        """CPU seconds used since the first look after the last sign of life."""
        now = cpu_seconds(pid)
        if self._cpu is None:
            self._cpu = now
        return now - self._cpu

    def expired(self, pid: int) -> bool:
        """Whether the guest has hung."""
        used, wall = self.used(pid), self.wall
        asleep = wall > self._limit and used < wall / 10
        return used > self._limit or asleep

    def describe(self, pid: int) -> str:
        """The silence in words."""
        return f"no sign of life for {self.wall:.0f} s ({self.used(pid):.0f} s of CPU time)"
