from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from khoci.format import checks
from khoci.format.blocks import Block, Blocks
from khoci.format.checks import Coverage, Problem
from khoci.format.errors import Place
from khoci.format.extents import Extents
from khoci.format.ranges import Range
from khoci.format.scratch import ScratchArea

MAP = Place("root/preserved-memory-map", 0x5000)
RAM = (Range(0, 0x100_0000),)


def pages(start: int, count: int) -> list[Block]:
    return [Block(start + (number << 12), 0) for number in range(count)]


def problems(blocks: list[Block], *scratch: ScratchArea) -> list[Problem]:
    return list(checks.check_map(Blocks.of(blocks), RAM, scratch, MAP))


def test_a_sound_map_has_no_problems() -> None:
    area, none = ScratchArea("global", 0x8000, 0x1000), ScratchArea("lowmem", 0x1000, 0)
    assert problems([*pages(0, 8), Block(0x9000, 0), Block(0xFF_F000, 0)], area, none) == []
    assert problems([], area) == []


def test_each_kind_has_its_message() -> None:
    assert problems([Block(0, 1), Block(0x1000, 0)]) == [
        Problem(MAP.where, 0x1000, "a block of order 0 overlaps one of order 1", "overlap")
    ]
    assert problems([Block(0xFF_E000, 2)]) == [
        Problem(MAP.where, 0xFF_E000, "a block is not all in RAM", "outside-ram")
    ]
    area = ScratchArea("lowmem", 0x1000, 0x1000)
    assert problems([Block(0, 1)], area) == [
        Problem(MAP.where, 0, "a block is in a scratch area", "in-scratch")
    ]


def test_many_of_a_kind_are_counted() -> None:
    found = problems(pages(0x100_0000, 100))
    assert len(found) == checks.SHOWN + 1
    assert found[-1] == Problem(MAP.where, 0x5000, "84 more like the last one", "outside-ram")


def test_memory_that_the_map_does_not_list() -> None:
    owned = {
        "root": Extents.of([Range(0x5000, 0x1000)]),
        "luo": Extents.of([Range(0x7000, 0x2000)]),
    }
    whole = Blocks.of([Block(0x5000, 0), *pages(0x7000, 2)])
    assert list(checks.check_owned(whole, owned, MAP)) == []
    assert list(checks.check_owned(Blocks.of(pages(0x5000, 3)), owned, MAP)) == [
        Problem(f"{MAP.where}/luo", 0x8000, "4096 bytes of luo are not in the map", "lost")
    ]


def test_many_lost_ranges_are_counted() -> None:
    owned = {"luo": Extents.of(Range(number << 13, 0x1000) for number in range(100))}
    found = list(checks.check_owned(Blocks.of([]), owned, MAP))
    assert len(found) == checks.SHOWN + 1
    assert found[-1] == Problem(f"{MAP.where}/luo", 0x5000, "84 more like the last one", "lost")


@given(st.lists(st.tuples(st.integers(0, 15), st.integers(0, 2))), st.integers(0, 60))
def test_lost_is_what_is_in_no_block(numbers: list[tuple[int, int]], start: int) -> None:
    blocks = [Block(number << (order + 12), order) for number, order in numbers]
    wanted = Range(start << 12, 5 << 12)
    missing = Coverage.of(Blocks.of(blocks)).lost(Extents.of([wanted]))
    assert {page for item in missing for page in range(item.start, item.end, 4096)} == {
        page
        for page in range(wanted.start, wanted.end, 4096)
        if not any(block.range.contains(page) for block in blocks)
    }


def test_more_extents_than_are_compared_at_once() -> None:
    count = 70_000
    blocks = Blocks.of(Block(number << 13, 0) for number in range(count) if number != 66_000)
    wanted = Extents.of(Range(number << 13, 0x1000) for number in range(count))
    missing = Coverage.of(blocks).lost(wanted)
    assert list(missing) == [Range(66_000 << 13, 0x1000)]
    assert int(checks.near(blocks, wanted[65_000:66_001]).sum()) == 1000
    assert int(checks.within(blocks, wanted[65_000:]).sum()) == 4999


def test_a_large_block_far_before_covers_what_small_ones_hide() -> None:
    blocks = Blocks.of([Block(0, 8), *pages(0x1000, 100)])
    wanted = Extents.of([Range(0xF0000, 0x1000), Range(0x100000, 0x1000)])
    assert list(Coverage.of(blocks).lost(wanted)) == [Range(0x100000, 0x1000)]
