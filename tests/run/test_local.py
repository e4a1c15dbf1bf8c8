from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat.plan import Cell
from khoci.results import CellResult
from khoci.run.local import run_cells
from khoci.verdicts import Verdict


def some(count: int) -> list[Cell]:
    return [Cell(f"k{number}", "k", "s") for number in range(count)]


def alone(count: int) -> list[list[Cell]]:
    return [[cell] for cell in some(count)]


class Runner:
    """Runs cells that take a few turns of the loop, and counts them."""

    def __init__(self, turns: int = 3, fails: str = "") -> None:
        self.turns, self.fails = turns, fails
        self.now = self.most = 0
        self.stopped: list[str] = []
        self.results: list[str] = []

    async def run(self, group: Sequence[Cell]) -> list[CellResult]:
        cell = group[0]
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            for _ in range(self.turns):
                await asyncio.sleep(0)
            if cell.producer == self.fails:
                raise OSError("disk full")
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            self.stopped.append(cell.producer)
            raise
        finally:
            self.now -= 1
        return [
            CellResult(item.producer, item.consumer, item.scenario, Verdict.RESTORED, {})
            for item in group
        ]

    def done(self, group: Sequence[Cell], results: Sequence[CellResult]) -> None:
        producers = [cell.producer for cell in group]
        assert producers == [result.producer for result in results]
        self.results += producers


async def leaves_no_task(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work``; when it is over, however that is, no other task is left."""
    try:
        await work
    finally:
        assert asyncio.all_tasks() == {asyncio.current_task()}


@given(st.integers(0, 9), st.integers(1, 12))
def test_all_cells_once_and_never_too_many(count: int, jobs: int) -> None:
    runner = Runner()
    asyncio.run(leaves_no_task(run_cells(alone(count), runner.run, jobs, runner.done)))
    assert sorted(runner.results) == [cell.producer for cell in some(count)]
    assert runner.most == min(jobs, count)


def test_cells_that_are_run_together_have_a_result_each() -> None:
    runner = Runner()
    asyncio.run(run_cells([some(3), some(2)], runner.run, 2, runner.done))
    assert sorted(runner.results) == ["k0", "k0", "k1", "k1", "k2"]
    assert runner.most == 2


def test_one_job_keeps_the_order() -> None:
    runner = Runner()
    asyncio.run(run_cells(alone(5), runner.run, 1, runner.done))
    assert runner.results == [cell.producer for cell in some(5)]


def test_an_exception_stops_the_others_and_is_raised() -> None:
    runner = Runner(fails="k1")
    with pytest.raises(OSError, match="disk full"):
        asyncio.run(leaves_no_task(run_cells(alone(9), runner.run, 3, runner.done)))
    assert runner.now == 0
    assert len(runner.stopped) == 2
    assert "k1" not in runner.results
    assert "k8" not in runner.results


def test_an_exception_of_done_is_raised() -> None:
    def full(_group: Sequence[Cell], _results: Sequence[CellResult]) -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        asyncio.run(leaves_no_task(run_cells(alone(4), Runner().run, 2, full)))


def test_cancelling_waits_until_the_cells_are_stopped() -> None:
    runner = Runner(turns=10**9)

    async def cancelled() -> None:
        task = asyncio.create_task(run_cells(alone(5), runner.run, 2, runner.done))
        await asyncio.sleep(0.01)
        assert runner.now == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sorted(runner.stopped) == ["k0", "k1"]

    asyncio.run(leaves_no_task(cancelled()))
    assert runner.now == 0
    assert runner.results == []


def test_a_cell_that_is_stopped_ends_in_its_own_time() -> None:
    ended = []

    async def run(group: Sequence[Cell]) -> Sequence[CellResult]:
        try:
            await asyncio.sleep(1000)
        finally:
            name = group[0].producer
            await asyncio.sleep(0.01 if name == "k0" else 0.1)  # as a guest is waited for
            ended.append(name)
        return []

    async def cancelled() -> None:
        task = asyncio.create_task(run_cells(alone(2), run, 2, lambda *_: None))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(leaves_no_task(cancelled()))
    assert ended == ["k0", "k1"]
