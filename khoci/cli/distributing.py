"""Running a plan on other machines, by an engine that the user has."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from khoci.cli.live import watcher_for
from khoci.compat.plan import Cell
from khoci.config.kernels import Kernels
from khoci.engine.cluster import Slurm
from khoci.engine.distribute import Engine, distribute
from khoci.engine.work import MOST, Work
from khoci.kernel import store
from khoci.kernel.shared import Shared
from khoci.progress import progress_for
from khoci.run.elsewhere import Asked, bring_together, keep_asked, shards_of, still_to_run
from khoci.run.folder import RunFolder
from khoci.run.matrix import Plan
from khoci.run.shards import Shard
from khoci.scenario import select

LOCAL = "local"
ENGINES = (LOCAL, "slurm")


def asked(engine: str, plan: Plan, words: Sequence[str], count: int | None, jobs: int) -> Asked:
    """What is asked of an engine for a plan, in as many shards as it is worth if none is given."""
    shards = len(plan.shards(count, MOST[engine]))
    return Asked(engine, tuple(words), shards, jobs)


def run_elsewhere(
    plan: Plan, known: Kernels, folder: RunFolder, asked: Asked, shared: Shared | None
) -> None:
    """Have an engine run what has no result yet, follow it, and merge what it brings.

    Raises:
        HarnessError: a kernel cannot be had, or the engine fails.
    """
    keep_asked(folder, asked)
    shards = plan.shards(asked.shards)
    left = still_to_run(folder, shards)
    if left:
        keys = _kernels(plan, known, left, shared)
        work = work_of(plan, asked, keys, shards)
        engine = _engine(work, folder)
        distribute(engine, shards_of(folder), left, watcher_for(), _tell)
    bring_together(folder)


def work_of(plan: Plan, asked: Asked, keys: dict[str, str], shards: tuple[Shard, ...]) -> Work:
    """The work of a plan as it is asked for."""
    shapes = [scenario.shape.memory or 0 for scenario in select(plan.scenarios)]
    return Work(
        matrix=plan.matrix,
        words=asked.words,
        kernels=keys,
        shards=shards,
        jobs=asked.jobs,
        memory=max([plan.guest.memory, *shapes]),
        program=(sys.executable, "-m", "khoci"),
    )


def _engine(work: Work, folder: RunFolder) -> Engine:
    return Slurm(work, shards_of(folder).resolve(), f"khoci-{folder.id}")


def _kernels(
    plan: Plan, known: Kernels, left: Sequence[Shard], shared: Shared | None
) -> dict[str, str]:
    """Have the kernels of these shards where the machines that run them find them."""
    cells: list[Cell] = [cell for shard in left for cell in shard.cells]
    needed = {name for cell in cells for name in cell.pair}
    progress = progress_for()
    found = {}
    for name in plan.kernels:
        if name in needed:
            found[name] = store.obtain(known.select(name), progress, shared=shared).key
    return found


def _tell(line: str) -> None:
    click.echo(f"khoci: {line}", err=True)
