"""What must be true of every handover: the invariants of a memory map and of who needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from khoci.format.extents import Extents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from khoci.format.blocks import Blocks
    from khoci.format.errors import DecodeError, Place
    from khoci.format.extents import Addresses, Mask
    from khoci.format.ranges import Range
    from khoci.format.scratch import ScratchArea

SHOWN = 16
"""So many problems of a kind are listed; hostile maps can have millions."""

UNDECODED = "undecoded"

_BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong, with its path and physical address (None where it has none).

    ``kind`` is for programs: ``undecoded``, ``version``, ``uncertain``, ``overlap``,
    ``outside-ram``, ``in-scratch``, ``lost``, ``orphan``, or ``missing`` where the memory is a copy
    without the page.
    """

    where: str
    address: int | None
    message: str
    kind: str = UNDECODED

    @classmethod
    def of(cls, error: DecodeError, kind: str = UNDECODED) -> Problem:
        """The problem that an error describes."""
        return cls(error.where, error.address, error.message, kind)

    @classmethod
    def at(cls, place: Place, message: str, kind: str = UNDECODED) -> Problem:
        """A problem at ``place``."""
        return cls(place.where, place.address, message, kind)


def check_map(
    blocks: Blocks, ram: Sequence[Range], scratch: Sequence[ScratchArea], place: Place
) -> Iterator[Problem]:
    """Blocks that overlap, are outside RAM, or inside a scratch area.

    Args:
        blocks: the map's.
        ram: in any order.
        scratch: the areas, empty if unknown.
        place: of the map.
    """
    inside, areas = Extents.of(ram), Extents.of(area.range for area in scratch)
    yield from _overlaps(blocks, place)
    yield from _blocks(blocks, ~within(blocks, inside), "outside-ram", "is not all in RAM", place)
    yield from _blocks(blocks, near(blocks, areas), "in-scratch", "is in a scratch area", place)


def check_owned(blocks: Blocks, owned: Mapping[str, Extents], place: Place) -> Iterator[Problem]:
    """Memory of the root or of a component that the map does not list: the next kernel loses it.

    Args:
        blocks: the map's.
        owned: what has to be preserved, by owner.
        place: of the map.
    """
    coverage = Coverage.of(blocks)
    for name, wanted in owned.items():
        missing, here = coverage.lost(wanted), place / name
        for item in missing[:SHOWN]:
            message = f"{item.size} bytes of {name} are not in the map"
            yield Problem.at(here.at(item.start), message, "lost")
        yield from _rest(len(missing), "lost", here)


def within(blocks: Blocks, extents: Extents) -> Mask:
    """For each block, whether all of it is in the set."""
    return extents.holds(blocks.phys, blocks.last)


def near(blocks: Blocks, extents: Extents) -> Mask:
    """For each block, whether any byte of it is in the set."""
    return extents.touches(blocks.phys, blocks.last)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Blocks that are asked about many owners: ``reach`` is the last byte of all up to each."""

    blocks: Blocks
    reach: Addresses

    @classmethod
    def of(cls, blocks: Blocks) -> Coverage:
        """Prepare ``blocks``."""
        return cls(blocks, np.maximum.accumulate(blocks.last))

    def lost(self, wanted: Extents) -> Extents:
        """The bytes of ``wanted`` that are in no block."""
        starts = range(0, len(wanted), _BATCH)
        pieces = [self._lost(wanted[start : start + _BATCH]) for start in starts]
        return Extents.joined(pieces)

    def _lost(self, wanted: Extents) -> Extents:
        start = np.searchsorted(self.reach, wanted.first[0])
        end = np.searchsorted(self.blocks.phys, wanted.last[-1], side="right")
        return wanted - self.blocks[start:end].extents


def _overlaps(blocks: Blocks, place: Place) -> Iterator[Problem]:
    found = np.flatnonzero(blocks.overlapping())
    for index in found[:SHOWN].tolist():
        order, start = int(blocks.order[index]), blocks.phys[index]
        other = int(blocks.order[np.argmax(blocks.last[:index] >= start)])
        message = f"a block of order {order} overlaps one of order {other}"
        yield Problem.at(place.at(int(start)), message, "overlap")
    yield from _rest(len(found), "overlap", place)


def _blocks(
    blocks: Blocks, wrong: Mask, kind: str, message: str, place: Place
) -> Iterator[Problem]:
    found = blocks.phys[wrong]
    for address in found[:SHOWN].tolist():
        yield Problem.at(place.at(address), f"a block {message}", kind)
    yield from _rest(len(found), kind, place)


def _rest(count: int, kind: str, place: Place) -> Iterator[Problem]:
    """How many more there are than are shown."""
    if count > SHOWN:
        yield Problem.at(place, f"{count - SHOWN} more like the last one", kind)
