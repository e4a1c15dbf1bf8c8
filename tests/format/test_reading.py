from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import capture, memorymap, reading
from khoci.format import root as roots
from khoci.format.bitmaps import Layout, Sized, layout_named
from khoci.format.blocks import Block, Blocks
from khoci.format.errors import Place
from khoci.format.extents import Extents
from khoci.format.memory import Memory
from khoci.format.ranges import Range
from khoci.format.reading import AnyReader, Reader, Reading
from tests.format import encoders
from tests.format.encoders import GIB, MIB, Image, u64
from tests.format.strategies import block_sets
from tests.format.test_memorymap import CAPTURES, RAM

MAP = Place("root/preserved-memory-map")
LARGE = (Range(0, 64 * GIB),)
TOP = 1 << 64


def read(memory: Memory, pointer: int, reader: AnyReader, *, int_sizes: bool = False) -> Reading:
    return reading.read_as(memory, pointer, reader, MAP, int_sizes=int_sizes)


def map_of(image: Image, blocks: tuple[Block, ...], reader: Reader) -> int:
    if reader is Reader.RADIX:
        return encoders.radix_tree(image, blocks)
    return encoders.bitmap_map(image, blocks, Layout(reader.value))


@settings(max_examples=60, deadline=None)
@given(block_sets(), st.sampled_from(Reader), st.booleans())
def test_the_same_version_reserves_exactly_the_decoded_blocks(
    blocks: tuple[Block, ...], reader: Reader, int_sizes: bool
) -> None:
    image = Image(RAM, free=GIB)
    pointer = map_of(image, blocks, reader)
    found = read(image.memory(), pointer, reader, int_sizes=int_sizes)
    assert tuple(found.blocks) == blocks
    assert (len(found.outside), found.error) == (0, None) or not pointer


SIZES = [Sized(64), Reader.A, Sized(1024), Reader.B]


@settings(max_examples=80, deadline=None)
@given(block_sets(), st.sampled_from(SIZES), st.sampled_from(SIZES))
def test_bitmaps_of_one_size_read_as_another(
    blocks: tuple[Block, ...], written: Reader | Sized, reader: Reader | Sized
) -> None:
    image = Image(RAM, free=GIB)
    layouts = [layout_named(item.value) for item in (written, reader)]
    wide, cut = (layout.bitmap_size() * 8 for layout in layouts)
    pointer = encoders.bitmap_map(image, blocks, layouts[0], bytes(4096))
    found = read(image.memory(), pointer, reader)
    seen = [item for item in blocks if (item.phys >> item.order + 12) % wide < cut]
    assert tuple(found.blocks) == tuple(seen)
    assert found.error is None


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.khocap")), ids=lambda path: path.stem)
def test_real_maps_read_by_their_own_kind(path: Path) -> None:
    captured = capture.load(path)
    root = roots.read(captured.pages, captured.fdt_addr)
    decoded, _ = memorymap.read(captured.pages, root, (), MAP)
    assert root.memory_map
    found = read(captured.pages, root.memory_map, Reader(decoded.family), int_sizes=True)
    assert found == Reading(decoded.blocks, Blocks.of(()))


def test_a_cuts_a_map_of_b() -> None:
    image = Image()
    blocks = (Block(15 * MIB, 0), Block(16 * MIB, 0), Block(128 * MIB, 0), Block(160 * MIB, 1))
    pointer = encoders.bitmap_map(image, blocks, Layout.B)
    found = read(image.memory(), pointer, Reader.A)
    assert tuple(found.blocks) == (blocks[0], blocks[2])
    changed = reading.difference(Blocks.of(blocks), found.blocks)
    assert list(changed.lost) == [blocks[1].range, blocks[3].range]
    assert not len(changed.gained)


def test_b_reads_on_behind_a_bitmap_of_a() -> None:
    image = Image()
    slab = image.put(bytes(0xE00) + b"\x01" + bytes(0x3FF) + b"\x02" + bytes(0xBFF))
    pointer = encoders.chunks(image, [(0, [(0, slab + 0xE00)])])
    assert tuple(read(image.memory(), pointer, Reader.A).blocks) == (Block(0, 0),)
    found = read(image.memory(), pointer, Reader.B)
    gained = Block((0x400 * 8 + 1) << 12, 0)
    assert tuple(found.blocks) == (Block(0, 0), gained)
    assert found.notes == ("1 of 1 bitmaps are read on into the next page",)
    changed = reading.difference(Blocks.of([Block(0, 0)]), found.blocks)
    assert (list(changed.gained), len(changed.lost)) == ([gained.range], 0)


def test_blocks_that_two_bitmaps_list_are_reserved_once() -> None:
    image = Image()
    slab = image.put(b"\x01" + bytes(0x1FF) + b"\x01" + bytes(0x1DFF))
    pointer = encoders.chunks(image, [(0, [(0, slab), (16 * MIB, slab + 0x200)])])
    found = read(image.memory(), pointer, Reader.B)
    assert tuple(found.blocks) == (Block(0, 0), Block(16 * MIB, 0))


