"""Ranges of physical addresses and sets of them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """``size`` bytes of physical memory from ``start``."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """The first address behind the range."""
        return self.start + self.size

    def contains(self, address: int, size: int = 1) -> bool:
        """Whether all ``size`` bytes from ``address`` are inside."""
        return self.start <= address and address + size <= self.end

    def overlaps(self, other: Range) -> bool:
        """Whether at least one byte is in both."""
        return self.start < other.end and other.start < self.end

    def widened(self, page_size: int) -> Range:
        """The whole pages that the range touches."""
        start = self.start // page_size * page_size
        return Range(start, -(-self.end // page_size) * page_size - start)


def merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """The same bytes as few sorted ranges that neither touch nor overlap; empty ones vanish."""
    merged: list[Range] = []
    for item in sorted(item for item in ranges if item.size > 0):
        if merged and item.start <= merged[-1].end:
            last = merged[-1]
            merged[-1] = Range(last.start, max(last.end, item.end) - last.start)
        else:
            merged.append(item)
    return tuple(merged)


def common(merged: Sequence[Range], wanted: Range) -> Iterator[Range]:
    """The parts of ``wanted`` that are in ``merged``, in ascending order."""
    for item in merged:
        start, end = max(item.start, wanted.start), min(item.end, wanted.end)
        if start < end:
            yield Range(start, end - start)


def covers(merged: Sequence[Range], wanted: Range) -> bool:
    """Whether ``merged`` (as `merge` returns it) holds every byte of ``wanted``."""
    return wanted.size <= 0 or holder(merged, wanted) is not None


def holder(merged: Sequence[Range], wanted: Range) -> Range | None:
    """The one of ``merged`` (as `merge` returns it) that holds all of ``wanted``."""
    index = bisect_right(merged, wanted.start, key=lambda item: item.start) - 1
    if index >= 0 and merged[index].contains(wanted.start, wanted.size):
        return merged[index]
    return None


def touched(merged: Sequence[Range], wanted: Range) -> Range | None:
    """The first of ``merged`` (as `merge` returns it) that shares a byte with ``wanted``."""
    index = bisect_right(merged, wanted.start, key=lambda item: item.end)
    if index < len(merged) and merged[index].overlaps(wanted):
        return merged[index]
    return None
