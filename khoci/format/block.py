"""KHO blocks (7.2 and later): a list of pages, each with entries of one size.

``struct kho_block_header_ser`` of ``include/linux/kho/abi/block.h``, then the entries. It has no
version of its own: that of the root and of its user count. ``kho_block_set_restore`` of
``kernel/liveupdate/kho_block.c`` refuses the whole list for a cycle, more than 10000 blocks, or a
block with no entry or too many.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from khoci.format.extents import Extents
from khoci.format.memory import PAGE_SHIFT, Memory, fetch

if TYPE_CHECKING:
    from khoci.format.errors import Place

MAX_BLOCKS = 10000
_HEADER = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Chain:
    """The blocks of a list: physical address of each, and how many entries it has."""

    pages: tuple[int, ...]
    counts: tuple[int, ...]
    page_shift: int = PAGE_SHIFT

    @property
    def owned(self) -> Extents:
        """The pages of all blocks."""
        first = np.array(self.pages, dtype=np.uint64)
        return Extents.merged(first, first + np.uint64((1 << self.page_shift) - 1))


def capacity(entry_size: int, page_shift: int = PAGE_SHIFT) -> int:
    """How many entries a block has room for."""
    return ((1 << page_shift) - _HEADER.size) // entry_size


def read(
    memory: Memory,
    first: int,
    entry_size: int,
    place: Place,
    page_shift: int = PAGE_SHIFT,
    taken: set[int] | None = None,
) -> tuple[Chain, tuple[bytes, ...]]:
    """Follow a list, as strictly as the kernel.

    Args:
        memory: of the guest.
        first: physical address of the first block, 0 if there is none.
        entry_size: bytes of an entry.
        place: of the list, for errors.
        page_shift: log2 of the page size in bytes.
        taken: pages that no block may be; those of the list are added.

    Returns:
        The blocks, and the entries of all of them.

    Raises:
        DecodeError: a block is no page of RAM, is reached twice or is one too many, or has no
            entry or too many.
    """
    most, taken = capacity(entry_size, page_shift), set() if taken is None else taken
    counts: dict[int, int] = {}
    entries: list[bytes] = []
    address = first
    while address:
        here = (place / f"block[{len(counts)}]").at(address)
        if address in taken or address % (1 << page_shift) or len(counts) == MAX_BLOCKS:
            raise here.error("a block is not page aligned, is reached twice, or is one too many")
        page = fetch(memory, address, 1 << page_shift, here)
        following, count = _HEADER.unpack_from(page)
        if not 0 < count <= most:
            raise here.error(f"{count} entries, a block has 1 to {most}")
        taken.add(address)
        counts[address] = count
        ends = range(_HEADER.size, _HEADER.size + count * entry_size, entry_size)
        entries += (page[start : start + entry_size] for start in ends)
        address = following
    return Chain(tuple(counts), tuple(counts.values()), page_shift), tuple(entries)
