from __future__ import annotations

import pytest
from hypothesis import assume, given, settings

from khoci.format import bitmaps, family
from khoci.format.bitmaps import Layout
from khoci.format.blocks import Block
from khoci.format.errors import Place
from khoci.format.family import FamilyDecision
from khoci.format.ranges import Range
from tests.format import encoders
from tests.format.encoders import GIB, MIB, Image
from tests.format.strategies import block_sets

MAP = Place("map")


def decide(image: Image, first: int, *expected: Range) -> FamilyDecision:
    memory = image.memory()
    return family.discriminate(memory, bitmaps.entries(memory, first, MAP), expected, MAP)


@settings(max_examples=60, deadline=None)
@given(block_sets())
def test_never_sure_of_the_wrong_one(blocks: tuple[Block, ...]) -> None:
    assume(blocks)
    for layout in Layout:
        image = Image()
        first = encoders.bitmap_map(image, blocks, layout, b"\xa5" * 0x600)
        decision = decide(image, first, *(block.range for block in blocks[:3]))
        assert decision.layout is layout or not decision.sure
        assert decision.reasons


def test_a_pointer_between_pages_proves_a() -> None:
    image = Image()
    bitmap = image.put(b"\x01") + 0x200
    decision = decide(image, encoders.chunks(image, [(0, [(0, bitmap)])]))
    assert (decision.layout, decision.sure) == (Layout.A, True)
    assert decision.reasons == (f"not B: 1 bitmaps are not 4096-byte aligned, first {bitmap:#x}",)


def test_a_start_between_steps_of_b_proves_a() -> None:
    image = Image()
    decision = decide(image, encoders.chunks(image, [(1, [(32 * MIB, image.put(b"\x01"))])]))
    assert (decision.layout, decision.sure) == (Layout.A, True)
    assert decision.reasons == ("not B: 1 bitmaps start between steps, first 0x2000000 of 256 MiB",)


def test_proof_of_a_outweighs_a_lost_page_in_both() -> None:
    image = Image()
    first = encoders.bitmap_map(image, [Block(0x1100_0000, 0)], Layout.A)
    decision = decide(image, first, Range(0x3000_0000, 4096))
    assert (decision.layout, decision.sure) == (Layout.A, True)
    assert any(text.startswith("not A: 1 of 1 pages") for text in decision.reasons)


@pytest.mark.parametrize("bit", [4096, 32767])
def test_a_known_page_that_only_b_lists(bit: int) -> None:
    image = Image()
    page = Block(bit << 12, 0)
    first = encoders.bitmap_map(image, [page, Block(0, 0)], Layout.B)
    decision = decide(image, first, page.range)
    assert (decision.layout, decision.sure) == (Layout.B, True)


def test_neighbours_of_a_that_b_would_take_for_blocks_outside_ram() -> None:
    image = Image(free=0x200_0000)
    first = encoders.bitmap_map(image, [Block(0, 7)], Layout.A, b"\xff" * 0xE00)
    decision = decide(image, first)
    assert (decision.layout, decision.sure) == (Layout.A, True)
    assert "not B: blocks are outside RAM" in decision.reasons[0]


def test_neighbours_of_a_that_b_would_take_for_blocks_that_overlap() -> None:
    image = Image(free=0x200_0000)
    blocks = [Block(0, 0), Block(32 * MIB, 1)]
    bitmap = image.put(b"\x01" + bytes(0x3FF) + b"\x01")
    entries = [(0, [(0, bitmap)]), (1, [(0, image.put(bytes(0x200) + b"\x01"))])]
    decision = decide(image, encoders.chunks(image, entries), *(b.range for b in blocks[:1]))
    assert (decision.layout, decision.sure) == (Layout.A, True)
    assert "overlap" in decision.reasons[0]


def test_many_aligned_pointers_are_no_chance() -> None:
    image = Image()
    blocks = [Block(1 << (order + 12), order) for order in range(family.ENOUGH_ALIGNED)]
    decision = decide(image, encoders.bitmap_map(image, blocks, Layout.B))
    assert (decision.layout, decision.sure) == (Layout.B, True)
    assert decision.reasons == ("not A: all 6 bitmaps are page aligned, by chance one in 8 is",)


def test_few_aligned_pointers_decide_nothing() -> None:
    image = Image()
    first = encoders.bitmap_map(image, [Block(0, 0)], Layout.B)
    decision = decide(image, first, Range(0, 4096))
    assert decision == FamilyDecision(Layout.B, False, ("A and B list the same blocks",))
    both = Image()
    first = encoders.bitmap_map(both, [Block(0, 0), Block(64 * MIB, 0)], Layout.B)
    assert decide(both, first).reasons == ("A and B are both possible",)


def test_an_empty_map_decides_nothing() -> None:
    assert not decide(Image(), 0).sure
    assert not decide(Image(), 0, Range(0, 4096)).sure


def test_a_reading_that_cannot_be_finished_speaks_against_itself() -> None:
    image = Image((Range(0, GIB - 0x800),))
    image.write(GIB - 0x1000, b"\x01")
    first = encoders.chunks(image, [(0, [(0, GIB - 0x1000)])])
    decision = decide(image, first)
    assert (decision.layout, decision.sure) == (Layout.A, True)
    assert "not all in RAM" in decision.reasons[0]
