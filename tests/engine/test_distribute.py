"""Following shards that an engine runs: faults of engines that cannot be had from real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from khoci.compat.plan import Cell
from khoci.engine.distribute import RUNNING, WAITING, distribute
from khoci.engine.slurm import parse_queue, ranges
from khoci.errors import HarnessError
from khoci.results import CellResult
from khoci.run.folder import RunFolder
from khoci.run.shards import shards
from khoci.run.watcher import Group
from khoci.verdicts import Verdict

GROUPS = [tuple(Cell(f"v{n}", "v9", word) for word in ("a", "b")) for n in range(4)]
SHARDS = shards(GROUPS, len, 2)


@dataclass
class Seen:
    """What a watcher is told."""

    lines: list[str] = field(default_factory=list)

    def begin(self, task: str, total: int, jobs: int) -> None:
        self.lines.append(f"begin {task} {total} {jobs}")

    def started(self, group: Group) -> None:
        self.lines.append(f"start {group[0].producer}")

    def finished(self, group: Group, results: Sequence[CellResult]) -> None:
        self.lines.append(f"done {group[0].producer} {len(results)}")

    def end(self) -> None:
        self.lines.append("end")


@dataclass
class Scripted:
    """An engine whose shards do what each step of a script says, a step for a look."""

    parent: Path
    steps: list[Callable[[Scripted], Mapping[int, str]]]
    asked: list[list[int]] = field(default_factory=list)
    cancelled: bool = False
    name: str = "scripted"

    def submit(self, numbers: Sequence[int]) -> None:
        self.asked.append([*numbers])

    def active(self) -> Mapping[int, str]:
        return self.steps.pop(0)(self) if self.steps else {}

    def collect(self) -> list[str]:
        return []

    def cancel(self) -> None:
        self.cancelled = True

    def why(self, number: int) -> str:
        return f"log of {number}"

    def results(self, number: int, count: int | None = None) -> None:
        folder = RunFolder(self.parent / str(number))
        for cell in SHARDS[number - 1].cells[:count]:
            folder.store(cell.name, CellResult(*cell.pair, cell.scenario, Verdict.RESTORED, {}))


def nothing(_: Scripted) -> Mapping[int, str]:
    return {}


def both(_: Scripted) -> Mapping[int, str]:
    return {1: RUNNING, 2: WAITING}


def follow(engine: Scripted) -> list[str]:
    seen = Seen()
    distribute(engine, engine.parent, SHARDS, seen, print, lambda _: None)
    return seen.lines


def test_a_run_from_begin_to_end(tmp_path: Path) -> None:
    def half(engine: Scripted) -> Mapping[int, str]:
        engine.results(1, 3)
        return {1: RUNNING, 2: RUNNING}

    def rest(engine: Scripted) -> Mapping[int, str]:
        engine.results(1)
        engine.results(2)
        return {}

    engine = Scripted(tmp_path, [nothing, both, half, rest])
    assert follow(engine) == [
        "begin running 8 cells (scripted, 2 shards) 8 2",
        "start v0",
        "done v0 2",
        "start v2",
        "start v1",
        "done v2 2",
        "done v1 2",
        "start v3",
        "done v3 2",
        "end",
    ]
    assert engine.asked == [[1, 2]]


def test_what_runs_already_is_not_asked_for_again(tmp_path: Path) -> None:
    def done(engine: Scripted) -> Mapping[int, str]:
        engine.results(1)
        engine.results(2)
        return {}

    engine = Scripted(tmp_path, [both, both, done])
    follow(engine)
    assert engine.asked == []


def test_only_what_is_missing_is_asked_for_again(tmp_path: Path) -> None:
    def first(engine: Scripted) -> Mapping[int, str]:
        engine.results(1)
        engine.results(2, 1)
        return {}

    def second(engine: Scripted) -> Mapping[int, str]:
        engine.results(2)
        return {}

    engine = Scripted(tmp_path, [nothing, both, first, second])
    follow(engine)
    assert engine.asked == [[1, 2], [2]]


def test_a_shard_that_gets_no_result_ends_the_run(tmp_path: Path) -> None:
    def one(engine: Scripted) -> Mapping[int, str]:
        engine.results(1)
        return {}

    engine = Scripted(tmp_path, [nothing, one])
    with pytest.raises(HarnessError, match=r"^shard 2 gets no result from scripted, 4 cells .*log"):
        follow(engine)
    assert engine.asked == [[1, 2], [2], [2]]
    assert engine.cancelled


def test_an_interrupt_cancels(tmp_path: Path) -> None:
    def interrupt(_: Scripted) -> Mapping[int, str]:
        raise KeyboardInterrupt

    engine = Scripted(tmp_path, [nothing, interrupt])
    with pytest.raises(KeyboardInterrupt):
        follow(engine)
    assert engine.cancelled


def test_tasks_of_an_array() -> None:
    assert ranges([1, 2, 3, 5, 8, 9]) == "1-3,5,8-9"
    assert ranges([4]) == "4"
    text = "1|RUNNING\n2|PENDING\n3|COMPLETING\nN/A|RUNNING\n\n"
    assert parse_queue(text) == {1: RUNNING, 2: WAITING, 3: RUNNING}
