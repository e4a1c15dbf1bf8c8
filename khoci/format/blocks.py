"""Preserved blocks, in columns: what every kind of memory map lists in the end."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from khoci.format.extents import Addresses, Extents, Mask
from khoci.format.memory import PAGE_SHIFT
from khoci.format.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Orders = NDArray[np.uint8]


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


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Blocks sorted by address, then by order; each ends within 64 bits.

    ``phys`` are physical addresses in bytes, ``order`` log2 of the pages of each. Make one by
    `of` or `sort`.
    """

    phys: Addresses
    order: Orders
    page_shift: int = PAGE_SHIFT

    @classmethod
    def of(cls, blocks: Iterable[Block], page_shift: int = PAGE_SHIFT) -> Blocks:
        """The given blocks, which all have pages of ``1 << page_shift`` bytes."""
        pairs = [(block.phys, block.order) for block in blocks]
        phys = np.array([pair[0] for pair in pairs], dtype=np.uint64)
        return cls.sort(phys, np.array([pair[1] for pair in pairs], dtype=np.uint8), page_shift)

    @classmethod
    def sort(cls, phys: Addresses, order: Orders, page_shift: int = PAGE_SHIFT) -> Blocks:
        """The blocks of two columns in any order."""
        behind, before = phys[1:], phys[:-1]
        if np.any(behind < before) or np.any((behind == before) & (order[1:] < order[:-1])):
            index = np.lexsort((order, phys))
            phys, order = phys[index], order[index]
        return cls(phys, order, page_shift)

    def __len__(self) -> int:
        return len(self.phys)

    def __iter__(self) -> Iterator[Block]:
        for phys, order in zip(self.phys.tolist(), self.order.tolist(), strict=True):
            yield Block(phys, order, self.page_shift)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Blocks)
            and self.page_shift == other.page_shift
            and np.array_equal(self.phys, other.phys)
            and np.array_equal(self.order, other.order)
        )

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, chosen: Mask | slice) -> Blocks:
        return Blocks(self.phys[chosen], self.order[chosen], self.page_shift)

    @property
    def last(self) -> Addresses:
        """The address of each block's last byte."""
        # a block of 64 bits has no size in them: all ones, without those above it, is size - 1
        unused = np.uint64(64 - self.page_shift) - self.order
        last: Addresses = self.phys + (np.uint64(2**64 - 1) >> unused)
        return last

    @property
    def extents(self) -> Extents:
        """The memory of all blocks."""
        return Extents.merged(self.phys, self.last)

    @property
    def size(self) -> int:
        """Bytes of all blocks; what two blocks share is counted twice."""
        counts = np.bincount(self.order).tolist() if len(self) else []
        return sum(count << (order + self.page_shift) for order, count in enumerate(counts))

    def runs(self) -> Iterator[Run]:
        """The same blocks, those that follow each other with one order taken together."""
        if not len(self):
            return
        last = self.last
        breaks = (self.phys[1:] - np.uint64(1) != last[:-1]) | (self.order[1:] != self.order[:-1])
        starts = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(self)]
        for start, end in pairwise(starts):
            phys, order = int(self.phys[start]), int(self.order[start])
            yield Run(phys, order, end - start, self.page_shift)

    def overlapping(self) -> Mask:
        """For each block, whether it begins inside one before it."""
        inside = np.zeros(len(self), dtype=np.bool_)
        if len(self):
            inside[1:] = self.phys[1:] <= np.maximum.accumulate(self.last)[:-1]
        return inside
