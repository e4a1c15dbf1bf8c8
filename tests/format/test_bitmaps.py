from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import bitmaps
from khoci.format.bitmaps import Layout, Sized
from khoci.format.blocks import Block
from khoci.format.errors import DecodeError, Place
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from tests.format import encoders
from tests.format.encoders import GIB, MIB, Image
from tests.format.strategies import block_sets

MAP = Place("root/preserved-memory-map")
LARGE = (Range(0, 8 * GIB),)


def decoded(image: Image, first: int, layout: Layout, page_shift: int = 12) -> tuple[Block, ...]:
    memory = image.memory()
    found = bitmaps.entries(memory, first, MAP, page_shift)
    return tuple(bitmaps.listing(memory, found, layout))


@pytest.mark.parametrize(
    ("block", "layout", "phys_start", "byte", "bit"),
    [
        (Block(0x12345000, 0), Layout.A, 0x12000000, 104, 837),
        (Block(0x12345000, 0), Layout.B, 0x10000000, 1128, 9029),
        (Block(0x40000000, 9), Layout.A, 0, 64, 512),
        (Block(0x40000000, 9), Layout.B, 0, 64, 512),
        (Block(0x100400000, 10), Layout.A, 0, 128, 1025),
        (Block(0x100400000, 10), Layout.B, 0, 128, 1025),
    ],
)
def test_worked_values(block: Block, layout: Layout, phys_start: int, byte: int, bit: int) -> None:
    image = Image(LARGE)
    bitmap = image.alloc()
    image.write(bitmap + byte, bytes([1 << bit % 8]))
    first = encoders.chunks(image, [(block.order, [(phys_start, bitmap)])])
    assert byte == bit // 8
    assert decoded(image, first, layout) == (block,)
    written = Image(LARGE)
    again = encoders.bitmap_map(written, [block], layout)
    found = bitmaps.entries(written.memory(), again, MAP)
    assert (found.order.tolist(), found.start.tolist()) == ([block.order], [phys_start])


SIZES = [Sized(64), Sized(128), Sized(256), Sized(1024), Sized(2048)]


@settings(max_examples=60, deadline=None)
@given(block_sets(), st.sampled_from(SIZES))
def test_round_trip_of_other_sizes(blocks: tuple[Block, ...], layout: Sized) -> None:
    image = Image()
    first = encoders.bitmap_map(image, blocks, layout, b"\xa5")
    found = bitmaps.entries(image.memory(), first, MAP, least=layout)
    assert tuple(bitmaps.listing(image.memory(), found, layout)) == blocks


def test_smaller_bitmaps_lie_where_those_of_releases_cannot() -> None:
    image = Image()
    blocks = [Block(n * 16 * MIB, 0) for n in range(1, 4)]
    first = encoders.bitmap_map(image, blocks, Sized(64))
    with pytest.raises(DecodeError, match="a bitmap cannot be at"):
        bitmaps.entries(image.memory(), first, MAP)


def test_names_of_layouts() -> None:
    names = ["A", "B", "1024"]
    assert [bitmaps.layout_named(name).value for name in names] == names
    assert bitmaps.layout_of_size(512) is Layout.A
    assert bitmaps.layout_of_size(4096) is Layout.B
    assert bitmaps.layout_of_size(4096, 16) == Sized(4096)
    assert bitmaps.layout_of_size(2048) == Sized(2048)
    assert [bitmaps.layout_of_size(size) for size in (0, 32, 768, 8192)] == [None] * 4


def test_coverage_of_a_bitmap() -> None:
    assert Layout.A.coverage(0) == 16 * MIB
    assert Layout.B.coverage(3) == 1024 * MIB
    assert Layout.A.coverage(0, 16) == 256 * MIB
    assert Layout.B.coverage(0, 16) == 32 * GIB


