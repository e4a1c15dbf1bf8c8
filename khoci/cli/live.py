"""A run while it goes on: a view of it on a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from khoci.cli.colour import COLOURS
from khoci.progress import LineProgress, can_move, duration
from khoci.results import CellResult
from khoci.run.watcher import Group, Standing, Watcher

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

_MOST_SHOWN = 8
"""Groups that are run now."""
_NAMED = 3
"""Scenarios of a group."""


def watcher_for(stream: TextIO | None = None) -> Watcher:
    """The view where ``stream`` (stderr unless told) is a terminal that can move, else lines."""
    stream = stream or sys.stderr
    return LiveView() if can_move(stream) else RunLines(stream)


class RunLines:
    """A line at the begin, at every quarter, and at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._lines = LineProgress(stream, note=self._counts)
        self._standing = Standing(0, 1)

    def begin(self, task: str, total: int, jobs: int) -> None:
        """Print the task."""
        self._standing = Standing(total, jobs)
        self._lines.start(task, total)

    def started(self, group: Group) -> None:
        """Print nothing."""
        self._standing.started(group)

    def finished(self, group: Group, results: Sequence[CellResult]) -> None:
        """Print a line when another quarter is done."""
        self._standing.finished(group, results)
        self._lines.advance(len(results))

    def end(self) -> None:
        """Print how long it took."""
        self._lines.done()

    def _counts(self) -> str:
        return _counted(self._standing)


class LiveView:
    """Cells done and left, what they ended with, and those that are run now; gone at the end."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def begin(self, task: str, total: int, jobs: int) -> None:
        """Show the view."""
        from rich.console import Console  # noqa: PLC0415  (slow to import)
        from rich.live import Live  # noqa: PLC0415

        self._standing = Standing(total, jobs)
        self._live = Live(
            get_renderable=lambda: view(task, self._standing),
            console=Console(stderr=True),
            refresh_per_second=4,
            transient=True,
        )
        self._live.start()

    def started(self, group: Group) -> None:
        """Show the group."""
        self._standing.started(group)

    def finished(self, group: Group, results: Sequence[CellResult]) -> None:
        """Show what it ended with."""
        self._standing.finished(group, results)

    def end(self) -> None:
        """Take the view away."""
        if self._live is not None:
            self._live.stop()
        self._live = None


def view(task: str, standing: Standing) -> RenderableType:
    """What the terminal shows of a run, as wide as it is."""
    from rich.console import Group as Stack  # noqa: PLC0415  (slow to import)
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    left = standing.left()
    bar = Table.grid(padding=(0, 1), expand=True)
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True)
    bar.add_row(
        ProgressBar(max(1, standing.total), standing.done, complete_style="cyan"),
        f"{standing.done}/{standing.total}"
        + ("" if left is None else f"  about {duration(left)} left"),
    )
    counts = Text(", ").join(
        Text(f"{count} {verdict}", style=COLOURS[verdict]) for verdict, count in standing.counts()
    )
    return Stack(Text(task), bar, counts, _running(standing))


def _running(standing: Standing) -> Table:
    """A line for each group that is run now, with the time it has taken."""
    from rich.table import Table  # noqa: PLC0415  (slow to import)
    from rich.text import Text  # noqa: PLC0415

    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    table.add_column(no_wrap=True, justify="right")
    groups = list(standing.running.items())
    for group, began in groups[:_MOST_SHOWN]:
        table.add_row(Text(f"  {_named(group)}"), duration(standing.clock() - began))
    if len(groups) > _MOST_SHOWN:
        table.add_row(f"  and {len(groups) - _MOST_SHOWN} more", "")
    return table


def _named(group: Group) -> str:
    """``6.18 -> 7.3 kho-test, memfd and 9 more``."""
    first = group[0]
    names = [cell.scenario + (f" with {cell.fault}" if cell.fault else "") for cell in group]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{first.producer} -> {first.consumer} {', '.join(names[:_NAMED])}{more}"


def _counted(standing: Standing) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in standing.counts())
