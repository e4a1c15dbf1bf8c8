"""The memory map of ``kho-v3`` and ``kho-v4``: a radix tree of pages.

``include/linux/kho/abi/kexec_handover.h`` and ``kho_radix_walk_tree`` of 7.1 to 7.3. Inner nodes
are tables of physical addresses, leaves are bitmaps, and the path to a bit is a key that encodes
address and order of a block.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format.bits import bit_runs
from khoci.format.blocks import Block, Run, collect
from khoci.format.memory import PAGE_SHIFT, Memory, fetch, ram_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.errors import Place


@dataclass(frozen=True, slots=True)
class Geometry:
    """The tree's shape for pages of ``1 << page_shift`` bytes."""

    page_shift: int = PAGE_SHIFT

    @property
    def page_size(self) -> int:
        """Bytes of a node."""
        return 1 << self.page_shift

    @property
    def key_bits(self) -> int:
        """Width of a key: a page frame number and the marker above it."""
        return 64 - self.page_shift + 1

    @property
    def table_bits(self) -> int:
        """Bits of a key that select a child in an inner node."""
        return self.page_shift - 3

    @property
    def leaf_bits(self) -> int:
        """Bits of a key that select a bit in a leaf."""
        return self.page_shift + 3

    @property
    def depth(self) -> int:
        """Pages from the root to a leaf, both counted."""
        return -(-(self.key_bits - self.leaf_bits) // self.table_bits) + 1

    def shift(self, level: int) -> int:
        """Position in the key of the index into a table at ``level`` (leaves are level 0)."""
        return self.leaf_bits + self.table_bits * (level - 1)

    def encode(self, block: Block) -> int:
        """The key of a block."""
        shift = self.page_shift + block.order
        return (1 << (64 - shift)) | (block.phys >> shift)

    def decode(self, key: int) -> Block:
        """The block of a key between 1 and ``1 << key_bits``."""
        order = self.key_bits - key.bit_length()
        phys = (key << (self.page_shift + order)) & ((1 << 64) - 1)
        return Block(phys, order, self.page_shift)


@dataclass(frozen=True, slots=True)
class _Node:
    level: int
    address: int
    key: int
    path: tuple[int, ...]

    def place(self, tree: Place) -> Place:
        indices = ",".join(map(str, self.path))
        return (tree / f"radix[{indices}]").at(self.address)


def listing(
    memory: Memory, root: int, place: Place, page_shift: int = PAGE_SHIFT
) -> tuple[Run, ...]:
    """All blocks of the tree, sorted by address.

    Args:
        memory: of the producer at the jump.
        root: physical address of the root node.
        place: of the map, for errors.
        page_shift: log2 of the page size in bytes.

    Raises:
        DecodeError: a node is not a page of RAM or is reached twice, a key is too wide or has
            no marker, or there are more blocks than RAM has pages.
    """
    geometry = Geometry(page_shift)
    return collect(_runs(memory, root, place, geometry), ram_size(memory) >> page_shift, place)


def _runs(memory: Memory, root: int, place: Place, geometry: Geometry) -> Iterator[Run]:
    seen: set[int] = set()
    todo = [_Node(geometry.depth - 1, root, 0, ())]
    while todo:
        node = todo.pop()
        page = _page(memory, node, place, geometry, seen)
        if node.level:
            todo.extend(_children(page, node, place, geometry))
        else:
            yield from _leaf(page, node, place, geometry)


def _page(memory: Memory, node: _Node, place: Place, geometry: Geometry, seen: set[int]) -> bytes:
    here = node.place(place)
    if node.address % geometry.page_size:
        raise here.error("a node is not page aligned")
    if node.address in seen:
        raise here.error("a node is reached twice")
    seen.add(node.address)
    return fetch(memory, node.address, geometry.page_size, here)


def _children(page: bytes, node: _Node, place: Place, geometry: Geometry) -> Iterator[_Node]:
    shift = geometry.shift(node.level)
    if page == bytes(len(page)):
        return
    for index, (address,) in enumerate(struct.iter_unpack("<Q", page)):
        if address:
            key = node.key | index << shift
            child = _Node(node.level - 1, address, key, (*node.path, index))
            if key >> geometry.key_bits:
                raise child.place(place).error(f"the key {key:#x} is too wide")
            yield child


def _leaf(page: bytes, node: _Node, place: Place, geometry: Geometry) -> Iterator[Run]:
    """Above bit 0 of the key's upper part the order is one for the leaf; else one for each bit."""
    for first, count in bit_runs(page):
        if node.key:
            block = geometry.decode(node.key | first)
            yield Run(block.phys, block.order, count, geometry.page_shift)
            continue
        if first == 0:
            raise node.place(place).error("a key without marker")
        for key in range(first, first + count):
            block = geometry.decode(key)
            yield Run(block.phys, block.order, 1, geometry.page_shift)
