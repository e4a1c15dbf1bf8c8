"""Telling the user how far a long task is: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


class Progress(Protocol):
    """One task at a time: ``start``, any number of ``advance``, ``done``."""

    def start(self, task: str, total: float | None = None) -> None:
        """Begin ``task`` of ``total`` steps (None: unknown)."""

    def advance(self, steps: float = 1) -> None:
        """``steps`` more are done."""

    def done(self) -> None:
        """The task has ended, well or not."""


class NoProgress:
    """Says nothing."""

    def start(self, task: str, total: float | None = None) -> None:
        """Nothing to say."""

    def advance(self, steps: float = 1) -> None:
        """Nothing to say."""

    def done(self) -> None:
        """Nothing to say."""


class LineProgress:
    """A line for each start and end, and one at every quarter in between, with the time left.

    ``note`` adds to the lines in between what else is to be known by then.
    """

    def __init__(self, stream: TextIO | None = None, note: Callable[[], str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._note = note
        self._task = ""
        self._total: float | None = None
        self._steps = 0.0
        self._began = 0.0
        self._next = 0.25

    def start(self, task: str, total: float | None = None) -> None:
        """Print the name of the task."""
        self._task, self._total = task, total
        self._steps, self._next, self._began = 0.0, 0.25, time.monotonic()
        self._line(task)

    def advance(self, steps: float = 1) -> None:
        """Print a line when another quarter is done."""
        self._steps += steps
        share = self._steps / self._total if self._total else 0.0
        if self._next <= share < 1:
            left = (time.monotonic() - self._began) * (1 - share) / share
            note = f" ({self._note()})" if self._note else ""
            self._line(f"{self._task}: {share:.0%}, {duration(left)} left{note}")
            self._next = share + 0.25

    def done(self) -> None:
        """Print how long it took, if it took long enough to matter."""
        spent = time.monotonic() - self._began
        if spent >= 1:
            self._line(f"{self._task}: {duration(spent)}")

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class BarProgress:
    """A bar with the steps done and the time left, gone when the task has ended."""

    def __init__(self) -> None:
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    def start(self, task: str, total: float | None = None) -> None:
        """Show the bar."""
        self._bar = _bar()
        self._task = self._bar.add_task(task, total=total)
        self._bar.start()

    def advance(self, steps: float = 1) -> None:
        """Move the bar."""
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, steps)

    def done(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None


def progress_for(stream: TextIO | None = None) -> Progress:
    """A bar where ``stream`` (stderr unless told) is a terminal that can move, else lines."""
    stream = stream or sys.stderr
    return BarProgress() if can_move(stream) else LineProgress(stream)


def can_move(stream: TextIO) -> bool:
    """Whether it is a terminal on which a line can be written over."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def duration(seconds: float) -> str:
    """``7 s`` or ``3 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _bar() -> RichProgress:
    from rich import progress  # noqa: PLC0415  (slow to import; not every command shows a bar)
    from rich.console import Console  # noqa: PLC0415

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
    )
