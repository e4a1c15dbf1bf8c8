"""Costs that follow a law, as those of two kernels do."""

from __future__ import annotations

from collections.abc import Sequence

from khoci.costs import PHASES, KernelCost, Measured, Point, points_up_to

POINTS = points_up_to(10_000)


def measured(point: Point, each: int, finalize: int = 0) -> Measured:
    """``each`` instructions to preserve a block, early boot that grows with the square apart."""
    apart = 20 * point.count**2 if point.stride > 1 else 1300 * point.count
    counts = (each * point.count, finalize, 100, 17_000_000, 40_000_000 + apart, 276 * point.count)
    instructions = dict(zip(PHASES, counts, strict=True))
    seconds = {phase: count / 1e9 for phase, count in instructions.items()}
    return Measured(point, instructions, seconds, point.count + 2, 4096 + point.size // 64)


def kernel(name: str, each: int, finalize: int = 0, points: Sequence[Point] = POINTS) -> KernelCost:
    """A kernel that needs so much to preserve a block, and to finalize."""
    return KernelCost(name, tuple(measured(point, each, finalize) for point in points))


OLD, NEW = kernel("v6.17.13", 200, 14_000), kernel("v7.3.4", 168)
