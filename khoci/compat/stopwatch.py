"""Where the time of a boot goes."""

from __future__ import annotations

import time
from collections.abc import Callable

from khoci.compat.facts import PhaseFact


class Stopwatch:
    """Times phases that follow each other; one ends where the next begins."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._marks: list[tuple[str, float]] = []

    def begin(self, name: str) -> None:
        """End the phase that is going on, if there is one, and begin another."""
        self._marks.append((name, self._now()))

    def take(self) -> tuple[PhaseFact, ...]:
        """End the last phase, and give all since the watch was taken last; from 0 on again."""
        marks, self._marks = self._marks, []
        if not marks:
            return ()
        first, ends = marks[0][1], [*(at for _, at in marks[1:]), self._now()]
        return tuple(
            PhaseFact(name, round(at - first, 3), round(end - at, 3))
            for (name, at), end in zip(marks, ends, strict=True)
        )
