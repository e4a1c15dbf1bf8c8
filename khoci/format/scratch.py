"""The scratch areas: the only memory that the next kernel may use while it starts.

An array of ``struct kho_scratch {phys_addr_t addr; phys_addr_t size;}`` of
``kernel/liveupdate/kexec_handover.c`` (``kernel/kexec_handover.c`` up to 6.18).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format.memory import PAGE_SIZE
from khoci.format.ranges import Range, covers, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from khoci.format.errors import Place

ENTRY_SIZE = 16
MAX_AREAS = 1024 + 2
_ENTRY = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class ScratchArea:
    """``size`` bytes from ``start``; ``kind`` is ``lowmem``, ``global`` or ``node[i]``."""

    kind: str
    start: int
    size: int

    @property
    def range(self) -> Range:
        """The area's addresses."""
        return Range(self.start, self.size)


def parse(raw: bytes, ram: Sequence[Range], place: Place) -> tuple[ScratchArea, ...]:
    """Parse and check the whole array.

    Args:
        raw: the array, 16 bytes an area.
        ram: where an area can be.
        place: path and address of the array, for errors.

    Raises:
        DecodeError: the array is empty or oddly sized, or an area is not page aligned, not in
            RAM, or overlaps another: most likely these bytes are not the scratch array.
    """
    if not raw or len(raw) % ENTRY_SIZE or len(raw) > MAX_AREAS * ENTRY_SIZE:
        raise place.error(f"{len(raw)} bytes are no array of scratch areas")
    areas = tuple(
        ScratchArea(_kind(index), *entry) for index, entry in enumerate(_ENTRY.iter_unpack(raw))
    )
    _check(areas, merge(ram), place)
    return areas


def pack(areas: Iterable[tuple[int, int]]) -> bytes:
    """The array of areas, each a start and a size in bytes: the reverse of `parse`."""
    return b"".join(_ENTRY.pack(*area) for area in areas)


def _kind(index: int) -> str:
    return ("lowmem", "global")[index] if index < 2 else f"node[{index - 2}]"


def _check(areas: Sequence[ScratchArea], ram: Sequence[Range], place: Place) -> None:
    previous = Range(0, 0)
    for area in sorted((area for area in areas if area.size), key=lambda area: area.start):
        here = (place / area.kind).at(area.start)
        if area.start % PAGE_SIZE or area.size % PAGE_SIZE:
            raise here.error(f"the scratch area of {area.size:#x} bytes is not page aligned")
        if not covers(ram, area.range):
            raise here.error(f"the scratch area of {area.size:#x} bytes is not in RAM")
        if area.start < previous.end:
            raise here.error("the scratch area overlaps another")
        previous = area.range
    if not previous.size:
        raise place.error("all scratch areas are empty")
