"""Parts of a plan that run on their own: disjoint, complete, and the same everywhere. Pure."""

from __future__ import annotations

import heapq
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from khoci.compat.plan import Cell
from khoci.errors import UsageError

Group = tuple[Cell, ...]
"""Cells of one boot: they stay together."""

JOB_SECONDS = 600.0
"""Of one core: less, and a job spends its time on beginning."""
MOST_SHARDS = 256
"""Where nobody says a number: GitHub takes no more jobs of one matrix."""
_LABEL = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """A part of a plan.

    Attributes:
        number: from 1; the first takes longest.
        of: how many there are.
        groups: in the order of the plan.
        seconds: of one core, estimated.
    """

    number: int
    of: int
    groups: tuple[Group, ...]
    seconds: float

    @property
    def label(self) -> str:
        """``1/8``, as on the command line."""
        return f"{self.number}/{self.of}"

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """All of them."""
        return tuple(cell for group in self.groups for cell in group)


def shards(
    groups: Sequence[Group], seconds: Callable[[Group], float], count: int
) -> tuple[Shard, ...]:
    """Put each group, those that take longest first, where least is to be done so far.

    The result depends on nothing else than the arguments. No shard takes more than 4/3 of the
    best that is possible (Graham, *Bounds on multiprocessing timing anomalies*, 1969).

    Args:
        groups: cells that stay together, in the order of the plan.
        seconds: how long a group takes.
        count: how many shards; with less groups some are empty.
    """
    costs = [seconds(group) for group in groups]
    heap = [(0.0, place) for place in range(count)]
    taken: list[list[int]] = [[] for _ in range(count)]
    for index in sorted(range(len(groups)), key=lambda index: (-costs[index], index)):
        load, place = heap[0]
        taken[place].append(index)
        heapq.heapreplace(heap, (round(load + costs[index], 3), place))
    loads = {place: load for load, place in heap}
    longest_first = sorted(loads, key=lambda place: (-loads[place], place))
    return tuple(
        Shard(number, count, tuple(groups[index] for index in sorted(taken[place])), loads[place])
        for number, place in enumerate(longest_first, 1)
    )


def fitting_count(groups: Sequence[Group], seconds: Callable[[Group], float], most: int) -> int:
    """How many shards a plan is worth: at least one, and ``most`` at most."""
    wanted = math.ceil(sum(map(seconds, groups)) / JOB_SECONDS)
    return max(1, min(wanted, len(groups), most))


def parsed(label: str) -> tuple[int, int]:
    """The numbers of ``I/N``.

    Raises:
        UsageError: it is no shard.
    """
    match = _LABEL.fullmatch(label)
    number, of = map(int, match.groups()) if match else (1, 0)
    if number > of:
        raise UsageError(f"'{label}' is no shard: write it like 1/8, up to 8/8")
    return number, of
