"""Who is told how far the cells of a run are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from khoci.compat.plan import Cell
from khoci.results import CellResult
from khoci.verdicts import Verdict

Group = tuple[Cell, ...]
"""Cells that are run together."""


class Watcher(Protocol):
    """``begin``, any number of groups that are ``started`` and ``finished``, ``end``."""

    def begin(self, task: str, total: int, jobs: int) -> None:
        """``total`` cells are to be run, ``jobs`` groups of them at once."""

    def started(self, group: Group) -> None:
        """These cells are run from now on."""

    def finished(self, group: Group, results: Sequence[CellResult]) -> None:
        """They have results."""

    def end(self) -> None:
        """Nothing is run any more, well or not."""


@dataclass
class Standing:
    """How far a run is.

    Attributes:
        total: cells of the run.
        jobs: groups at once.
        clock: seconds, from any point on.
        verdicts: how many cells ended with each.
        running: the groups that are run now, and when each began.
    """

    total: int
    jobs: int
    clock: Callable[[], float] = time.monotonic
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    running: dict[Group, float] = field(default_factory=dict)
    _spent: float = 0.0

    @property
    def done(self) -> int:
        """Cells that have a result."""
        return self.verdicts.total()

    def started(self, group: Group) -> None:
        """These cells are run from now on."""
        self.running[group] = self.clock()

    def finished(self, group: Group, results: Sequence[CellResult]) -> None:
        """They have results."""
        self._spent += self.clock() - self.running.pop(group)
        self.verdicts.update(result.verdict for result in results)

    def left(self) -> float | None:
        """Seconds until the end, if cells go on to take what they took; None before the first."""
        if not self.done:
            return None
        now = self.clock()
        under_way = sum(now - began for began in self.running.values())
        work = self._spent / self.done * (self.total - self.done) - under_way
        return max(0.0, work / self.jobs)

    def counts(self) -> list[tuple[Verdict, int]]:
        """The verdicts so far, in their order."""
        return [(verdict, self.verdicts[verdict]) for verdict in Verdict if self.verdicts[verdict]]
