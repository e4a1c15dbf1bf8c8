from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.bisection import (
    Mark,
    Rule,
    choose,
    halving,
    left_after,
    narrow,
    steps,
    verdict_of,
)
from khoci.results import CellResult, Judgement
from khoci.verdicts import Verdict

MARKS = st.sampled_from(list(Mark))


class Line:
    """Candidates 0 to N in a line, and what a test says of each; counts the tests."""

    def __init__(self, marks: Sequence[Mark]) -> None:
        self.marks = marks
        self.tested: list[int] = []

    def suspects(self, goods: Collection[str], bad: str) -> list[str]:
        newest = max(map(int, goods))
        return halving([str(number) for number in range(newest + 1, int(bad) + 1)])

    def test(self, id_: str, _suspects: int) -> Mark:
        self.tested.append(int(id_))
        return self.marks[int(id_)]

    def narrow(self) -> list[int]:
        found = narrow(self.suspects, "0", str(len(self.marks) - 1), self.test)
        return sorted(map(int, found))


def ends(between: Sequence[Mark]) -> Line:
    return Line([Mark.GOOD, *between, Mark.BAD])


@given(st.lists(MARKS, max_size=80))
def test_it_ends_and_never_tests_twice(between: list[Mark]) -> None:
    line = ends(between)
    line.narrow()
    assert len(set(line.tested)) == len(line.tested)
    assert not {0, len(between) + 1} & set(line.tested)


@given(st.lists(MARKS, max_size=80))
def test_what_is_left_lies_between_a_good_and_a_bad_one(between: list[Mark]) -> None:
    """Also where the marks make no sense."""
    line = ends(between)
    left = line.narrow()
    assert left == list(range(left[0], left[-1] + 1))
    assert line.marks[left[0] - 1] is Mark.GOOD
    assert line.marks[left[-1]] is Mark.BAD
    assert all(line.marks[number] is Mark.SKIP for number in left[:-1])


@given(st.integers(1, 300), st.data())
def test_one_turn_is_found_within_as_many_tests_as_halving_takes(
    last: int, data: st.DataObject
) -> None:
    turn = data.draw(st.integers(1, last))
    line = Line([Mark.BAD if number >= turn else Mark.GOOD for number in range(last + 1)])
    assert line.narrow() == [turn]
    assert len(line.tested) <= (last - 1).bit_length()


@given(st.integers(1, 120), st.sets(st.integers(1, 119)), st.data())
def test_the_turn_is_among_what_is_left(last: int, broken: set[int], data: st.DataObject) -> None:
    turn = data.draw(st.integers(1, last))
    marks = [Mark.BAD if number >= turn else Mark.GOOD for number in range(last + 1)]
    for number in broken & set(range(1, last)):
        marks[number] = Mark.SKIP
    left = Line(marks).narrow()
    assert turn in left
    first = max(number for number in range(turn) if marks[number] is Mark.GOOD)
    final = min(number for number in range(turn, last + 1) if marks[number] is Mark.BAD)
    assert left == list(range(first + 1, final + 1))


def test_a_block_that_does_not_build_is_left_soon() -> None:
    """The middle third of 300 is skipped, and the turn is before it."""
    between = [Mark.GOOD] * 60 + [Mark.BAD] * 40 + [Mark.SKIP] * 100 + [Mark.BAD] * 100
    line = ends(between)
    assert line.narrow() == [61]
    assert sum(line.marks[number] is Mark.SKIP for number in line.tested) < 10


def test_the_neighbour_of_one_that_is_skipped() -> None:
    ordered = halving([str(number) for number in range(1, 10)])
    assert choose(ordered, []) == ordered[0]
    assert choose(ordered, [ordered[0]]) == ordered[1]
    assert choose(ordered, ordered[:2]) == ordered[2:][len(ordered[2:]) // 2]
    assert choose(ordered, ordered) is None


@given(st.integers(1, 200))
def test_the_order_of_halving(number: int) -> None:
    line = [str(each) for each in range(number)]
    ordered = halving(line)
    worst = [max(int(each) + 1, number - 1 - int(each)) for each in ordered]
    assert sorted(ordered) == sorted(line)
    assert all(one <= other for one, other in pairwise(worst))
    assert ordered[-1] == line[-1]


@pytest.mark.parametrize(
    ("suspects", "left", "more"),
    [(2, 0, 0), (3, 1, 1), (4, 1, 1), (7, 3, 2), (8, 3, 2), (1000, 499, 9), (1024, 511, 9)],
)
def test_how_much_is_left_as_git_tells_it(suspects: int, left: int, more: int) -> None:
    assert (left_after(suspects), steps(suspects)) == (left, more)


WORSE = {
    Verdict.ABSENT: Mark.SKIP,
    Verdict.RESTORED: Mark.GOOD,
    Verdict.ACCEPTED: Mark.GOOD,
    Verdict.REFUSED: Mark.GOOD,
    Verdict.DROPPED: Mark.BAD,
    Verdict.CORRUPT: Mark.BAD,
    Verdict.PANIC: Mark.BAD,
    Verdict.RESET: Mark.BAD,
    Verdict.HANG: Mark.BAD,
    Verdict.ERROR: Mark.SKIP,
}


@pytest.mark.parametrize("verdict", Verdict)
def test_bad_is_what_is_worse_than_the_good_end(verdict: Verdict) -> None:
    assert Rule(Verdict.REFUSED).mark(verdict) is WORSE[verdict]


def test_refused_is_worse_than_restored() -> None:
    assert Rule(Verdict.RESTORED).mark(Verdict.REFUSED) is Mark.BAD


def test_bad_is_what_the_user_says() -> None:
    rule = Rule(Verdict.CORRUPT, (Verdict.RESTORED, Verdict.REFUSED))
    assert rule.mark(Verdict.RESTORED) is Mark.BAD
    assert rule.mark(Verdict.REFUSED) is Mark.BAD
    assert rule.mark(Verdict.CORRUPT) is Mark.GOOD
    assert rule.mark(Verdict.ABSENT) is Mark.GOOD
    assert rule.mark(Verdict.ERROR) is Mark.SKIP


def test_the_verdict_of_a_component() -> None:
    components = {"root": Judgement(Verdict.RESTORED), "memfd": Judgement(Verdict.CORRUPT)}
    result = CellResult("a", "b", "memfd", Verdict.CORRUPT, components)
    assert verdict_of(result) is Verdict.CORRUPT
    assert verdict_of(result, "root") is Verdict.RESTORED
    assert verdict_of(result, "luo") is Verdict.ABSENT
    failed = CellResult("a", "b", "memfd", Verdict.ERROR, {"root": Judgement(Verdict.ERROR)})
    assert verdict_of(failed, "memfd") is Verdict.ERROR
