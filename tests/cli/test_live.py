from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console

from khoci.cli.live import LiveView, RunLines, view, watcher_for
from khoci.compat.plan import Cell
from khoci.results import CellResult
from khoci.run.watcher import Group, Standing
from khoci.verdicts import Verdict
from tests.cli.test_colour import Terminal

NAMES = ("kho-test", "memfd", "reserve-mem", "luo-sessions")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def group(producer: str, count: int = 2) -> Group:
    return tuple(Cell(producer, "v7.3", name) for name in NAMES[:count])


def ended(cells: Group, verdict: Verdict = Verdict.RESTORED) -> Sequence[CellResult]:
    return [CellResult(each.producer, each.consumer, each.scenario, verdict, {}) for each in cells]


def shown(standing: Standing, width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(view("running", standing))
    return stream.getvalue().splitlines()


def test_the_estimate_is_by_what_cells_took() -> None:
    clock = Clock()
    standing = Standing(total=8, jobs=2, clock=clock)
    assert standing.left() is None
    first, second = group("a"), group("b")
    standing.started(first)
    standing.started(second)
    clock.now += 10
    assert standing.left() is None
    standing.finished(first, ended(first))
    assert standing.done == 2
    assert standing.left() == (5 * 6 - 10) / 2
    standing.finished(second, ended(second, Verdict.PANIC))
    assert standing.counts() == [(Verdict.RESTORED, 2), (Verdict.PANIC, 2)]
    assert standing.left() == 5 * 4 / 2
    last = group("c", 4)
    standing.started(last)
    clock.now += 99
    assert standing.left() == 0
    standing.finished(last, ended(last))
    assert standing.left() == 0


def test_the_view() -> None:
    clock = Clock()
    standing = Standing(total=8, jobs=2, clock=clock)
    first, second = group("a"), group("v6.17", 4)
    standing.started(first)
    standing.started(second)
    clock.now += 10
    standing.finished(first, ended(first, Verdict.CORRUPT))
    task, bar, counts, *running = shown(standing)
    assert task.strip() == "running"
    assert bar.rstrip().endswith("2/8  about 10 s left")
    assert counts.strip() == "2 corrupt"
    (line,) = running
    assert line.startswith("  v6.17 -> v7.3 kho-test, memfd, reserve-mem and 1 more")
    assert line.rstrip().endswith("10 s")


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    standing = Standing(total=100, jobs=20)
    for number in range(20):
        standing.started(group(f"a-kernel-with-a-long-name-{number}", 4))
    lines = shown(standing, width)
    assert max(map(len, lines)) <= width
    assert sum("a-ker" in line for line in lines) == 8
    assert any("and 12 more" in line for line in lines)


def test_names_are_no_markup() -> None:
    standing = Standing(total=2, jobs=1)
    standing.started(group("[red]x[/red]"))
    assert "  [red]x[/red] -> v7.3 kho-test, memfd" in shown(standing)[-1]


def test_lines_at_the_quarters_have_the_counts() -> None:
    stream = io.StringIO()
    lines = RunLines(stream)
    lines.begin("running 8 cells", 8, 2)
    for name in "abcd":
        cells = group(name)
        lines.started(cells)
        lines.finished(cells, ended(cells, Verdict.REFUSED if name == "a" else Verdict.RESTORED))
    lines.end()
    task, *quarters = stream.getvalue().splitlines()
    assert task == "running 8 cells"
    assert [line.split(", ", 1)[0] for line in quarters] == [
        "running 8 cells: 25%",
        "running 8 cells: 50%",
        "running 8 cells: 75%",
    ]
    assert quarters[0].endswith("(2 refused)")
    assert quarters[2].endswith("(4 restored, 2 refused)")


def test_what_is_no_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(watcher_for(Terminal()), LiveView)
    assert isinstance(watcher_for(io.StringIO()), RunLines)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(watcher_for(Terminal()), RunLines)
