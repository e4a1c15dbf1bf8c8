from __future__ import annotations

import pytest
from hypothesis import assume, given, settings

from khoci.format import bitmaps, family
from khoci.format.bitmaps import Layout
from khoci.format.blocks import Block
from khoci.format.errors import Place
from khoci.format.extents import Extents
from khoci.format.family import FamilyDecision, Question
from khoci.format.ranges import Range
from tests.format import encoders
from tests.format.encoders import GIB, MIB, Image
from tests.format.strategies import block_sets

MAP = Place("map")


APART = (Range(0, 2 * GIB),)
"""RAM whose upper half is free of `block_sets`: a map never preserves its own pages."""


def decide(
    image: Image, first: int, *expected: Range, scratch: tuple[Range, ...] = ()
) -> FamilyDecision:
    memory = image.memory()
    found = bitmaps.entries(memory, first, MAP)
    return family.discriminate(Question(memory, found, expected, Extents.of(scratch)))


@settings(max_examples=60, deadline=None)
@given(block_sets())
def test_never_sure_of_the_wrong_one(blocks: tuple[Block, ...]) -> None:
    assume(blocks)
    for layout in Layout:
        image = Image(APART, free=GIB)
        first = encoders.bitmap_map(image, blocks, layout, b"\xa5" * 0x600)
        decision = decide(image, first, *(block.range for block in blocks[:3]))
        assert decision.layout is layout or not decision.sure
        assert decision.reasons


def test_a_pointer_between_pages_proves_a() -> None:
    image = Image()
    bitmap = image.put(bytes(0x200) + b"\x01") + 0x200
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
    assert any(text.startswith("not A: 1 of 1 ranges") for text in decision.reasons)


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
    larger = image.put(b"\x02" + bytes(0x1FF) + b"\x01")
    entries = [(0, [(0, bitmap)]), (1, [(0, larger)])]
    decision = decide(image, encoders.chunks(image, entries), *(b.range for b in blocks[:1]))
    assert (decision.layout, decision.sure) == (Layout.A, True)
    assert "overlap" in decision.reasons[0]


def test_an_empty_bitmap_does_not_outweigh_what_speaks_against_b() -> None:
    image = Image(free=0x200_0000)
    bitmap = image.put(b"\x01" + bytes(0x3FF) + b"\x01")
    entries = [(0, [(0, bitmap)]), (1, [(0, image.put(bytes(0x200) + b"\x01"))])]
    decision = decide(image, encoders.chunks(image, entries), Range(0, 4096))
    assert not decision.sure
    assert findings(decision, Layout.A)["empty"]
    assert findings(decision, Layout.B)["overlap"]


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
    assert (decision.layout, decision.sure) == (Layout.B, False)
    assert decision.reasons == ("A and B list the same blocks",)
    assert [score.blocks for score in decision.scores] == [1, 1]
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


def findings(decision: FamilyDecision, layout: Layout) -> dict[str, str | None]:
    (score,) = (score for score in decision.scores if score.layout is layout)
    return {finding.rule: finding.objection for finding in score.findings}


def test_bits_behind_an_empty_eighth_are_of_b() -> None:
    """As in tests/format/captures/v6.18.15-reserve-mem.khocap."""
    image = Image()
    blocks = [Block(0x20_0000, 0), Block(0x3FB5_C000, 2), Block(0x3FB6_0000, 3)]
    decision = decide(image, encoders.bitmap_map(image, blocks, Layout.B))
    assert (decision.layout, decision.sure) == (Layout.B, True)
    text = "2 bitmaps are empty up to byte 512 and not behind it: A never clears a bit"
    assert decision.reasons == (f"not A: {text}",)
    assert findings(decision, Layout.A)["empty"] == text
    assert findings(decision, Layout.B).keys() == {
        *("pointers", "starts", "listing", "ram", "overlap", "scratch", "own", "expected")
    }
    assert [score.blocks for score in decision.scores] == [1, 3]


def test_wholly_empty_bitmaps_decide_nothing() -> None:
    image = Image()
    entries = [(0, [(0, image.put(b"\x01"))]), (1, [(0, image.put(bytes(4096)))])]
    decision = decide(image, encoders.chunks(image, entries))
    assert not decision.sure
    assert decision.reasons == ("A and B list the same blocks",)


@pytest.mark.parametrize(
    ("bit", "rule", "text"),
    [
        (0x9000, "own", "pages of the map itself: 1, first 0x9000000 of order 0"),
        (0x5000, "scratch", "in scratch areas: 1, first 0x5000000 of order 0"),
    ],
)
def test_neighbours_of_a_that_b_would_take_for_what_is_never_preserved(
    bit: int, rule: str, text: str
) -> None:
    image = Image((Range(0, 2 * GIB),), free=0x900_0000)
    window, number = divmod(bit, 0x8000)
    bitmap = image.put(b"\x01".ljust(number // 8, b"\0") + bytes([1 << number % 8]))
    first = encoders.chunks(image, [(0, [(window * 128 * MIB, bitmap)])])
    decision = decide(image, first, scratch=(Range(0x500_0000, 0x1000),))
    assert (decision.layout, decision.sure) == (Layout.A, True)
    assert findings(decision, Layout.A)[rule] is None
    assert findings(decision, Layout.B)[rule] == f"blocks are {text}"


def test_a_layout_that_is_ruled_out_is_not_listed() -> None:
    image = Image()
    bitmap = image.put(b"\x01" + b"\xff" * 0x400) + 0x200
    decision = decide(image, encoders.chunks(image, [(0, [(0, bitmap)])]))
    assert findings(decision, Layout.B).keys() == {"pointers", "starts"}
    assert [score.proofs for score in decision.scores] == [0, 1]


def test_both_ruled_out_is_not_sure() -> None:
    image = Image()
    entries = [(1, [(32 * MIB, image.put(b"\x01"))]), (0, [(16 * MIB, image.put(b"\x01"))])]
    decision = decide(image, encoders.chunks(image, entries), Range(0, 4096))
    assert decision.layout is Layout.A
    assert decision.sure
    assert findings(decision, Layout.A)["expected"]