@settings(max_examples=60, deadline=None)
@given(block_sets(), st.sampled_from(Layout))
def test_round_trip(blocks: tuple[Block, ...], layout: Layout) -> None:
    image = Image()
    first = encoders.bitmap_map(image, blocks, layout, b"\xa5")
    assert decoded(image, first, layout) == blocks


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([14, 16]), st.sampled_from(Layout), st.data())
def test_round_trip_of_large_pages(page_shift: int, layout: Layout, data: st.DataObject) -> None:
    blocks = data.draw(block_sets(page_shift))
    image = Image(page_size=1 << page_shift)
    first = encoders.bitmap_map(image, blocks, layout, page_shift=page_shift)
    assert decoded(image, first, layout, page_shift) == blocks


@settings(max_examples=60, deadline=None)
@given(block_sets())
def test_a_lists_the_first_eighth_of_b(blocks: tuple[Block, ...]) -> None:
    image = Image()
    first = encoders.bitmap_map(image, blocks, Layout.B)
    seen = tuple(block for block in blocks if block.phys >> (block.order + 12) & 0x7000 == 0)
    assert decoded(image, first, Layout.A) == seen


def test_partly_filled_and_empty_chunks_are_normal() -> None:
    image = Image((Range(0, 64 * GIB),))
    entries = [(n * 128 * MIB, image.put(b"\x01", 4096)) for n in range(300)]
    first = encoders.chunks(image, [(0, entries), (1, []), (2, [(0, image.put(b"\0"))])])
    assert decoded(image, first, Layout.B) == tuple(Block(n * 128 * MIB, 0) for n in range(300))


def test_no_chunk_is_an_empty_map() -> None:
    memory = Image().memory()
    found = bitmaps.entries(memory, 0, MAP)
    assert (len(found), len(found.tables)) == (0, 0)
    assert not len(bitmaps.listing(memory, found, Layout.B))


def test_counts_tell_what_cannot_be_read() -> None:
    image = Image((Range(0, GIB - 0x800),))
    image.write(GIB - 0x1000, b"\x81")
    inside = image.put(b"\x03" + bytes(0x200) + b"\x01")
    memory = image.memory()
    first = encoders.chunks(image, [(0, [(0, GIB - 0x1000), (128 * MIB, inside)])])
    found = bitmaps.entries(image.memory(), first, MAP)
    assert bitmaps.counts(memory, found, Layout.A).tolist() == [2, 2]
    assert bitmaps.counts(memory, found, Layout.B).tolist() == [-1, 3]


def test_the_pages_of_the_map_itself() -> None:
    image = Image()
    slab = image.put(bytes(0x1000))
    first = encoders.chunks(image, [(0, [(0, slab + 0x200), (16 * MIB, slab + 0xE00)]), (1, [])])
    found = bitmaps.entries(image.memory(), first, MAP)
    assert len(found.chunks) == 2
    assert list(found.tables) == [Range(slab, 0x3000)]


def chunk(following: int, order: int, count: int, *entries: tuple[int, int]) -> bytes:
    body = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    return struct.pack("<QII", following, order, count) + body


AT = 0x10_0000


@pytest.mark.parametrize(
    ("page", "where", "message"),
    [
        (chunk(AT, 0, 0), "chunk[1]", "cycle"),
        (chunk(AT + 8, 0, 0), "chunk[1]", "not page aligned"),
        (chunk(GIB, 0, 0), "chunk[1]", "not all in RAM"),
        (chunk(2**64 - 4096, 0, 0), "chunk[1]", "not all in RAM"),
        (chunk(0, 0, 256), "chunk[0]", "256 entries, a chunk holds 255"),
        (chunk(0, 0, 2**32 - 1), "chunk[0]", "4294967295 entries"),
        (chunk(0, 53, 0), "chunk[0]", "order 53"),
        (chunk(0, 2**32 - 1, 0), "chunk[0]", "order 4294967295"),
        (chunk(0, 0, 1, (4096, 0x2000)), "chunk[0]/entry[0]", "order 0 cannot start at 0x1000"),
        (chunk(0, 0, 1, (GIB, 0x2000)), "chunk[0]/entry[0]", "cannot start at"),
        (chunk(0, 0, 1, (0, 0)), "chunk[0]/entry[0]", "a bitmap cannot be at 0x0"),
        (chunk(0, 0, 1, (0, 0x2100)), "chunk[0]/entry[0]", "a bitmap cannot be at 0x2100"),
        (chunk(0, 0, 2, (0, 0x2000), (16 * MIB, 0x2000)), "chunk[0]/entry[1]", "listed twice"),
    ],
)
def test_hostile_chunks(page: bytes, where: str, message: str) -> None:
    image = Image()
    image.write(AT, page)
    with pytest.raises(DecodeError, match=message) as caught:
        bitmaps.entries(image.memory(), AT, MAP)
    assert caught.value.where == f"{MAP.where}/{where}"
    assert caught.value.address is not None


