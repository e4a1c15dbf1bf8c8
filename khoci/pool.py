"""Work that is done some at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


async def run_some(items: Iterable[T], work: Callable[[T], Awaitable[None]], jobs: int) -> None:
    """Do ``work`` for each item, in their order, at most ``jobs`` at once.

    When anything is raised, or the task is cancelled, what still runs is stopped first.
    """
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    workers = [asyncio.create_task(worker()) for _ in range(jobs)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            if not task.cancelling():  # once more would cut short how its work ends
                task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
