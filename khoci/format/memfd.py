"""A preserved memfd: what it is, and the folios of its content.

``struct memfd_luo_ser`` and ``struct memfd_luo_folio_ser`` of ``include/linux/kho/abi/memfd.h``,
written and read by ``mm/memfd_luo.c``: ``memfd-v1`` in 6.19 and 7.0, ``memfd-v2`` with seals from
7.1 on. Preserving a file fills its holes, so its folios hold all of it; their orders are in the
memory map only.

The reader refuses a file with seals that it does not know, and checks nothing else. A folio of
frame 0 is passed over. 6.19 takes frames for addresses where it gives up a file's folios.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from khoci.format import vmalloc
from khoci.format.extents import Addresses, Extents
from khoci.format.memory import PAGE_SHIFT, Memory, fetch
from khoci.format.versions import Version

if TYPE_CHECKING:
    from khoci.format.blocks import Blocks
    from khoci.format.errors import Place
    from khoci.format.vmalloc import Area, Descriptor

KNOWN = frozenset({Version("memfd", 1), Version("memfd", 2)})
SEALS = {1: "seal", 2: "shrink", 4: "grow", 8: "write", 16: "future-write", 32: "exec"}
"""``F_SEAL_*`` of ``include/uapi/linux/fcntl.h``: ``MEMFD_LUO_ALL_SEALS``."""

DIRTY, UPTODATE = 1, 2
"""Flags of a folio; all releases set both."""

FOLIO_SIZE = 16
_HEAD = {1: struct.Struct("<QQQ"), 2: struct.Struct("<QQIIQ")}
_FRAME_BITS = 52


@dataclass(frozen=True, slots=True, eq=False)
class Folios:
    """The folios of a file, in columns and in the order of the list.

    Attributes:
        pfn: number of the folio's first page frame, 0 for none.
        flags: `DIRTY` and `UPTODATE`.
        index: the folio's place in the file, in pages.
        page_shift: log2 of the page size in bytes.
    """

    pfn: Addresses
    flags: NDArray[np.uint16]
    index: Addresses
    page_shift: int = PAGE_SHIFT

    def __len__(self) -> int:
        return len(self.pfn)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Folios)
            and self.page_shift == other.page_shift
            and np.array_equal(self.pfn, other.pfn)
            and np.array_equal(self.flags, other.flags)
            and np.array_equal(self.index, other.index)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def phys(self) -> Addresses:
        """The physical address of each folio."""
        phys: Addresses = self.pfn << np.uint64(self.page_shift)
        return phys

    def orders(self, blocks: Blocks) -> NDArray[np.int16]:
        """Log2 of the pages of each folio: that of the block where it begins, -1 if none does."""
        found = np.searchsorted(blocks.phys, self.phys, side="right") - 1
        orders = np.full(len(self), -1, dtype=np.int16)
        if len(blocks):
            there = (found >= 0) & (blocks.phys[found] == self.phys) & (self.pfn != 0)
            orders[there] = blocks.order[found[there]]
        return orders

    def owned(self, blocks: Blocks) -> Extents:
        """The memory of all folios; of one without a block, its first page."""
        listed = self.pfn != 0
        shift = np.maximum(self.orders(blocks)[listed], 0) + self.page_shift
        # all ones without those above a folio's bits is its size - 1: 64 bits have no such size
        size = np.uint64(2**64 - 1) >> (64 - shift).astype(np.uint64)
        return Extents.merged(self.phys[listed], self.phys[listed] + size)


@dataclass(frozen=True, slots=True)
class Memfd:
    """A file; ``seals`` and ``flags`` are None where the version has none.

    Attributes:
        version: of the handler.
        pos: file position, in bytes.
        size: of the file, in bytes.
        seals: bits of `SEALS`.
        flags: none are defined.
        folios: its content.
        area: where the folios are listed, None if there are none.
    """

    version: Version
    pos: int
    size: int
    seals: int | None
    flags: int | None
    folios: Folios
    area: Area | None

    @property
    def unknown_seals(self) -> int:
        """The bits of ``seals`` that no release preserves."""
        return (self.seals or 0) & ~sum(SEALS)


@dataclass(frozen=True, slots=True)
class Head:
    """The struct of a file, without what it points to."""

    pos: int
    size: int
    seals: int | None
    flags: int | None
    count: int
    folios: Descriptor


def read_head(memory: Memory, address: int, version: Version, place: Place) -> Head:
    """Read the struct of ``version``, one of `KNOWN`.

    Raises:
        DecodeError: it is not all in RAM.
    """
    layout = _HEAD[1 if version.number == 1 else 2]
    size = layout.size + vmalloc.DESCRIPTOR_SIZE
    raw = fetch(memory, address, size, place.at(address))
    pos, length, *seals_and_flags, count = layout.unpack_from(raw)
    seals, flags = seals_and_flags or (None, None)
    return Head(pos, length, seals, flags, count, vmalloc.parse(raw[layout.size :], place))


def read_folios(memory: Memory, area: Area, count: int, place: Place) -> Folios:
    """Read the first ``count`` entries of the list in ``area``.

    Raises:
        DecodeError: the area has fewer, or a folio does not begin in RAM.
    """
    raw = vmalloc.content(memory, area, count * FOLIO_SIZE, place)
    words = np.frombuffer(raw, dtype="<u8").reshape(-1, 2)
    frame, bits = words[:, 0], np.uint64(_FRAME_BITS)
    pfn = frame & np.uint64((1 << _FRAME_BITS) - 1)
    flags = (frame >> bits).astype(np.uint16)
    folios = Folios(pfn, flags, words[:, 1].copy(), area.page_shift)
    _check(memory, folios, place)
    return folios


def no_folios(page_shift: int = PAGE_SHIFT) -> Folios:
    """Those of an empty file."""
    none = np.zeros(0, dtype=np.uint64)
    return Folios(none, none.astype(np.uint16), none, page_shift)


def seal_names(seals: int) -> tuple[str, ...]:
    """The names of all seals, and in hex what nobody knows."""
    names = tuple(name for bit, name in SEALS.items() if seals & bit)
    rest = seals & ~sum(SEALS)
    return (*names, f"{rest:#x}") if rest else names


def _check(memory: Memory, folios: Folios, place: Place) -> None:
    page = np.uint64((1 << folios.page_shift) - 1)
    wide = folios.pfn >> np.uint64(64 - folios.page_shift) != 0
    inside = Extents.of(memory.ram).holds(folios.phys, folios.phys | page)
    for index in np.flatnonzero((~inside | wide) & (folios.pfn != 0))[:1].tolist():
        here = (place / f"folio[{index}]").at(int(folios.phys[index]))
        raise here.error(f"page frame {int(folios.pfn[index]):#x} is not in RAM")
