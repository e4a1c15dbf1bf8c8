from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import radix
from khoci.format.blocks import Block
from khoci.format.errors import DecodeError, Place
from khoci.format.memory import Memory, Pages
from khoci.format.radix import Geometry
from khoci.format.ranges import Range
from tests.format import encoders
from tests.format.encoders import GIB, Image, u64
from tests.format.strategies import block_sets

MAP = Place("map")


def listed(memory: Memory, root: int, page_shift: int = 12) -> tuple[Block, ...]:
    return tuple(radix.read(memory, root, MAP, page_shift).blocks)


WORKED = [
    (0x12345000, 0, 0x10000000012345, (2, 0, 0, 0, 2), 9029),
    (0x12346000, 1, 0x80000000091A3, (1, 0, 0, 0, 1), 4515),
    (0x40000000, 9, 0x80000000200, (0, 2, 0, 0, 0), 512),
    (0x100000000, 10, 0x40000000400, (0, 1, 0, 0, 0), 1024),
    (0x46BC00000, 10, 0x400000011AF, (0, 1, 0, 0, 0), 4527),
    (0x80000000, 18, 0x400000002, (0, 0, 2, 0, 0), 2),
]


@pytest.mark.parametrize(("phys", "order", "key", "path", "bit"), WORKED)
def test_worked_values(phys: int, order: int, key: int, path: tuple[int, ...], bit: int) -> None:
    geometry = Geometry()
    assert geometry.encode(Block(phys, order)) == key
    assert geometry.decode(key) == Block(phys, order)
    image = Image((Range(0, 32 * GIB),))
    address = image.put(bytes(bit // 8) + bytes([1 << bit % 8]))
    for index in reversed(path):
        address = image.put(bytes(index * 8) + u64(address))
    assert listed(image.memory(), address) == (Block(phys, order),)


@pytest.mark.parametrize(("page_shift", "depth"), [(12, 6), (14, 5), (16, 4)])
def test_depth_by_page_size(page_shift: int, depth: int) -> None:
    assert Geometry(page_shift).depth == depth
    assert Geometry(12).key_bits == 53


@given(st.sampled_from([12, 14, 16]), st.data())
def test_keys_round_trip(page_shift: int, data: st.DataObject) -> None:
    order = data.draw(st.integers(0, 64 - page_shift))
    number = data.draw(st.integers(0, (1 << (64 - page_shift - order)) - 1))
    block = Block(number << (page_shift + order), order, page_shift)
    geometry = Geometry(page_shift)
    key = geometry.encode(block)
    assert geometry.decode(key) == block
    phys, orders = geometry.decode_all(np.array([key], dtype=np.uint64))
    assert (phys.tolist(), orders.tolist()) == ([block.phys], [order])


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([12, 14, 16]), st.data())
def test_trees_round_trip(page_shift: int, data: st.DataObject) -> None:
    blocks = data.draw(block_sets(page_shift, limit=20))
    image = Image(page_size=1 << page_shift)
    root = encoders.radix_tree(image, blocks, page_shift)
    assert listed(image.memory(), root, page_shift) == blocks


def test_orders_that_share_a_leaf_with_their_marker() -> None:
    image = Image((Range(0, 1 << 62),))
    blocks = (Block(0, 47), Block(1 << 61, 49 - 12))
    root = encoders.radix_tree(image, blocks)
    assert listed(image.memory(), root) == blocks


def test_nodes_are_all_pages_of_the_tree() -> None:
    image = Image()
    root = encoders.radix_tree(image, [Block(0x1234_5000, 0), Block(0x2000_0000, 13)])
    nodes = radix.read(image.memory(), root, MAP).nodes
    assert list(nodes) == [Range(root, 11 * 4096)]


def test_an_emptied_tree_lists_nothing() -> None:
    image = Image()
    root = encoders.radix_tree(image, [])
    assert listed(image.memory(), root) == ()


AT = 0x10_0000


@pytest.mark.parametrize(
    ("root", "page", "message"),
    [
        (AT + 8, b"", r"map/radix\[\] at 0x100008: a node is not page aligned"),
        (GIB, b"", "not all in RAM"),
        (AT, u64(AT), r"map/radix\[0\] at 0x100000: a node is reached twice"),
        (AT, u64(AT + 4096) * 2, r"map/radix\[\d\] at 0x101000: a node is reached twice"),
        (AT, u64(AT + 1), r"map/radix\[0\] at 0x100001: a node is not page aligned"),
        (AT, u64(2**64 - 4096), "not all in RAM"),
        (AT, bytes(32) + u64(AT + 4096), r"map/radix\[4\] .* key 0x20000000000000 is too wide"),
    ],
)
def test_hostile_nodes(root: int, page: bytes, message: str) -> None:
    image = Image()
    image.write(AT, page)
    with pytest.raises(DecodeError, match=message):
        listed(image.memory(), root)


def test_a_key_without_marker() -> None:
    image = Image()
    address = image.put(b"\x01")
    for _ in range(5):
        address = image.put(u64(address))
    with pytest.raises(DecodeError, match=r"radix\[0,0,0,0,0\].* without marker"):
        listed(image.memory(), address)


def test_more_blocks_than_pages() -> None:
    image = Image((Range(0, 2 << 20),), free=0x10_0000)
    address = image.put(b"\xff" * 4096)
    for index in (0, 0, 0, 0, 2):
        address = image.put(bytes(index * 8) + u64(address))
    with pytest.raises(DecodeError, match="more blocks than RAM has pages"):
        listed(image.memory(), address)


class Counted:
    """A memory that counts what is read."""

    def __init__(self, memory: Memory) -> None:
        self.ram, self.data = memory.ram, memory.data
        self._read, self.reads = memory.read, 0

    def read(self, phys: int, size: int) -> bytes:
        self.reads += 1
        return self._read(phys, size)


def test_a_tree_of_nothing_but_pointers_reads_no_page_twice() -> None:
    table = struct.pack("<512Q", *range(0x1000, 0x201000, 0x1000))
    pages = dict.fromkeys(range(0x1000, 0x40_0000, 0x1000), table)
    memory = Counted(Pages((Range(0, GIB),), pages))
    walk = radix.Walk(memory, MAP, Geometry(), lenient=True)
    with pytest.raises(DecodeError, match="reached twice"):
        list(walk.leaves(0x1000, set()))
    assert memory.reads <= len(pages)
    with pytest.raises(DecodeError, match=r"radix\[4\] .* too wide"):
        listed(memory, 0x1000)


def test_a_lenient_walk_takes_any_key_in_ascending_order() -> None:
    image = Image()
    root, tables = image.alloc(), (image.put(b"\x01"), image.put(b"\x06"))
    for _ in range(4):
        tables = image.put(u64(tables[0])), image.put(u64(tables[1]))
    image.write(root, u64(tables[1]) + bytes(24) + u64(tables[0]))
    walk = radix.Walk(image.memory(), MAP, Geometry(), lenient=True)
    assert [keys.tolist() for _, keys in walk.leaves(root, set())] == [[1, 2], [1 << 53]]
