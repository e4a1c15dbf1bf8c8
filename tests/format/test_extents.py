from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from khoci.format.extents import Extents
from khoci.format.ranges import Range

TOP = 1 << 64
OFFSETS = st.sampled_from([0, 4096, TOP - 72])
RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), max_size=8)


def placed(offset: int, pairs: list[tuple[int, int]]) -> list[Range]:
    return [Range(offset + start, size) for start, size in pairs]


def members(ranges: list[Range] | Extents) -> set[int]:
    return {byte for item in ranges for byte in range(item.start, item.end)}


@given(OFFSETS, RANGES, RANGES)
def test_laws_of_sets(
    offset: int, left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    a, b = placed(offset, left), placed(offset, right)
    first, second = Extents.of(a), Extents.of(b)
    for found, expected in (
        (first, members(a)),
        (first | second, members(a) | members(b)),
        (first & second, members(a) & members(b)),
        (first - second, members(a) - members(b)),
    ):
        assert members(found) == expected
        assert found.size == len(expected)
        assert all(one.end < other.start for one, other in pairwise(found))
    assert (first == second) == (members(a) == members(b))


@given(OFFSETS, RANGES, RANGES)
def test_questions_of_many_extents_at_once(
    offset: int, left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    a = placed(offset, left)
    asked = [item for item in placed(offset, right) if item.size]
    first = np.array([item.start for item in asked], dtype=np.uint64)
    last = np.array([item.end - 1 for item in asked], dtype=np.uint64)
    extents, inside = Extents.of(a), members(a)
    assert extents.holds(first, last).tolist() == [members([one]) <= inside for one in asked]
    assert extents.touches(first, last).tolist() == [bool(members([o]) & inside) for o in asked]
    assert [extents.covers(one) for one in asked] == [members([one]) <= inside for one in asked]


def test_all_64_bits() -> None:
    everything = Extents.of([Range(0, TOP)])
    assert everything.size == TOP
    assert list(everything - Extents.of([Range(TOP - 4096, 4096)])) == [Range(0, TOP - 4096)]
    assert not len(everything - everything)
    assert Extents.of([Range(0, 0)]) == Extents.of([])
    assert Extents.of([]).covers(Range(5, 0))
    assert list(Extents.of([Range(TOP - 1, 5), Range(TOP, 1)])) == [Range(TOP - 1, 1)]


def test_rows_that_are_not_sorted() -> None:
    first, last = np.array([8, 0, 4], np.uint64), np.array([9, 4, 7], np.uint64)
    assert list(Extents.merged(first, last)) == [Range(0, 10)]


def test_parts_put_together_again() -> None:
    extents = Extents.of(Range(number << 4, 8) for number in range(10))
    assert Extents.joined([extents[:3], extents[3:]]) == extents
    assert list(extents[extents.first > np.uint64(0x80)]) == [Range(0x90, 8)]
    assert Extents.joined([]) == Extents.of([])
