"""Preserved blocks, and runs of them: what every kind of memory map lists in the end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from khoci.format.memory import PAGE_SHIFT
from khoci.format.ranges import Range, covers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from khoci.format.errors import Place


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """``1 << order`` pages from the physical address ``phys`` (bytes)."""

    phys: int
    order: int
    page_shift: int = PAGE_SHIFT

    @property
    def size(self) -> int:
        """Bytes."""
        return 1 << (self.order + self.page_shift)

    @property
    def range(self) -> Range:
        """The block's addresses."""
        return Range(self.phys, self.size)


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """``count`` blocks of one order, each behind the other, from ``phys`` (bytes)."""

    phys: int
    order: int
    count: int = 1
    page_shift: int = PAGE_SHIFT

    @property
    def range(self) -> Range:
        """The addresses of all blocks together."""
        return Range(self.phys, self.count << (self.order + self.page_shift))

    def blocks(self) -> Iterator[Block]:
        """The single blocks, in ascending order."""
        step = 1 << (self.order + self.page_shift)
        for index in range(self.count):
            yield Block(self.phys + index * step, self.order, self.page_shift)


def collect(runs: Iterable[Run], limit: int, place: Place) -> tuple[Run, ...]:
    """Sort ``runs`` by address.

    Args:
        runs: in any order; taken one by one, so that an endless source is stopped too.
        limit: the most blocks that can be true (as many as RAM has pages).
        place: of the map, for the error.

    Raises:
        DecodeError: there are more than ``limit`` blocks.
    """
    kept: list[Run] = []
    total = 0
    for run in runs:
        total += run.count
        if total > limit:
            raise place.error(f"lists more blocks than RAM has pages ({limit})")
        kept.append(run)
    return tuple(sorted(kept))


def expand(runs: Iterable[Run]) -> tuple[Block, ...]:
    """All blocks of ``runs``, sorted by address."""
    return tuple(sorted(chain.from_iterable(run.blocks() for run in runs)))


def overlaps(runs: Sequence[Run]) -> Iterator[tuple[Run, Run]]:
    """The pairs of sorted ``runs`` where one begins inside the one that reaches furthest."""
    if not runs:
        return
    furthest = runs[0]
    for run in runs[1:]:
        if run.phys < furthest.range.end:
            yield furthest, run
        if run.range.end > furthest.range.end:
            furthest = run


def outside(runs: Iterable[Run], ram: Sequence[Range]) -> Iterator[Run]:
    """The runs that are not all in ``ram`` (as `ranges.merge` returns it)."""
    return (run for run in runs if not covers(ram, run.range))


def total(runs: Iterable[Run]) -> int:
    """Bytes in all runs, overlaps counted twice."""
    return sum(run.range.size for run in runs)
