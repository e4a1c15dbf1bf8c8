"""The memory map of ``kho-v1``: bitmaps of preserved blocks, in a list of chunk pages.

``struct khoser_mem_chunk`` and ``struct kho_mem_phys_bits`` of ``kernel/kexec_handover.c``
(``kernel/liveupdate/kexec_handover.c`` from 6.19 on). The chunks are the same in all releases, the
bitmaps are not: see `Layout`, and `family` for telling one from the other.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from khoci.format.bits import bit_runs
from khoci.format.blocks import Run, collect
from khoci.format.memory import PAGE_SHIFT, Memory, fetch, ram_end, ram_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from khoci.format.errors import Place

_HEADER = struct.Struct("<QII")
_ENTRY = struct.Struct("<QQ")
_SMALLEST_BITMAP = 512


class Layout(Enum):
    """Size of a bitmap under the same version string: A is 6.16 and 6.17, B is 6.18 to 7.0."""

    A = "A"
    B = "B"

    def bitmap_size(self, page_shift: int = PAGE_SHIFT) -> int:
        """Bytes of one bitmap; it is aligned to as much."""
        return _SMALLEST_BITMAP if self is Layout.A else 1 << page_shift

    def coverage(self, order: int, page_shift: int = PAGE_SHIFT) -> int:
        """Bytes of memory that one bitmap describes; ``phys_start`` is a multiple of it."""
        return self.bitmap_size(page_shift) * 8 << (order + page_shift)


@dataclass(frozen=True, slots=True)
class Entry:
    """One bitmap of the map: its blocks begin at ``phys_start``, its bits lie at ``bitmap``."""

    order: int
    phys_start: int
    bitmap: int
    place: Place


@dataclass(frozen=True, slots=True)
class _Chunk:
    next: int
    order: int
    entries: tuple[tuple[int, int], ...]


def entries(
    memory: Memory, first: int, place: Place, page_shift: int = PAGE_SHIFT
) -> tuple[Entry, ...]:
    """Walk the chunk list; what it returns is right for both layouts.

    Args:
        memory: of the producer at the jump.
        first: physical address of the first chunk, 0 for an empty map.
        place: of the map, for errors.
        page_shift: log2 of the page size in bytes.

    Raises:
        DecodeError: a chunk is not a page of RAM or closes a cycle, a count or an order is too
            large, an entry or its bitmap is where no layout has one, or a bitmap is used twice.
    """
    found: dict[int, Entry] = {}
    limit = ram_end(memory)
    for chunk, here in _chunks(memory, first, place, page_shift):
        for index, (start, bitmap) in enumerate(chunk.entries):
            entry = Entry(chunk.order, start, bitmap, here / f"entry[{index}]")
            if start % Layout.A.coverage(chunk.order, page_shift) or start >= limit:
                raise entry.place.error(f"order {chunk.order} cannot start at {start:#x}")
            if bitmap % _SMALLEST_BITMAP or not bitmap:
                raise entry.place.error(f"a bitmap cannot be at {bitmap:#x}")
            if found.setdefault(bitmap, entry) is not entry:
                raise entry.place.error(f"the bitmap at {bitmap:#x} is listed twice")
    return tuple(found.values())


def runs(
    memory: Memory, entry: Entry, layout: Layout, page_shift: int = PAGE_SHIFT
) -> Iterator[Run]:
    """The blocks of one bitmap read as ``layout``, in ascending order.

    Raises:
        DecodeError: the bitmap is not all in RAM.
    """
    shift = entry.order + page_shift
    size = layout.bitmap_size(page_shift)
    for first, count in bit_runs(fetch(memory, entry.bitmap, size, entry.place)):
        yield Run(entry.phys_start + (first << shift), entry.order, count, page_shift)


def listing(
    memory: Memory,
    found: Iterable[Entry],
    layout: Layout,
    place: Place,
    page_shift: int = PAGE_SHIFT,
) -> tuple[Run, ...]:
    """All blocks of the map read as ``layout``, sorted by address.

    Raises:
        DecodeError: a bitmap is not all in RAM, or there are more blocks than RAM has pages.
    """
    every = (run for entry in found for run in runs(memory, entry, layout, page_shift))
    return collect(every, ram_size(memory) >> page_shift, place)


def _chunks(
    memory: Memory, first: int, place: Place, page_shift: int
) -> Iterator[tuple[_Chunk, Place]]:
    seen: set[int] = set()
    address = first
    while address:
        here = (place / f"chunk[{len(seen)}]").at(address)
        if address in seen:
            raise here.error("the list of chunks is a cycle")
        seen.add(address)
        chunk = _chunk(memory, address, here, page_shift)
        yield chunk, here
        address = chunk.next


def _chunk(memory: Memory, address: int, place: Place, page_shift: int) -> _Chunk:
    page_size = 1 << page_shift
    if address % page_size:
        raise place.error("a chunk is not page aligned")
    page = fetch(memory, address, page_size, place)
    successor, order, count = _HEADER.unpack_from(page)
    capacity = (page_size - _HEADER.size) // _ENTRY.size
    if count > capacity:
        raise place.error(f"{count} entries, a chunk holds {capacity}")
    if order > 64 - page_shift:
        raise place.error(f"order {order} does not fit into 64 bits")
    body = page[_HEADER.size : _HEADER.size + count * _ENTRY.size]
    return _Chunk(successor, order, tuple(_ENTRY.iter_unpack(body)))
