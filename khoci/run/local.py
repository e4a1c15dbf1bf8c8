"""Run cells on this machine, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from khoci.compat.plan import Cell
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
    waiting = iter(groups)

    async def worker() -> None:
        for group in waiting:
            done(group, await run(group))

    workers = [asyncio.create_task(worker()) for _ in range(min(jobs, len(groups)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            if not task.cancelling():  # once more would cut short how its cells end
                task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
