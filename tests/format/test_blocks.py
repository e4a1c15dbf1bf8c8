from __future__ import annotations

from itertools import repeat

import pytest

from khoci.format.blocks import Block, Run, collect, expand, outside, overlaps, total
from khoci.format.errors import DecodeError, Place
from khoci.format.ranges import Range

MAP = Place("map", 0x1000)


def test_size_follows_order_and_page_size() -> None:
    assert Block(0, 9).size == 2 << 20
    assert Block(0, 2, page_shift=16).size == 256 << 10
    assert Run(0, 1, 3).range == Range(0, 0x6000)


def test_expand_sorts_all_blocks_of_all_runs() -> None:
    runs = [Run(0x8000, 0), Run(0, 1, 2)]
    assert expand(runs) == (Block(0, 1), Block(0x2000, 1), Block(0x8000, 0))
    assert total(runs) == 0x5000


def test_collect_sorts_and_stops_an_endless_source() -> None:
    assert collect([Run(0x2000, 0), Run(0, 0)], 2, MAP) == (Run(0, 0), Run(0x2000, 0))
    with pytest.raises(DecodeError, match="more blocks than RAM has pages"):
        collect(repeat(Run(0, 0)), 1000, MAP)


def test_overlaps_finds_a_block_inside_an_earlier_large_one() -> None:
    large, small, far, free = Run(0, 4), Run(0x1000, 0), Run(0xF000, 0), Run(0x10000, 0)
    assert list(overlaps([large, small, far, free])) == [(large, small), (large, far)]
    assert list(overlaps([small, far])) == list(overlaps([])) == []


def test_outside_takes_runs_that_are_only_partly_inside() -> None:
    ram = (Range(0, 0x3000),)
    assert list(outside([Run(0, 0, 3), Run(0x2000, 1)], ram)) == [Run(0x2000, 1)]
