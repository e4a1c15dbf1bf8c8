"""Run cells on this machine, some at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from khoci.compat.plan import Cell
from khoci.pool import run_some
from khoci.results import CellResult

Group = Sequence[Cell]
"""Cells that are run together."""

RunGroup = Callable[[Group], Awaitable[Sequence[CellResult]]]


async def run_cells(
    groups: Sequence[Group],
    run: RunGroup,
    jobs: int,
    done: Callable[[Group, Sequence[CellResult]], None],
) -> None:
    """Run all groups, at most ``jobs`` at once; ``done`` is called as their results come in.

    When anything is raised, or the task is cancelled, the cells that still run are stopped first.
    """

    async def work(group: Group) -> None:
        done(group, await run(group))

    await run_some(groups, work, min(jobs, len(groups)))
