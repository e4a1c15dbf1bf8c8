from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from khoci.format.blocks import Block, Blocks, Run
from khoci.format.ranges import Range, merge

TOP = 1 << 64
BLOCKS = st.builds(
    lambda number, order: Block(number << (order + 12), order), st.integers(0, 7), st.integers(0, 4)
)


def test_size_follows_order_and_page_size() -> None:
    assert Block(0, 9).size == 2 << 20
    assert Block(0, 2, page_shift=16).size == 256 << 10
    assert Run(0, 1, 3).range == Range(0, 0x6000)


@given(st.lists(BLOCKS))
def test_columns_hold_the_same_blocks_sorted(blocks: list[Block]) -> None:
    columns = Blocks.of(blocks)
    assert list(columns) == sorted(blocks)
    assert len(columns) == len(blocks)
    assert columns.size == sum(block.size for block in blocks)
    assert [int(last) for last in columns.last] == [block.range.end - 1 for block in columns]
    assert tuple(columns.extents) == merge(block.range for block in blocks)
    assert columns == Blocks.of(reversed(blocks))


@given(st.lists(BLOCKS))
def test_overlapping_blocks_begin_inside_an_earlier_one(blocks: list[Block]) -> None:
    columns, expected, reach = Blocks.of(blocks), [], 0
    for block in columns:
        expected.append(block.phys < reach)
        reach = max(reach, block.range.end)
    assert columns.overlapping().tolist() == expected


@given(st.lists(BLOCKS))
def test_runs_are_all_blocks_and_as_long_as_they_can_be(blocks: list[Block]) -> None:
    columns = Blocks.of(blocks)
    runs = list(columns.runs())
    assert [
        Block(run.phys + (number << (run.order + 12)), run.order)
        for run in runs
        for number in range(run.count)
    ] == list(columns)
    assert not any(a.range.end == b.phys and a.order == b.order for a, b in pairwise(runs))


def test_the_last_bytes_of_64_bits() -> None:
    whole, page = Blocks.of([Block(0, 52)]), Blocks.of([Block(TOP - 4096, 0)])
    assert list(whole.extents) == [Range(0, TOP)]
    assert list(page.extents) == [Range(TOP - 4096, 4096)]
    assert whole.size == TOP
    assert list(page.runs()) == [Run(TOP - 4096, 0)]


def test_a_part_of_the_blocks() -> None:
    columns = Blocks.of([Block(0, 0, 14), Block(1 << 20, 2, 14)], 14)
    assert list(columns[columns.order > 0]) == [Block(1 << 20, 2, 14)]
    assert columns[:1] == Blocks.of([Block(0, 0, 14)], 14) != columns
    assert Blocks.of([], 14) != Blocks.of([], 12)
