from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.costs import ARRANGEMENTS, EMPTY, LOAD_FIRST, OFF, Measured, Point, points_up_to
from tests.cost.made import NEW, kernel, measured

POINTS = st.builds(
    Point,
    count=st.integers(0, 10**6),
    order=st.integers(0, 10),
    stride=st.integers(1, 64),
    arrangement=st.sampled_from(ARRANGEMENTS),
    kho=st.booleans(),
    load_first=st.booleans(),
)


@given(POINTS)
def test_what_is_stored_comes_back(point: Point) -> None:
    item = measured(point, 168)
    assert Measured.from_json(json.loads(json.dumps(item.to_json()))) == item


@pytest.mark.parametrize(
    ("point", "text"),
    [
        (OFF, "kho=off"),
        (EMPTY, "no blocks"),
        (LOAD_FIRST, "loaded before it is finalized"),
        (Point(1000), "1,000 blocks, 4K"),
        (Point(10, order=9), "10 blocks, 2M"),
        (Point(10, stride=2, arrangement="shuffled"), "10 blocks, 4K 1/2 shuffled"),
    ],
)
def test_a_point_in_words(point: Point, text: str) -> None:
    assert str(point) == text


def test_sizes() -> None:
    point = Point(100, order=9, stride=16)
    assert (point.size, point.span) == (200 << 20, 3200 << 20)


@given(st.integers(1000, 10**6))
def test_points_are_many_and_none_twice(most: int) -> None:
    points = points_up_to(most)
    assert len(set(points)) == len(points)
    assert max(point.count for point in points) == most
    assert points[:3] == (OFF, EMPTY, LOAD_FIRST)
    assert max(point.count for point in points if point.stride > 1) <= 10_000
    assert max(point.size for point in points if point.order) <= 2 << 30


def test_a_million_is_seen_by_powers_of_ten() -> None:
    counts = [point.count for point in points_up_to(10**6) if point == Point(point.count)]
    assert counts == [0, 100, 1000, 10_000, 100_000, 1_000_000]


def test_growth_is_what_is_beyond_none() -> None:
    item = NEW.at(Point(1000))
    assert item is not None
    assert NEW.growth(item, "early boot") == 1300 * 1000
    assert NEW.growth(item, "jump") == 0
    assert [each.point.count for each in NEW.line(Point(0))] == [100, 1000, 10_000]


def test_whether_the_load_is_waited_for_is_what_was_seen() -> None:
    last = kernel("v6.17.13", 200, 14_000, loads_last=True)
    assert last.loads_last
    assert last.blackout == ("finalize", "load", "freeze", "jump", "early boot", "restore")
    assert NEW.loads_last is False
    assert "load" not in NEW.blackout
    assert kernel("v7.3.4", 168, points=[EMPTY]).loads_last is None
