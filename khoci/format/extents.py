"""Large sets of physical memory: millions of extents in columns, compared all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from khoci.format.ranges import Range

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Addresses = NDArray[np.uint64]
Mask = NDArray[np.bool_]

_BATCH = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Extents:
    """A set of bytes: sorted extents that neither touch nor overlap.

    ``first`` and ``last`` are the physical addresses of an extent's first and last byte, both
    inside: so the last byte of 64-bit memory needs no 65th bit. Make one by `of` or `merged`.
    """

    first: Addresses
    last: Addresses

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> Extents:
        """The bytes of ``ranges``, in any order; what is beyond 64 bits vanishes."""
        cut = ((item.start, min(item.end, 1 << 64)) for item in ranges)
        pairs = [(start, end - 1) for start, end in cut if start < end]
        table = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
        return cls.merged(table[:, 0], table[:, 1])

    @classmethod
    def merged(cls, first: Addresses, last: Addresses) -> Extents:
        """The bytes of extents that may touch, overlap and come in any order."""
        if not len(first):
            return cls(first, last)
        if np.any(first[1:] < first[:-1]):
            order = np.argsort(first, kind="stable")
            first, last = first[order], last[order]
        nested = np.any(last[1:] < last[:-1])
        reach = np.maximum.accumulate(last) if nested else last
        begins = np.ones(len(first), dtype=np.bool_)
        begins[1:] = (first[1:] > reach[:-1]) & (first[1:] - np.uint64(1) != reach[:-1])
        ends = np.ones_like(begins)
        ends[:-1] = begins[1:]
        return cls(first[begins], reach[ends])

    @classmethod
    def joined(cls, pieces: Sequence[Extents]) -> Extents:
        """Sets of which each lies behind the one before, and does not touch it."""
        if not pieces:
            return cls.of(())
        first = np.concatenate([piece.first for piece in pieces])
        return cls(first, np.concatenate([piece.last for piece in pieces]))

    def __len__(self) -> int:
        return len(self.first)

    def __iter__(self) -> Iterator[Range]:
        for first, last in zip(self.first.tolist(), self.last.tolist(), strict=True):
            yield Range(first, last - first + 1)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Extents)
            and np.array_equal(self.first, other.first)
            and np.array_equal(self.last, other.last)
        )

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, chosen: Mask | slice) -> Extents:
        return Extents(self.first[chosen], self.last[chosen])

    @property
    def size(self) -> int:
        """Bytes in the set."""
        return int(np.sum(self.last - self.first, dtype=np.uint64)) + len(self)

    def holds(self, first: Addresses, last: Addresses) -> Mask:
        """For each extent asked for, whether every byte of it is in the set."""
        held = np.zeros(len(first), dtype=np.bool_)
        for part in _batches(len(first) if len(self) else 0):
            index = np.searchsorted(self.first, first[part], side="right") - 1
            held[part] = (index >= 0) & (self.last[index] >= last[part])
        return held

    def touches(self, first: Addresses, last: Addresses) -> Mask:
        """For each extent asked for, whether at least one byte of it is in the set."""
        touched = np.zeros(len(first), dtype=np.bool_)
        for part in _batches(len(first) if len(self) else 0):
            index = np.searchsorted(self.last, first[part], side="left")
            inside = index < len(self)
            touched[part] = inside & (self.first[np.minimum(index, len(self) - 1)] <= last[part])
        return touched

    def covers(self, wanted: Range) -> bool:
        """Whether every byte of ``wanted`` is in the set."""
        return wanted.size <= 0 or not Extents.of([wanted]) - self

    def __or__(self, other: Extents) -> Extents:
        first = np.concatenate((self.first, other.first))
        return Extents.merged(first, np.concatenate((self.last, other.last)))

    def __and__(self, other: Extents) -> Extents:
        """The bytes that are in both sets."""
        return self - (self - other)

    def __sub__(self, other: Extents) -> Extents:
        """The bytes of this set that are not in ``other``."""
        alone = ~other.touches(self.first, self.last)
        cut = self[~alone & ~other.holds(self.first, self.last)]
        pieces = cut._without(other[cut.touches(other.first, other.last)])
        return self[alone] | pieces

    def _without(self, other: Extents) -> Extents:
        """Cut at all ends: each piece between two of them is inside or outside of either set."""
        ends = (self.first, other.first, _behind(self.last), _behind(other.last))
        first = np.sort(np.concatenate(ends), kind="stable")
        last = np.append(first[1:], np.uint64(0)) - np.uint64(1)
        kept = (first <= last) & self.touches(first, first) & ~other.touches(first, first)
        return Extents.merged(first[kept], last[kept])


def _batches(count: int) -> Iterator[slice]:
    """Slices of a long column: what is computed of each fits into the cache."""
    return (slice(start, start + _BATCH) for start in range(0, count, _BATCH))


def _behind(last: Addresses) -> Addresses:
    """The addresses behind extents; behind the last byte of 64 bits there is none."""
    behind: Addresses = last[last != np.uint64(2**64 - 1)] + np.uint64(1)
    return behind
