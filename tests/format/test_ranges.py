from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from khoci.format.ranges import Range, covers, merge, touched

SMALL = st.builds(Range, st.integers(0, 60), st.integers(0, 12))


def members(ranges: tuple[Range, ...] | list[Range]) -> set[int]:
    return {byte for item in ranges for byte in range(item.start, item.end)}


@given(st.lists(SMALL))
def test_merge_keeps_every_byte_and_leaves_gaps(ranges: list[Range]) -> None:
    merged = merge(ranges)
    assert members(merged) == members(ranges)
    assert all(a.end < b.start for a, b in pairwise(merged))


@given(st.lists(SMALL), SMALL)
def test_covers_and_touched_are_what_sets_say(ranges: list[Range], wanted: Range) -> None:
    merged, bytes_wanted = merge(ranges), members([wanted])
    assert covers(merged, wanted) == (bytes_wanted <= members(merged))
    if wanted.size:
        assert bool(touched(merged, wanted)) == bool(bytes_wanted & members(merged))


def test_widened_to_whole_pages() -> None:
    assert Range(0x1FFF, 2).widened(0x1000) == Range(0x1000, 0x2000)
    assert Range(0x1000, 0x1000).widened(0x1000) == Range(0x1000, 0x1000)


def test_contains_every_byte() -> None:
    assert Range(16, 16).contains(16, 16)
    assert not Range(16, 16).contains(16, 17)
    assert not Range(16, 16).contains(32)
