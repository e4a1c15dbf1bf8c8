"""The same work as a straightforward loop: bit after bit, block after block."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from bench.synthetic import SCRATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.memory import Memory

_PAGE = 4096


def check(memory: Memory, layout: str, pointer: int) -> tuple[int, int]:
    """How many blocks there are, and how many overlap, are outside RAM, or are in scratch."""
    count = wrong = reached = 0
    for phys, order in sorted_blocks(memory, layout, pointer):
        end = phys + (_PAGE << order)
        inside = any(item.start <= phys and end <= item.end for item in memory.ram)
        scratch = any(area.start < end and phys < area.start + area.size for area in SCRATCH)
        wrong += phys < reached or not inside or scratch
        reached = max(reached, end)
        count += 1
    return count, wrong


def sorted_blocks(memory: Memory, layout: str, pointer: int) -> Iterator[tuple[int, int]]:
    """Address and order of each block; maps of one order are sorted as they are."""
    if layout == "radix":
        return _tree(memory, pointer, 5, 0)
    return _chunks(memory, pointer, 512 if layout == "A" else _PAGE)


def _chunks(memory: Memory, address: int, size: int) -> Iterator[tuple[int, int]]:
    while address:
        page = memory.read(address, _PAGE)
        address, order, count = struct.unpack_from("<QII", page)
        for index in range(count):
            start, bitmap = struct.unpack_from("<QQ", page, 16 + 16 * index)
            for bit in _bits(memory.read(bitmap, size)):
                yield start + (bit << order + 12), order


def _tree(memory: Memory, address: int, level: int, key: int) -> Iterator[tuple[int, int]]:
    page = memory.read(address, _PAGE)
    if not level:
        for bit in _bits(page):
            order = 53 - (key | bit).bit_length()
            yield ((key | bit) << 12 + order) % (1 << 64), order
        return
    for index, (child,) in enumerate(struct.iter_unpack("<Q", page)):
        if child:
            yield from _tree(memory, child, level - 1, key | index << 15 + 9 * (level - 1))


def _bits(bitmap: bytes) -> Iterator[int]:
    for bit in range(len(bitmap) * 8):
        if bitmap[bit // 8] >> bit % 8 & 1:
            yield bit
