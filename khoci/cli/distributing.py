"""Running a plan on other machines, by an engine that the user has."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from khoci.cli.live import watcher_for
from khoci.compat.plan import Cell
from khoci.config.kernels import Kernels
from khoci.engine.cluster import Slurm
from khoci.engine.distribute import Engine, distribute
from khoci.engine.kubectl import Kubernetes
from khoci.engine.work import MOST, Work
from khoci.errors import UsageError
from khoci.kernel import store
from khoci.kernel.shared import Shared
from khoci.progress import progress_for
from khoci.run.elsewhere import Asked, bring_together, keep_asked, shards_of, still_to_run
from khoci.run.folder import RunFolder
from khoci.run.matrix import Plan
from khoci.run.shards import Shard
from khoci.scenario import select
from khoci.vm.machine import KVM

LOCAL = "local"
SLURM, KUBERNETES = "slurm", "kubernetes"
_PROGRAM = (sys.executable, "-m", "khoci")
"""On nodes that have the same folders."""
ENGINES = (LOCAL, SLURM, KUBERNETES)


def asked(
    on: tuple[str, str], plan: Plan, words: Sequence[str], count: int | None, jobs: int
) -> Asked:
    """What is asked of an engine for a plan, in as many shards as it is worth if none is given.

    Args:
        on: the engine, and the image of its containers if it has some.
        plan: what shall run.
        words: of the command line, after ``khoci matrix run``.
        count: how many shards.
        jobs: cells at once in each.

    Raises:
        UsageError: this engine needs more than was given.
    """
    engine, image = on
    if engine == KUBERNETES and not (image and "--store" in words):
        raise UsageError("--on kubernetes needs --image and --store: pods have no folder of here")
    shards = len(plan.shards(count, MOST[engine]))
    return Asked(engine, tuple(words), shards, jobs, image)


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
        engine = _engine(asked, work, folder, shared)
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
    )


def _engine(asked: Asked, work: Work, folder: RunFolder, shared: Shared | None) -> Engine:
    shards = shards_of(folder).resolve()
    if asked.engine == SLURM:
        return Slurm(replace(work, program=_PROGRAM), shards, f"khoci-{folder.id}")
    if shared is None:
        raise UsageError("which store do the results come through? name it by --store")
    kvm = KVM.name in work.words
    return Kubernetes(work, shards, asked.image, folder.id, shared, kvm)


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
