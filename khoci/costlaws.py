"""What follows from what was measured: how it grows, and from where on one way is cheaper. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from khoci.costs import SERIALISING, KernelCost, Measured, Point

_GIB = 1 << 30
_SLIGHT = 4096
"""Instructions: one interrupt is as much."""
TICK = 4_000_000
"""Instructions: for as long the guest may be idle before it jumps."""
Spent = Callable[[KernelCost, Measured], int]
"""What a kernel spends on a handover, in instructions."""


@dataclass(frozen=True)
class Law:
    """``factor * n ** exponent`` instructions for ``n`` blocks."""

    factor: float
    exponent: float

    def __str__(self) -> str:
        return f"{self.factor:.3g} n^{self.exponent:.2f}"


def law(pairs: Sequence[tuple[int, int]]) -> Law | None:
    """The power law that is nearest to pairs of a number and its cost, by least squares of logs.

    None where there are fewer than three pairs that cost anything: two make any law true.
    """
    logs = [(math.log(n), math.log(cost)) for n, cost in pairs if n > 0 and cost > 0]
    if len(logs) < 3:
        return None
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    if not spread:
        return None
    exponent = sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread
    return Law(math.exp(mean_y - exponent * mean_x), exponent)


def growth_law(cost: KernelCost, shape: Point, phase: str) -> Law | None:
    """How a phase grows with the number of blocks of a shape, beyond a handover of none."""
    line = cost.line(shape)
    return law([(item.point.count, cost.growth(item, phase)) for item in line])


def writing(_: KernelCost, item: Measured) -> int:
    """What writing down takes that something is handed over."""
    return item.sum(SERIALISING)


def blackout(cost: KernelCost, item: Measured) -> int:
    """What a virtual machine waits for that is handed over."""
    return item.sum(cost.blackout)


def break_even(
    old: KernelCost, new: KernelCost, shape: Point, spent: Spent, noise: int = 0
) -> int | None:
    """From how many blocks on the new kernel costs less than the old one.

    Args:
        old: a kernel.
        new: another one, measured at the same points.
        shape: of the blocks.
        spent: what counts.
        noise: instructions by which two counts of one thing may differ: so much is not cheaper.

    Returns:
        the number of blocks of the first point from which on it is cheaper at all points; None if
        it is not cheaper at the last one.
    """
    found: int | None = None
    for item in reversed(old.line(shape)):
        other = new.at(item.point)
        if other is None or spent(new, other) + noise >= spent(old, item):
            break
        found = item.point.count
    return found


def per_gib(item: Measured) -> float:
    """Bytes of the memory map for each GiB that it preserves."""
    return item.tables * _GIB / item.point.size if item.point.size else 0.0


def difference(first: KernelCost, second: KernelCost) -> float:
    """The largest relative difference of a count between two measurements of one kernel.

    Counts that are slight in both are left out.
    """
    worst = 0.0
    for item in first.measured:
        other = second.at(item.point)
        for phase, count in item.instructions.items():
            if other is not None and max(count, other.instructions[phase]) >= _SLIGHT:
                low, high = sorted((count, other.instructions[phase]))
                worst = max(worst, (high - low) / high)
    return worst
