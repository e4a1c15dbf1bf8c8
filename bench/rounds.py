"""Several ways to do the same, in turn: what each takes, as a table of medians and ratios.

CPU seconds are those of this process and of all that it started; they tell more than wall time
where something else runs too.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from statistics import median

import click


@dataclass(frozen=True)
class Took:
    """Seconds of the clock, and of all CPUs."""

    wall: float
    cpu: float


Way = Callable[[], Awaitable[object]]
"""Does it once; one that returns a `Took` has taken its own time."""


async def in_turn(ways: Mapping[str, Way], rounds: int) -> dict[str, Took]:
    """The medians of each way; rounds of all of them alternate."""
    found: dict[str, list[Took]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            found[name].append(await _timed(way))
    return {name: _median(took) for name, took in found.items()}


def show(taken: Mapping[str, Took]) -> None:
    """Print a line for each, with its ratios to the first."""
    first = next(iter(taken.values()))
    for name, took in taken.items():
        click.echo(
            f"  {name:<40} {took.wall:6.2f} s, {took.cpu:6.2f} s of CPU"
            f"  ratio {took.wall / first.wall:.2f}, {took.cpu / first.cpu:.2f}"
        )


async def _timed(way: Way) -> Took:
    cpu, wall = _cpu(), time.monotonic()
    own = await way()
    return own if isinstance(own, Took) else Took(time.monotonic() - wall, _cpu() - cpu)


def _cpu() -> float:
    used = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _median(took: list[Took]) -> Took:
    return Took(median(each.wall for each in took), median(each.cpu for each in took))
