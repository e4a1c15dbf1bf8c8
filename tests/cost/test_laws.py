from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.costlaws import blackout, break_even, difference, growth_law, law, per_gib, writing
from khoci.costs import EMPTY, Point
from tests.cost.made import LOAD, NEW, OLD, kernel, measured

DENSE, APART = Point(0), Point(0, stride=2)


@given(st.integers(100, 10**6), st.floats(0.5, 3), st.sets(st.integers(1, 10**6), min_size=3))
def test_a_power_law_is_found(factor: int, exponent: float, numbers: set[int]) -> None:
    found = law([(n, round(factor * n**exponent)) for n in numbers])
    assert found is not None
    assert found.exponent == pytest.approx(exponent, abs=0.05)


@pytest.mark.parametrize(
    "pairs", [[], [(1, 5), (2, 10)], [(1, 5), (2, 0), (3, -7)], [(7, 1), (7, 2), (7, 3)]]
)
def test_too_little_for_a_law(pairs: list[tuple[int, int]]) -> None:
    assert law(pairs) is None


def test_laws_of_a_kernel() -> None:
    assert str(growth_law(NEW, DENSE, "preserve")) == "168 n^1.00"
    assert str(growth_law(NEW, APART, "early boot")) == "20 n^2.00"
    assert growth_law(NEW, DENSE, "freeze") is None


def test_the_number_from_which_on_it_is_cheaper() -> None:
    assert break_even(OLD, NEW, DENSE, writing) == 100
    assert break_even(NEW, OLD, DENSE, writing) is None
    slower = kernel("b", 210)
    assert break_even(OLD, slower, DENSE, writing) is None
    assert break_even(slower, OLD, DENSE, writing) == 10_000
    assert break_even(kernel("a", 10, 5000), kernel("b", 20), DENSE, writing) is None
    assert break_even(kernel("a", 20), kernel("b", 10, 5000), DENSE, writing) == 1000


def test_a_load_counts_where_it_has_to_be_waited_for() -> None:
    waiting = kernel("c", 200, 14_000, loads_last=True)
    item = waiting.at(Point(100))
    assert item is not None
    assert blackout(waiting, item) - blackout(OLD, item) == LOAD
    assert break_even(OLD, NEW, DENSE, blackout) == 100
    assert break_even(OLD, NEW, DENSE, blackout, noise=14_000) is None
    assert break_even(waiting, NEW, DENSE, blackout, noise=14_000) == 100


def test_another_kernel_that_was_not_measured_there() -> None:
    assert break_even(OLD, kernel("b", 1, points=[Point(100)]), DENSE, writing) is None


def test_metadata() -> None:
    assert per_gib(measured(Point(1 << 18), 1)) == 4096 + (1 << 24)
    assert per_gib(measured(EMPTY, 1)) == 0


def test_two_measurements_compared() -> None:
    assert difference(NEW, NEW) == 0
    item = NEW.measured[3]
    counts = {**item.instructions, "jump": item.instructions["jump"] * 101 // 100, "freeze": 200}
    other = replace(
        NEW, measured=(*NEW.measured[:3], replace(item, instructions=counts), *NEW.measured[4:])
    )
    assert difference(NEW, other) == pytest.approx(0.01, rel=0.02)
