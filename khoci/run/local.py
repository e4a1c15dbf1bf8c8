"""Run cells on this machine, some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from khoci.compat.plan import Cell
from khoci.results import CellResult

RunCell = Callable[[Cell], Awaitable[CellResult]]


async def run_cells(
    cells: Sequence[Cell],
    run: RunCell,
    jobs: int,
    done: Callable[[Cell, CellResult], None],
) -> None:
    """Run all cells, at most ``jobs`` at once; ``done`` is called as each result comes in.

    When anything is raised, or the task is cancelled, the cells that still run are stopped first.
    """
    waiting = iter(cells)

    async def worker() -> None:
        for cell in waiting:
            done(cell, await run(cell))

    workers = [asyncio.create_task(worker()) for _ in range(min(jobs, len(cells)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