def test_a_struct_page_that_does_not_exist() -> None:
    image = Image((Range(0, GIB - 64 * MIB), Range(2 * GIB, 64 * MIB)))
    blocks = (
        Block(GIB - MIB, 0),
        Block(GIB, 3),
        Block(GIB + 4096, 0),
        Block(2 * GIB + 65 * MIB, 0),
    )
    pointer = encoders.radix_tree(image, blocks)
    found = read(image.memory(), pointer, Reader.RADIX)
    assert tuple(found.blocks) == blocks
    assert tuple(found.outside) == blocks[1:3]
    assert found.notes == ("dies of the block at 0x40000000, order 3: no struct page",)


def test_the_bitmaps_of_small_blocks_come_first_and_the_keys_of_large_ones() -> None:
    image = Image((Range(0, GIB - 128 * MIB),))
    blocks = (Block(GIB - 64 * MIB, 3), Block(GIB - MIB, 1))
    bits, keys = encoders.bitmap_map(image, blocks, Layout.B), encoders.radix_tree(image, blocks)
    assert "0x3ff00000, order 1" in read(image.memory(), bits, Reader.B).notes[0]
    assert "0x3c000000, order 3" in read(image.memory(), keys, Reader.RADIX).notes[0]


def test_a_block_at_the_end_of_ram_is_marked_in_its_first_page_only() -> None:
    image = Image()
    pointer = encoders.radix_tree(image, [Block(GIB - 4 * MIB, 0), Block(0, 20)])
    found = read(image.memory(), pointer, Reader.RADIX)
    assert not len(found.outside)
    assert found.blocks.extents == Extents.of([Range(0, 4 * GIB)])


@pytest.mark.parametrize(
    ("order", "reserved"),
    [
        (18, Range(8 * GIB, GIB)),
        (19, Range(8 * GIB, TOP - 8 * GIB)),
        (20, Range(8 * GIB, 4096)),
        (21, Range(8 * GIB, 4096)),
    ],
)
@pytest.mark.parametrize("reader", Reader)
def test_sizes_in_an_int(order: int, reserved: Range, reader: Reader) -> None:
    image = Image(LARGE)
    pointer = map_of(image, (Block(8 * GIB, order),), reader)
    whole = read(image.memory(), pointer, reader)
    assert tuple(whole.blocks) == (Block(8 * GIB, order),)
    found = read(image.memory(), pointer, reader, int_sizes=True)
    assert list(found.blocks.extents) == [reserved]


def test_an_endless_block_does_not_hide_one_below() -> None:
    image = Image(LARGE)
    pointer = encoders.radix_tree(image, [Block(0, 0), Block(2 * GIB, 19), Block(8 * GIB, 0)])
    found = read(image.memory(), pointer, Reader.RADIX, int_sizes=True)
    assert list(found.blocks.extents) == [Range(0, 4096), Range(2 * GIB, TOP - 2 * GIB)]


def test_a_pointer_of_0() -> None:
    for reader in (Reader.A, Reader.B):
        found = read(Image().memory(), 0, reader)
        assert (len(found.blocks), found.error) == (0, None)
        assert "empty map up to 6.18" in found.notes[0]
    refused = read(Image().memory(), 0, Reader.RADIX)
    assert refused.error is not None
    assert "refused" in refused.error


def test_keys_that_no_producer_writes() -> None:
    image = Image()
    leaf, wide = image.put(b"\x05"), image.put(b"\x01")
    for _ in range(4):
        leaf, wide = image.put(u64(leaf)), image.put(u64(wide))
    pointer = image.put(u64(leaf) + bytes(24) + u64(wide))
    found = read(image.memory(), pointer, Reader.RADIX)
    assert tuple(found.blocks) == (Block(0, 51),)
    assert found.notes == ("2 keys have no marker or one too high, they are left out here",)


def test_where_khoci_cannot_follow() -> None:
    image = Image()
    entries = [(0, image.put(b"\x01")), (128 * MIB, GIB - 0x200), (256 * MIB, image.put(b"\x01"))]
    pointer = encoders.chunks(image, [(0, entries)])
    assert read(image.memory(), pointer, Reader.A).error is None
    found = read(image.memory(), pointer, Reader.B)
    assert tuple(found.blocks) == (Block(0, 0),)
    assert found.error is not None
    assert "entry[1] at" in found.error
    assert found.error.endswith("not all in RAM")


@pytest.mark.parametrize("reader", [Reader.A, Reader.B])
def test_more_blocks_than_ram_has_pages(reader: Reader) -> None:
    image = Image((Range(0, 16 * MIB),), free=0x100_0000 // 2)
    slab = image.put(b"\xff" * 0x8000)
    entries = [(order, [(0, slab + (order << 12))]) for order in range(8)]
    pointer = encoders.chunks(image, entries)
    found = read(image.memory(), pointer, reader)
    assert len(found.blocks) == 4096
    assert found.error is not None
    assert "more blocks than RAM has pages (4096)" in found.error


def test_addresses_wrap_at_64_bits() -> None:
    image = Image()
    bitmap = image.put(bytes(16) + b"\x01")
    pointer = encoders.chunks(image, [(45, [(0, bitmap)])])
    assert tuple(read(image.memory(), pointer, Reader.A).blocks) == (Block(0, 45),)
