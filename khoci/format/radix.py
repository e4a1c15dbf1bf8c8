"""The memory map of ``kho-v3`` and ``kho-v4``: a radix tree of pages.

``include/linux/kho/abi/kexec_handover.h`` and ``kho_radix_walk_tree`` of 7.1 to 7.3. Inner nodes
are tables of physical addresses, leaves are bitmaps, and the path to a bit is a key that encodes
address and order of a block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from khoci.format.bits import set_bits
from khoci.format.blocks import Block, Blocks
from khoci.format.extents import Extents
from khoci.format.memory import PAGE_SHIFT, Memory, fetch, ram_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.blocks import Orders
    from khoci.format.errors import Place
    from khoci.format.extents import Addresses


NAME = "radix"
LEAST_LEAF_BITS = 6


@dataclass(frozen=True, slots=True)
class Geometry:
    """The tree's shape for pages of ``1 << page_shift`` bytes.

    ``leaf_log2`` is log2 of the bits in a leaf where it is not a page of them: of a kernel with
    another ``KHO_BITMAP_SIZE_LOG2``.
    """

    page_shift: int = PAGE_SHIFT
    leaf_log2: int | None = None

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
        return self.page_shift + 3 if self.leaf_log2 is None else self.leaf_log2

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

    def decode_all(self, keys: Addresses) -> tuple[Addresses, Orders]:
        """`decode` for a column of keys: addresses and orders."""
        # a key has at most 53 bits, so it is exact in a float, whose exponent is the bit length
        order = (self.key_bits - np.frexp(keys.astype(np.float64))[1]).astype(np.uint8)
        return keys << (order.astype(np.uint64) + np.uint64(self.page_shift)), order


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole tree: its blocks, sorted by address, and the pages of its nodes."""

    blocks: Blocks
    nodes: Extents


@dataclass(frozen=True, slots=True)
class Walk:
    """How to walk a tree: one that is ``lenient`` takes any key, as the kernel's does."""

    memory: Memory
    place: Place
    geometry: Geometry
    lenient: bool = False

    def leaves(self, root: int, seen: set[int]) -> Iterator[tuple[Place, Addresses]]:
        """The keys of each leaf, in the order of the kernel; ``seen`` collects all nodes.

        Raises:
            DecodeError: a node is not a page of RAM or is reached twice, or a key is too wide.
        """
        todo = [_Node(self.geometry.depth - 1, root, 0, ())]
        while todo:
            node = todo.pop()
            here = node.place(self.place)
            page = self._page(node, here, seen)
            if node.level:
                todo.extend(reversed(list(self._children(page, node))))
            else:
                bits = page[: 1 << max(0, self.geometry.leaf_bits - 3)]
                yield here, set_bits(bits) | np.uint64(node.key)

    def _page(self, node: _Node, here: Place, seen: set[int]) -> bytes:
        if node.address % self.geometry.page_size:
            raise here.error("a node is not page aligned")
        if node.address in seen:
            raise here.error("a node is reached twice")
        seen.add(node.address)
        return fetch(self.memory, node.address, self.geometry.page_size, here)

    def _children(self, page: bytes, node: _Node) -> Iterator[_Node]:
        shift = self.geometry.shift(node.level)
        table = np.frombuffer(page, dtype="<u8")
        for index in np.flatnonzero(table).tolist():
            key = node.key | index << shift
            child = _Node(node.level - 1, int(table[index]), key, (*node.path, index))
            if key >> self.geometry.key_bits and not self.lenient:
                raise child.place(self.place).error(f"the key {key:#x} is too wide")
            yield child


@dataclass(frozen=True, slots=True)
class _Node:
    level: int
    address: int
    key: int
    path: tuple[int, ...]

    def place(self, tree: Place) -> Place:
        indices = ",".join(map(str, self.path))
        return (tree / f"radix[{indices}]").at(self.address)


def named(layout: str, page_shift: int = PAGE_SHIFT) -> Geometry | None:
    """The geometry of a layout called ``radix``, or ``radix/N`` where a leaf has 2^N bits.

    None if the layout is no radix tree, or no leaf in a page has so many bits.
    """
    name, _, bits = layout.partition("/")
    if name != NAME or (bits and not bits.isdigit()):
        return None
    geometry = Geometry(page_shift, int(bits) if bits else None)
    return geometry if LEAST_LEAF_BITS <= geometry.leaf_bits <= page_shift + 3 else None


def read(
    memory: Memory,
    root: int,
    place: Place,
    page_shift: int = PAGE_SHIFT,
    leaf_log2: int | None = None,
) -> Tree:
    """Read a whole tree.

    Args:
        memory: of the producer at the jump.
        root: physical address of the root node.
        place: of the map, for errors.
        page_shift: log2 of the page size in bytes.
        leaf_log2: as of `Geometry`.

    Raises:
        DecodeError: a node is not a page of RAM or is reached twice, a key is too wide or has
            no marker, or there are more blocks than RAM has pages.
    """
    geometry = Geometry(page_shift, leaf_log2)
    seen: set[int] = set()
    room = limit = ram_size(memory) >> page_shift
    phys, order = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.uint8)]
    for here, keys in Walk(memory, place, geometry).leaves(root, seen):
        if len(keys) and not keys[0]:
            raise here.error("a key without marker")
        room -= len(keys)
        if room < 0:
            raise place.error(f"more blocks than RAM has pages ({limit})")
        first, orders = geometry.decode_all(keys)
        phys.append(first)
        order.append(orders)
    blocks = Blocks.sort(np.concatenate(phys), np.concatenate(order), page_shift)
    return Tree(blocks, _pages(seen, geometry))


def _pages(addresses: set[int], geometry: Geometry) -> Extents:
    first = np.array(sorted(addresses), dtype=np.uint64)
    return Extents.merged(first, first | np.uint64(geometry.page_size - 1))
