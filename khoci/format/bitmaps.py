"""The memory map of ``kho-v1``: bitmaps of preserved blocks, in a list of chunk pages.

``struct khoser_mem_chunk`` and ``struct kho_mem_phys_bits`` of ``kernel/kexec_handover.c``
(``kernel/liveupdate/kexec_handover.c`` from 6.19 on). The chunks are the same in all releases, the
bitmaps are not: see `Layout`, and `family` for telling one from the other.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from khoci.format.bits import set_bits
from khoci.format.blocks import Blocks
from khoci.format.errors import DecodeError
from khoci.format.extents import Extents
from khoci.format.memory import PAGE_SHIFT, Memory, fetch, ram_end, ram_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from khoci.format.blocks import Orders
    from khoci.format.errors import Place
    from khoci.format.extents import Addresses, Mask

_HEADER = struct.Struct("<QII")
_ENTRY_SIZE = 16
_SIZE_OF_A = 512


class Layout(Enum):
    """Size of a bitmap under the same version string: A is 6.16 and 6.17, B is 6.18 to 7.0."""

    A = "A"
    B = "B"

    def bitmap_size(self, page_shift: int = PAGE_SHIFT) -> int:
        """Bytes of one bitmap; it is aligned to as much."""
        return _SIZE_OF_A if self is Layout.A else 1 << page_shift

    def coverage(self, order: int, page_shift: int = PAGE_SHIFT) -> int:
        """Bytes of memory that one bitmap describes; ``phys_start`` is a multiple of it."""
        return self.bitmap_size(page_shift) * 8 << (order + page_shift)


@dataclass(frozen=True, slots=True)
class Sized:
    """The layout of a patched kernel: bitmaps of ``size`` bytes, a power of two."""

    size: int

    @property
    def value(self) -> str:
        """Its name: the size."""
        return str(self.size)

    def bitmap_size(self, page_shift: int = PAGE_SHIFT) -> int:  # noqa: ARG002
        """As of a `Layout`."""
        return self.size

    def coverage(self, order: int, page_shift: int = PAGE_SHIFT) -> int:
        """As of a `Layout`."""
        return self.size * 8 << (order + page_shift)


AnyLayout = Layout | Sized

SMALLEST = Sized(64)
"""No layout has smaller bitmaps: memory from any allocator is aligned to as much."""


def layout_named(name: str) -> AnyLayout:
    """The layout called ``A``, ``B``, or the size of its bitmaps in bytes."""
    return Sized(int(name)) if name.isdigit() else Layout(name)


def layout_of_size(size: int, page_shift: int = PAGE_SHIFT) -> AnyLayout | None:
    """The layout with bitmaps of ``size`` bytes; None if there can be none."""
    for layout in Layout:
        if layout.bitmap_size(page_shift) == size:
            return layout
    fits = SMALLEST.size <= size <= 1 << page_shift and size.bit_count() == 1
    return Sized(size) if fits else None


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """Every bitmap of a map, in columns and in the order of the list.

    Attributes:
        order: log2 of the pages of one block, by bitmap.
        start: physical address of the block of bit 0, by bitmap.
        bitmap: physical address of the bitmap itself.
        chunks: physical address of each chunk page.
        ends: for each chunk, how many bitmaps are in it and in those before it.
        place: of the map.
        page_shift: log2 of the page size in bytes.
    """

    order: Orders
    start: Addresses
    bitmap: Addresses
    chunks: tuple[int, ...]
    ends: tuple[int, ...]
    place: Place
    page_shift: int = PAGE_SHIFT

    def __len__(self) -> int:
        return len(self.bitmap)

    def where(self, index: int) -> Place:
        """The place of one entry."""
        chunk = bisect_right(self.ends, index)
        number = index - (self.ends[chunk - 1] if chunk else 0)
        return _chunk_place(self.place, chunk, self.chunks[chunk]) / f"entry[{number}]"

    def misaligned(self, layout: AnyLayout) -> Mask:
        """Which bitmaps are not aligned to their size."""
        odd: Mask = (self.bitmap & np.uint64(layout.bitmap_size(self.page_shift) - 1)) != 0
        return odd

    def between(self, layout: AnyLayout) -> Mask:
        """Which bitmaps begin at memory that is no multiple of what one covers."""
        step = layout.coverage(0, self.page_shift).bit_length() - 1
        odd: Mask = (self.start & _below(self.order, step)) != 0
        return odd

    def shift(self, index: int) -> int:
        """Log2 of the bytes of a block of one bitmap."""
        return int(self.order[index]) + self.page_shift

    def content(self, memory: Memory, index: int, layout: AnyLayout) -> bytes:
        """One bitmap as ``layout`` has it.

        Raises:
            DecodeError: it is not all in RAM.
        """
        size = layout.bitmap_size(self.page_shift)
        return fetch(memory, int(self.bitmap[index]), size, self.where(index))

    def addresses(self, index: int, bits: Addresses) -> Addresses:
        """Where the blocks of ``bits`` begin, modulo 64 bits, as the kernel computes it."""
        found: Addresses = self.start[index] + (bits << np.uint64(self.shift(index)))
        return found

    @property
    def tables(self) -> Extents:
        """The pages of the map itself: all chunks, and what the bitmaps lie in."""
        page = np.uint64((1 << self.page_shift) - 1)
        chunks = np.array(self.chunks, dtype=np.uint64)
        first = np.concatenate((chunks, self.bitmap & ~page))
        return Extents.merged(first, first | page)


@dataclass(frozen=True, slots=True)
class _Chunk:
    address: int
    next: int
    order: int
    start: Addresses
    bitmap: Addresses


def entries(
    memory: Memory,
    first: int,
    place: Place,
    page_shift: int = PAGE_SHIFT,
    least: AnyLayout = Layout.A,
) -> Entries:
    """Walk the chunk list; what it returns is right for all layouts with bitmaps that large.

    Args:
        memory: of the producer at the jump.
        first: physical address of the first chunk, 0 for an empty map.
        place: of the map, for errors.
        page_shift: log2 of the page size in bytes.
        least: the layout with the smallest bitmaps that comes into question.

    Raises:
        DecodeError: a chunk is not a page of RAM or closes a cycle, a count or an order is too
            large, an entry or its bitmap is where no layout has one, or a bitmap is used twice.
    """
    chunks = tuple(_chunks(memory, first, place, page_shift))
    counts = [len(chunk.bitmap) for chunk in chunks]
    none = np.zeros(0, dtype=np.uint64)
    found = Entries(
        order=np.repeat(np.array([chunk.order for chunk in chunks], dtype=np.uint8), counts),
        start=np.concatenate([none, *(chunk.start for chunk in chunks)]),
        bitmap=np.concatenate([none, *(chunk.bitmap for chunk in chunks)]),
        chunks=tuple(chunk.address for chunk in chunks),
        ends=tuple(accumulate(counts)),
        place=place,
        page_shift=page_shift,
    )
    _check(found, least, ram_end(memory))
    return found


def counts(memory: Memory, found: Entries, layout: AnyLayout) -> NDArray[np.int64]:
    """How many bits are set in each bitmap read as ``layout``; -1 if it cannot be read."""
    numbers = np.full(len(found), -1, dtype=np.int64)
    for index in range(len(found)):
        try:
            content = found.content(memory, index, layout)
        except DecodeError:
            continue
        numbers[index] = int.from_bytes(content, "little").bit_count()
    return numbers


def listing(memory: Memory, found: Entries, layout: AnyLayout) -> Blocks:
    """All blocks of the map read as ``layout``, sorted by address.

    Raises:
        DecodeError: a bitmap is not all in RAM, a bit denotes a block beyond 64 bits, or there
            are more blocks than RAM has pages.
    """
    room = limit = ram_size(memory) >> found.page_shift
    pieces = [np.zeros(0, dtype=np.uint64)]
    for index in range(len(found)):
        bits = set_bits(found.content(memory, index, layout))
        room -= len(bits)
        if room < 0:
            raise found.place.error(f"more blocks than RAM has pages ({limit})")
        _check_width(found, index, bits)
        pieces.append(found.addresses(index, bits))
    order = np.repeat(found.order, [len(piece) for piece in pieces[1:]])
    return Blocks.sort(np.concatenate(pieces), order, found.page_shift)


def _chunks(memory: Memory, first: int, place: Place, page_shift: int) -> Iterator[_Chunk]:
    seen: set[int] = set()
    address = first
    while address:
        here = _chunk_place(place, len(seen), address)
        if address in seen:
            raise here.error("the list of chunks is a cycle")
        seen.add(address)
        chunk = _chunk(memory, address, here, page_shift)
        yield chunk
        address = chunk.next


def _chunk_place(place: Place, number: int, address: int) -> Place:
    return (place / f"chunk[{number}]").at(address)


def _chunk(memory: Memory, address: int, place: Place, page_shift: int) -> _Chunk:
    page_size = 1 << page_shift
    if address % page_size:
        raise place.error("a chunk is not page aligned")
    page = fetch(memory, address, page_size, place)
    successor, order, count = _HEADER.unpack_from(page)
    capacity = (page_size - _HEADER.size) // _ENTRY_SIZE
    if count > capacity:
        raise place.error(f"{count} entries, a chunk holds {capacity}")
    if order > 64 - page_shift:
        raise place.error(f"order {order} does not fit into 64 bits")
    table = np.frombuffer(page, dtype="<u8", offset=_HEADER.size, count=2 * count)
    return _Chunk(address, successor, order, table[0::2], table[1::2])


def _check(found: Entries, least: AnyLayout, limit: int) -> None:
    """Find entries that are wrong in all layouts: ``limit`` is where RAM ends."""
    beyond = found.start > np.uint64(min(max(limit, 1), 1 << 64) - 1)
    for index in np.flatnonzero(found.between(least) | beyond)[:1].tolist():
        order, start = int(found.order[index]), int(found.start[index])
        raise found.where(index).error(f"order {order} cannot start at {start:#x}")
    for index in np.flatnonzero(found.misaligned(least) | (found.bitmap == 0))[:1].tolist():
        raise found.where(index).error(f"a bitmap cannot be at {int(found.bitmap[index]):#x}")
    by_address = np.argsort(found.bitmap, kind="stable")
    twice = found.bitmap[by_address[1:]] == found.bitmap[by_address[:-1]]
    for index in by_address[1:][twice][:1].tolist():
        address = int(found.bitmap[index])
        raise found.where(index).error(f"the bitmap at {address:#x} is listed twice")


def _check_width(found: Entries, index: int, bits: Addresses) -> None:
    last = int(bits[-1]) if len(bits) else 0
    if int(found.start[index]) + (last + 1 << found.shift(index)) > 1 << 64:
        raise found.where(index).error(f"bit {last} denotes a block beyond 64 bits")


def _below(order: Orders, step: int) -> Addresses:
    """The largest number below ``1 << (order + step)``, in 64 bits."""
    # numpy shifts all bits out where C would be undefined
    mask: Addresses = (np.uint64(1) << (order.astype(np.uint64) + np.uint64(step))) - np.uint64(1)
    return mask