def test_ram_that_claims_more_than_64_bits() -> None:
    image = Image((Range(0, 1 << 65),))
    image.write(AT, chunk(0, 0, 1, (2**64 - 128 * MIB, 0x2000)))
    image.write(0x2000, b"\x01")
    found = bitmaps.entries(image.memory(), AT, MAP)
    blocks = bitmaps.listing(image.memory(), found, Layout.B)
    assert tuple(blocks) == (Block(2**64 - 128 * MIB, 0),)


def test_a_long_cycle_ends() -> None:
    image = Image()
    for n in range(300):
        image.write(AT + n * 4096, chunk(AT + (n + 1) % 300 * 4096, 0, 0))
    with pytest.raises(DecodeError, match=r"chunk\[300\].* cycle"):
        bitmaps.entries(image.memory(), AT, MAP)


@pytest.mark.parametrize("layout", Layout)
def test_bitmap_outside_ram(layout: Layout) -> None:
    image = Image()
    image.write(AT, chunk(0, 0, 1, (0, GIB)))
    found = bitmaps.entries(image.memory(), AT, MAP)
    with pytest.raises(DecodeError, match=r"entry\[0\] .*not all in RAM"):
        bitmaps.listing(image.memory(), found, layout)


def test_a_block_beyond_64_bits() -> None:
    image = Image()
    image.write(AT, chunk(0, 45, 1, (0, 0x2000)))
    image.write(0x2000, bytes([1 << 7]))
    whole = bitmaps.entries(image.memory(), AT, MAP)
    assert tuple(bitmaps.listing(image.memory(), whole, Layout.A)) == (Block(7 << 57, 45),)
    image.write(0x2000, bytes(16) + b"\x01")
    found = bitmaps.entries(image.memory(), AT, MAP)
    with pytest.raises(DecodeError, match=r"entry\[0\] .*bit 128 denotes a block beyond 64 bits"):
        bitmaps.listing(image.memory(), found, Layout.A)


def test_the_largest_orders_start_at_0_only() -> None:
    image = Image()
    image.write(AT, chunk(0, 52, 1, (0, 0x2000)))
    image.write(0x2000, b"\x01")
    found = bitmaps.entries(image.memory(), AT, MAP)
    assert tuple(bitmaps.listing(image.memory(), found, Layout.B)) == (Block(0, 52),)
    image.write(AT, chunk(0, 52, 1, (16 * MIB, 0x2000)))
    with pytest.raises(DecodeError, match="order 52 cannot start at 0x1000000"):
        bitmaps.entries(image.memory(), AT, MAP)


def test_more_blocks_than_pages() -> None:
    page = b"\xff" * 4096
    ram = (Range(0, 2 * MIB),)
    memory = Pages(ram, {0x1000: chunk(0, 0, 1, (0, 0x2000)).ljust(4096, b"\0"), 0x2000: page})
    found = bitmaps.entries(memory, 0x1000, MAP)
    with pytest.raises(DecodeError, match=r"more blocks than RAM has pages \(512\)"):
        bitmaps.listing(memory, found, Layout.B)
