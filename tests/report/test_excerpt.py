from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from khoci.report.excerpt import around

LOG = "".join(f"[    {number}] line {number}\n" for number in range(1, 101))


def test_it_begins_a_little_before_the_first_wanted_line() -> None:
    found = around(LOG, ["[    50] line 50"], most=20)
    assert found.first == 38
    assert len(found.lines) == 20
    assert found.total == 100
    assert [found.lines[at] for at in found.marked] == ["[    50] line 50"]


def test_without_a_wanted_line_it_is_the_end() -> None:
    found = around(LOG, ["nowhere", ""], most=3)
    assert found.lines == ("[    98] line 98", "[    99] line 99", "[    100] line 100")
    assert found.first == 98
    assert found.marked == ()


def test_every_wanted_line_that_is_in_it_is_marked() -> None:
    near = ["[    50] line 50", "[    60] line 60"]
    found = around(LOG, ["[    60] line 60", " [    50] line 50 "], most=30)
    assert [found.lines[at] for at in found.marked] == near
    assert found.gap is None
    found = around(LOG, ["[    60] line 60", " [    50] line 50 ", "[    99] line 99"], most=30)
    assert [found.lines[at] for at in found.marked] == [*near, "[    99] line 99"]


def test_what_is_far_behind_is_shown_and_the_middle_left_out() -> None:
    found = around(LOG, ["[    20] line 20", "[    90] line 90"], most=30)
    assert [found.lines[at] for at in found.marked] == ["[    20] line 20", "[    90] line 90"]
    assert len(found.lines) == 30
    assert found.gap
    before, after = found.lines[found.gap.at - 1 : found.gap.at + 1]
    assert (before, after) == ("[    27] line 27", "[    83] line 83")
    assert found.gap.size == 55
    assert found.first + len(found.lines) - 1 + found.gap.size == 92


@given(st.sets(st.integers(1, 100), min_size=1), st.integers(13, 70))
def test_the_last_wanted_line_is_shown_and_every_line_has_its_number(
    wanted: set[int], most: int
) -> None:
    found = around(LOG, [f"[    {number}] line {number}" for number in wanted], most)
    at, size = (found.gap.at, found.gap.size) if found.gap else (most, 0)
    numbers = [found.first + place + (size if place >= at else 0) for place in range(most)]
    lines = [f"[    {number}] line {number}" for number in numbers]
    assert found.lines == tuple(lines[: len(found.lines)])
    assert f"[    {max(wanted)}] line {max(wanted)}" in found.lines


def test_a_line_that_comes_again_and_again_does_not_say_where_to_begin() -> None:
    log = "RIP: here\n" * 5 + "x\n" * 50 + "BUG: bad\nRIP: here\nKernel panic\n"
    found = around(log, ["BUG: bad", "RIP: here", "Kernel panic"], most=20)
    assert [found.lines[at] for at in found.marked] == ["BUG: bad", "RIP: here", "Kernel panic"]
    assert found.gap is None


def test_an_empty_log_has_nothing() -> None:
    found = around("", ["x"])
    assert (found.lines, found.total, found.marked) == ((), 0, ())


def test_what_a_terminal_would_obey_and_what_is_endless_is_not_there() -> None:
    (line,) = around("\x1b[2J\tgone\x07" + "x" * 5000, []).lines
    assert line.startswith("?[2J gone?xxx")
    assert len(line) < 500


@given(st.text(), st.lists(st.text()), st.integers(1, 9))
def test_any_log_gives_visible_lines_of_it(log: str, wanted: list[str], most: int) -> None:
    found = around(log, wanted, most)
    assert len(found.lines) <= most
    assert found.first + len(found.lines) - 1 <= max(found.total, 1)
    assert all(0 <= at < len(found.lines) for at in found.marked)
    assert all(line.isprintable() for line in found.lines)
