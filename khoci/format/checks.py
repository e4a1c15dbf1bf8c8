"""What must be true of every handover: the invariants of a memory map and of who needs it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from khoci.format.blocks import Run, outside, overlaps
from khoci.format.ranges import Range, covers, merge, touched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from khoci.format.errors import DecodeError, Place
    from khoci.format.scratch import ScratchArea

SHOWN = 16
"""So many problems of a kind are listed; hostile maps can have millions."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong, with its path and physical address (None where it has none)."""

    where: str
    address: int | None
    message: str

    @classmethod
    def of(cls, error: DecodeError) -> Problem:
        """The problem that an error describes."""
        return cls(error.where, error.address, error.message)

    @classmethod
    def at(cls, place: Place, message: str) -> Problem:
        """A problem at ``place``."""
        return cls(place.where, place.address, message)


def check_map(
    runs: Sequence[Run], ram: Sequence[Range], scratch: Sequence[ScratchArea], place: Place
) -> Iterator[Problem]:
    """Blocks that overlap, are outside RAM, or inside a scratch area.

    Args:
        runs: the blocks, sorted by address.
        ram: as `ranges.merge` returns it.
        scratch: the areas, empty if unknown.
        place: of the map.
    """
    yield from _some(place, _overlapping(runs))
    yield from _some(place, ((run.phys, "is not all in RAM") for run in outside(runs, ram)))
    areas = merge(area.range for area in scratch)
    inside = ((run.phys, "is in a scratch area") for run in runs if touched(areas, run.range))
    yield from _some(place, inside)


def check_owned(
    runs: Iterable[Run], owned: Mapping[str, Sequence[Range]], place: Place
) -> Iterator[Problem]:
    """Memory of the root or of a component that the map does not list: the next kernel loses it."""
    preserved = merge(run.range for run in runs)
    for name, ranges in owned.items():
        lost = (
            (item.start, f"{item.size} bytes of {name} are not in the map")
            for item in ranges
            if not covers(preserved, item)
        )
        yield from _some(place / name, lost, noun="")


def _overlapping(runs: Sequence[Run]) -> Iterator[tuple[int, str]]:
    for before, run in overlaps(runs):
        yield run.phys, f"of order {run.order} overlaps one of order {before.order}"


def _some(
    place: Place, found: Iterable[tuple[int, str]], noun: str = "a block "
) -> Iterator[Problem]:
    """The first few of a kind, and how many more there are."""
    rest = iter(found)
    for address, message in islice(rest, SHOWN):
        yield Problem.at(place.at(address), noun + message)
    if more := sum(1 for _ in rest):
        yield Problem.at(place, f"{more} more like the last one")
