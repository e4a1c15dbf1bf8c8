"""A memory map as a given consumer reads it, bug for bug.

No consumer checks what it reads. For each set bit it reserves the block in memblock, and writes
the order into the ``struct page`` of the block's first page:

- 6.16 and 6.17 (``deserialize_bitmap``, ``kernel/kexec_handover.c``) take 512 bytes of each bitmap
  for the whole: of a map of B they see the first eighth.
- 6.18 (there), 6.19 and 7.0 (``kernel/liveupdate/``) take a page from the bitmap's address on: of
  a map of A they also read what lies behind in the slab, and if the bitmap does not begin a page,
  in the page behind.
- 7.1 to 7.3 (``kho_radix_walk_tree``, ``kho_preserved_memory_reserve``) walk the tree in
  ascending order of keys, thus large blocks first. A key wider than 53 bits (4 KiB pages) is
  decoded to an order of -1 or less, which is a reservation of less than a page; 7.3 refuses such
  keys only when it adds one. For a key of 0 they shift by more bits than there are.

A map pointer of 0 is an empty map for 6.16 to 6.18; all later kernels refuse the whole handover.

Up to 7.1 the bytes of a block are computed as ``int sz = 1 << (order + PAGE_SHIFT)``. For 2 GiB
that is negative, and becomes, as a ``phys_addr_t``, a size that ends only with the addresses. For
more the shift is undefined in C; x86-64 and arm64 shift by the lower five bits: 4 GiB become one
byte. memblock reserves that, and so nothing but the page it is in. 7.2 shifts an ``unsigned long``.

The ``struct page`` exists if its sparsemem section has memory, here 128 MiB on x86-64 and arm64
(512 MiB with pages of 64 KiB): else the consumer faults while it has no console yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from khoci.format import bitmaps
from khoci.format.bitmaps import SMALLEST, Sized, layout_named
from khoci.format.bits import set_bits
from khoci.format.blocks import Block, Blocks
from khoci.format.errors import DecodeError
from khoci.format.extents import Extents
from khoci.format.memory import PAGE_SHIFT, Memory, ram_size
from khoci.format.radix import Geometry, Walk, named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from khoci.format.errors import Place
    from khoci.format.extents import Addresses, Mask

_SECTION_SHIFT = 27
_SECTION_SHIFT_64K = 29
_BATCH = 1 << 16


class Reader(Enum):
    """What a consumer takes the map for."""

    A = "A"
    B = "B"
    RADIX = "radix"


AnyReader = Reader | Sized | Geometry


def reader_named(name: str, page_shift: int = PAGE_SHIFT) -> AnyReader:
    """The reader of the layout called ``A``, ``B``, the size of its bitmaps, or as `radix.named`.

    Raises:
        ValueError: no layout is called so.
    """
    if name.isdigit():
        return Sized(int(name))
    geometry = named(name, page_shift)
    return geometry if geometry and geometry.leaf_log2 is not None else Reader(name)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a consumer makes of a map.

    Attributes:
        blocks: what it reserves, each block once.
        outside: blocks it would mark in a ``struct page`` that does not exist: it dies there.
        notes: what is strange about it, in sentences.
        error: where khoci could not follow; ``blocks`` are then those before. None if it could.
    """

    blocks: Blocks
    outside: Blocks
    notes: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Memory that only the second of two readings reserves, and memory that only the first does."""

    gained: Extents
    lost: Extents


def read_as(
    memory: Memory,
    pointer: int,
    reader: AnyReader,
    place: Place,
    page_shift: int = PAGE_SHIFT,
    *,
    int_sizes: bool,
) -> Reading:
    """Read a map as a consumer does, whoever wrote it; whatever it holds, this does not raise.

    Args:
        memory: of the producer at the jump.
        pointer: physical address of the map.
        reader: the format the consumer knows.
        place: of the map, for ``error``.
        page_shift: log2 of the page size in bytes.
        int_sizes: whether it computes the size of a block in 32 bits, as 6.16 to 7.1 do.
    """
    consumer = _Consumer(memory, place, page_shift)
    error = None
    try:
        if pointer:
            consumer.follow(pointer, reader)
        elif _geometry(reader, page_shift):
            error = "a map pointer of 0: the whole handover is refused"
        else:
            consumer.notes.append("a map pointer of 0 is an empty map up to 6.18, later refused")
    except DecodeError as problem:
        error = str(problem)
    marked = consumer.marked()
    outside = marked[~consumer.has_page(marked.phys)]
    reserved = _in_int(marked) if int_sizes else marked
    return Reading(reserved, outside, tuple(consumer.notes), error)


def difference(before: Blocks, after: Blocks) -> Difference:
    """What changes if ``after`` is reserved and not ``before``."""
    old, new = before.extents, after.extents
    return Difference(gained=new - old, lost=old - new)


class _Consumer:
    """Collects the blocks in the order in which the kernel meets them."""

    def __init__(self, memory: Memory, place: Place, page_shift: int) -> None:
        section = 1 << (_SECTION_SHIFT if page_shift < 16 else _SECTION_SHIFT_64K)
        ram = (item.widened(section) for item in memory.ram)
        self.notes: list[str] = []
        self._memory = memory
        self._place = place
        self._page_shift = page_shift
        self._sections = Extents.of(ram)
        self._room = ram_size(memory) >> page_shift
        self._blocks = [Blocks.of((), page_shift)]
        self._dead = False

    def follow(self, pointer: int, reader: AnyReader) -> None:
        """Read the whole map.

        Raises:
            DecodeError: khoci cannot follow, or there are more blocks than RAM has pages.
        """
        geometry = _geometry(reader, self._page_shift)
        if geometry:
            met = self._keys(pointer, geometry)
        elif not isinstance(reader, Geometry):
            met = self._bits(pointer, reader)
        pending = 0
        for blocks in met:
            self._mark(blocks)
            pending += len(blocks)
            if pending > max(self._room, _BATCH):
                pending = len(self._merge())
        self._merge()

    def marked(self) -> Blocks:
        """Each block that was met, once; no more than RAM has pages."""
        return _once(self._blocks)[: self._room]

    def has_page(self, phys: Addresses) -> Mask:
        """Whether the ``struct page`` of each address exists."""
        return self._sections.touches(phys, phys)

    def _bits(self, pointer: int, reader: Reader | Sized) -> Iterator[Blocks]:
        found = bitmaps.entries(self._memory, pointer, self._place, self._page_shift, SMALLEST)
        layout = layout_named(reader.value)
        across = int(found.misaligned(layout).sum())
        if across:
            self.notes.append(f"{across} of {len(found)} bitmaps are read on into the next page")
        for index in range(len(found)):
            bits = set_bits(found.content(self._memory, index, layout))
            order = np.full(len(bits), found.order[index])
            yield Blocks(found.addresses(index, bits), order, self._page_shift)

    def _keys(self, root: int, geometry: Geometry) -> Iterator[Blocks]:
        odd = 0
        walk = Walk(self._memory, self._place, geometry, lenient=True)
        for _, keys in walk.leaves(root, set()):
            proper = (keys != 0) & (keys >> np.uint64(geometry.key_bits) == 0)
            odd += len(keys) - int(proper.sum())
            yield Blocks(*geometry.decode_all(keys[proper]), self._page_shift)
        if odd:
            self.notes.append(f"{odd} keys have no marker or one too high, they are left out here")

    def _mark(self, blocks: Blocks) -> None:
        self._blocks.append(blocks)
        missing = blocks[~self.has_page(blocks.phys)][:1]
        for block in () if self._dead else missing:
            self._dead = True
            text = f"dies of the block at {block.phys:#x}, order {block.order}: no struct page"
            self.notes.append(text)

    def _merge(self) -> Blocks:
        merged = _once(self._blocks)
        self._blocks = [merged]
        if len(merged) > self._room:
            raise self._place.error(f"more blocks than RAM has pages ({self._room})")
        return merged


def _geometry(reader: AnyReader, page_shift: int) -> Geometry | None:
    """The shape of the tree that a reader walks, None if it reads bitmaps."""
    if isinstance(reader, Geometry):
        return reader
    return Geometry(page_shift) if reader is Reader.RADIX else None


def _once(pieces: Sequence[Blocks]) -> Blocks:
    """All blocks, sorted, and none of them twice."""
    phys = np.concatenate([piece.phys for piece in pieces])
    order = np.concatenate([piece.order for piece in pieces])
    blocks = Blocks.sort(phys, order, pieces[0].page_shift)
    again = (blocks.phys[1:] == blocks.phys[:-1]) & (blocks.order[1:] == blocks.order[:-1])
    return blocks[np.append(True, ~again)[: len(blocks)]]


def _in_int(blocks: Blocks) -> Blocks:
    """What is reserved if the size in bytes is ``1 << shift`` in a 32-bit int."""
    shift = (blocks.order + blocks.page_shift) % 32
    wraps = blocks.order + blocks.page_shift > 31
    endless = shift == 31
    order = np.where(wraps, np.maximum(shift, blocks.page_shift) - blocks.page_shift, blocks.order)
    rest = _upwards(int(blocks.phys[endless].min()), blocks.page_shift) if endless.any() else ()
    kept = Blocks(blocks.phys[~endless], order[~endless].astype(np.uint8), blocks.page_shift)
    return _once((kept, Blocks.of(rest, blocks.page_shift)))


def _upwards(start: int, page_shift: int) -> Iterator[Block]:
    """All memory from ``start`` on, in aligned blocks."""
    while start < 1 << 64:
        size = start & -start or 1 << 64
        yield Block(start, size.bit_length() - 1 - page_shift, page_shift)
        start += size
