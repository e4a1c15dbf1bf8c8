"""Costs that follow a law, as those of two kernels do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from khoci.cost.boot import Setup, memory_for
from khoci.costs import LOAD_FIRST, PHASES, KernelCost, Measured, Point, points_up_to
from khoci.kernel.cache import Artifact
from khoci.vm.machine import TCG

POINTS = points_up_to(10_000)
LOAD = 600_000_000


def setup_in(folder: Path, points: Sequence[Point]) -> Setup:
    """What these points of a kernel are measured with, by files that nothing boots."""
    image, initrd = folder / "image", folder / "initrd"
    image.write_bytes(b"kernel")
    initrd.write_bytes(b"agent")
    kernel = Artifact("v7.3.4+cost", "0123", "x86_64", "7.3.4", image)
    return Setup(kernel, initrd, memory_for(points), TCG)


def measured(point: Point, each: int, finalize: int = 0, blocks: int = 2) -> Measured:
    """``each`` instructions to preserve a block, early boot that grows with the square apart."""
    apart = 20 * point.count**2 if point.stride > 1 else 1300 * point.count
    writing = (each * point.count, finalize, LOAD, 100)
    counts = (*writing, 17_000_000, 40_000_000 + apart, 276 * point.count)
    instructions = dict(zip(PHASES, counts, strict=True))
    seconds = {phase: count / 1e9 for phase, count in instructions.items()}
    return Measured(point, instructions, seconds, point.count + blocks, 4096 + point.size // 64)


def kernel(
    name: str,
    each: int,
    finalize: int = 0,
    points: Sequence[Point] = POINTS,
    *,
    loads_last: bool = False,
) -> KernelCost:
    """A kernel that needs so much to preserve a block, and to finalize."""
    hidden = [LOAD_FIRST] if loads_last else []
    own = ((point, 0 if point in hidden else 2) for point in points)
    return KernelCost(name, tuple(measured(point, each, finalize, n) for point, n in own))


OLD, NEW = kernel("v6.17.13", 200, 14_000), kernel("v7.3.4", 168)
