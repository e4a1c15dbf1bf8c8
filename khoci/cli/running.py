"""Running a plan on this machine."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from khoci.cli.live import watcher_for
from khoci.cli.options import tell
from khoci.compat.bench import Bench
from khoci.compat.plan import Cell
from khoci.config.kernels import Kernels
from khoci.errors import UsageError
from khoci.kernel.shared import Shared
from khoci.kernel.store import fetch
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.results import CellResult
from khoci.run.cellcache import CellCache
from khoci.run.cellkey import cell_keys
from khoci.run.folder import RUNS, RunFolder, new_run
from khoci.run.keys import keep_keys
from khoci.run.matrix import (
    Plan,
    check_fit,
    check_host,
    prepare,
    remaining,
    room_here,
    run_matrix,
)
from khoci.run.published import publish, published
from khoci.run.published import take as take_published
from khoci.run.readers import keep
from khoci.run.reuse import Otherwise, compared, take
from khoci.run.room import Room


@dataclass(frozen=True)
class HowToRun:
    """How cells are run.

    Attributes:
        jobs: cells at once; None for as many as is good here.
        run_id: of a new run; None for one made of the time.
        cells: results that need not run again; None where all shall.
        shared: where kernels are taken from.
        folder: of a new run, instead of one of its id.
        checked: whether something is booted before any cell is taken.
    """

    jobs: int | None
    run_id: str | None = None
    cells: CellCache | None = None
    shared: Shared | None = None
    folder: Path | None = None
    checked: bool = False

    def begin(self, plan: Plan) -> RunFolder:
        """A new run."""
        if self.folder is None:
            return new_run(RUNS, plan.to_json(), self.run_id)
        return new_run(self.folder.parent, plan.to_json(), self.folder.name)


def run_here(
    plan: Plan, known: Kernels, folder: RunFolder | None, how: HowToRun
) -> tuple[RunFolder, list[Otherwise]]:
    """Run what has no result yet; a new run has its folder when its kernels are there.

    Returns:
        the run, and what ended otherwise than the cell cache has it.
    """
    wanted = remaining(plan, folder) if folder else plan.cells
    if not wanted:
        return folder or how.begin(plan), []
    check_host(plan, known)
    room = room_for(plan, wanted, how.jobs)
    if how.shared:
        for name in {name for cell in wanted for name in cell.pair}:
            fetch(known.select(name), how.shared)
    bench = prepare(plan, known, wanted, cache_dir(), progress_for(), tell)
    if how.checked:
        check_fit(bench)
    folder = folder or how.begin(plan)
    keep(folder, bench.releases.patched.values())
    keep_keys(folder, {name: kernel.key for name, kernel in bench.kernels.items()})
    if how.cells is None:
        run_matrix(bench, wanted, folder, room, watcher_for())
        return folder, []
    return folder, _with_cache(bench, wanted, folder, room, how.cells)


def room_for(plan: Plan, wanted: Sequence[Cell], jobs: int | None) -> Room:
    """How many cells run at once; tells the user if the memory is for fewer than the cores.

    Raises:
        UnfitError: there is not enough memory.
    """
    room, line = room_here(plan, wanted, jobs)
    if line is not None:
        click.echo(f"khoci: {line}", err=True)
    return room


def way_back(
    shared: Shared | None, run: str | None, plan: Plan, folder: Path | None
) -> AbstractContextManager[None] | None:
    """Takes what the store has of a shard before it runs, and puts it there after; None if not.

    Raises:
        UsageError: it is no shard, or there is no store.
    """
    if run is None:
        return None
    if shared is None or folder is None or not plan.shard:
        raise UsageError("--publish is for a --shard with --store and -o")
    if digest := published(shared, run, plan.shard):
        take_published(shared, digest, folder)
    return _published_after(shared, run, plan.shard, RunFolder(folder))


@contextmanager
def _published_after(shared: Shared, run: str, label: str, folder: RunFolder) -> Iterator[None]:
    """Also what was interrupted: its results need not be found again."""
    try:
        yield
    finally:
        if folder.meta("run.json").is_file():
            publish(shared, run, label, folder)


def tell_otherwise(found: Sequence[Otherwise]) -> None:
    """Say what makes the cell cache doubtful."""
    for each in found:
        click.echo(f"khoci: the cell cache is not to be trusted: {each}", err=True)
    if found:
        click.echo(
            "khoci: these cells are not deterministic, or depend on what is not in their key: "
            "run again with --no-cell-cache",
            err=True,
        )


def _with_cache(
    bench: Bench, wanted: Sequence[Cell], folder: RunFolder, room: Room, cells: CellCache
) -> list[Otherwise]:
    keys = cell_keys(bench)
    reused = take(keys, cells, wanted, folder, random.sample)

    def stored(cell: Cell, result: CellResult) -> None:
        cells.keep(keys.key(cell), cell, result, folder)

    if reused.cached or reused.again:
        click.echo(
            f"{len(reused.cached)} of {len(wanted)} cells are known and not run again; "
            f"{len(reused.again)} run to compare",
            err=True,
        )
    if reused.left:
        run_matrix(bench, reused.left, folder, room, watcher_for(), stored)
    return compared(reused, folder)
