"""Run a matrix: get the kernels, run the cells that have no result yet, store each result."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from khoci.compat.atjump import Tamper
from khoci.compat.bench import Bench, booting
from khoci.compat.cell import groups, run_cell, run_cells_of_a_pair
from khoci.compat.loglines import never_matched, shipped
from khoci.compat.plan import Cell, cells, cells_of, pairs, pairs_around
from khoci.compat.ready import Producers
from khoci.config.abi import default_folder, load_releases
from khoci.config.kernels import Kernels
from khoci.config.matrix import GuestConfig, MatrixConfig
from khoci.errors import HarnessError, KhociError, UsageError
from khoci.fault import select as select_faults
from khoci.fault.base import NotApplicableError
from khoci.format.handover import Handover
from khoci.guest.build import build_agent
from khoci.guest.initramfs import consumer_initramfs
from khoci.guest.session import greeted
from khoci.kernel.build import How
from khoci.kernel.cache import Artifact
from khoci.kernel.store import obtain
from khoci.progress import Progress
from khoci.results import CellResult, SeriesInRun
from khoci.run.cost import seconds_of
from khoci.run.folder import RunFolder
from khoci.run.local import run_cells
from khoci.run.patched import with_patched
from khoci.run.room import Need, Room, need, room_of
from khoci.run.shards import MOST_SHARDS, Shard, fitting_count, parsed, shards
from khoci.run.watcher import Watcher
from khoci.scenario import definitions, select
from khoci.scenario.base import NotPossibleError
from khoci.verdicts import Verdict
from khoci.vm.accel import check_accelerator, working_accelerator
from khoci.vm.available import available_memory
from khoci.vm.machine import ACCELERATORS, TCG, Accelerator, Machine
from khoci.vm.ram import GuestRam
from khoci.vm.tools import check_tools


@dataclass(frozen=True)
class Plan:
    """What a run is made of, all names resolved; the order of kernels is oldest first.

    Attributes:
        kernels: their names.
        pairs: which of them, a word of `config.matrix.PAIRS`.
        scenarios: their names.
        guest: the machine.
        matrix: name of the matrix file.
        accelerator: None for what works here.
        faults: what is broken on purpose.
        series: the series that the run is about, if it is about one.
        only: the pairs, where they are not those of the word.
        shard: the part that is run, ``1/8``; empty if it is all.
    """

    kernels: tuple[str, ...]
    pairs: str
    scenarios: tuple[str, ...]
    guest: GuestConfig
    matrix: str
    accelerator: str | None = None
    faults: tuple[str, ...] = ()
    series: SeriesInRun | None = None
    only: tuple[tuple[str, str], ...] = ()
    shard: str = ""

    @property
    def whole(self) -> Plan:
        """The plan that it is a shard of."""
        return replace(self, shard="")

    @cached_property
    def cells(self) -> list[Cell]:
        """Its cells, in the order of the table: all, or those of its shard."""
        if not self.shard:
            return self._all_cells()
        number, of = parsed(self.shard)
        chosen = {*self.shards(of)[number - 1].cells}
        return [cell for cell in self._all_cells() if cell in chosen]

    def shards(self, count: int | None = None, most: int = MOST_SHARDS) -> tuple[Shard, ...]:
        """The parts of the whole plan, those that take longest first.

        Args:
            count: how many; by default as many as are worth their while.
            most: how many at most, if none is given.
        """
        known = {scenario.name: scenario for scenario in select(self.scenarios)}
        together = groups(self._all_cells(), known)

        def cost(group: Sequence[Cell]) -> float:
            return seconds_of(group, known, self.guest.memory)

        return shards(together, cost, count or fitting_count(together, cost, most))

    def _all_cells(self) -> list[Cell]:
        """With faults, each kernel to itself with each of them."""
        if not self.faults:
            if self.only:
                return cells_of(self.only, self.scenarios)
            return cells(self.kernels, self.pairs, self.scenarios)
        return [
            Cell(name, name, fault.scenario, fault.name)
            for fault in select_faults(self.faults)
            for name in self.kernels
        ]

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The reverse of ``to_json``.

        Raises:
            UsageError: it was written by another version of khoci.
        """
        try:
            plan = cls(**data)
            return replace(
                plan,
                kernels=tuple(plan.kernels),
                scenarios=tuple(plan.scenarios),
                faults=tuple(plan.faults),
                series=SeriesInRun(**data["series"]) if data.get("series") else None,
                only=tuple((producer, consumer) for producer, consumer in plan.only),
                guest=GuestConfig(**data["guest"]),
            )
        except (TypeError, KeyError, ValueError):
            raise UsageError("the run was begun by another version of khoci") from None


def make_plan(
    matrix: MatrixConfig,
    kernels: Kernels,
    *,
    names: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    pairs: str | None = None,
    accelerator: str | None = None,
) -> Plan:
    """The plan of a matrix file, with what the command line puts in its place.

    Raises:
        UsageError: a kernel or scenario does not exist.
    """
    chosen = {kernels.select(name).name for name in (names or matrix.kernels)}
    wanted = select(scenarios or matrix.scenarios)
    return Plan(
        kernels=tuple(name for name in kernels.names if name in chosen),
        pairs=pairs or matrix.pairs,
        scenarios=tuple(scenario.name for scenario in wanted),
        guest=matrix.guest,
        matrix=matrix.name,
        accelerator=accelerator,
    )


def plan_around(plan: Plan, series: SeriesInRun) -> Plan:
    """The plan of what a series changes, against the kernels of another plan.

    Its kernels and its base are held against those, and the revision before against it only.
    """
    kernels = _in_line(plan.kernels, series)
    wanted = pairs(kernels, plan.pairs, series.bases)
    stable = [name for name in plan.kernels if name not in series.bases]
    revisions = [{name, series.kernel} for name in series.previous]
    only = [
        *pairs_around(wanted, series.changed, stable),
        *(pair for pair in wanted if {*pair} in revisions),
    ]
    concerned = {name for pair in only for name in pair}
    used = tuple(name for name in kernels if name in concerned)
    return replace(plan, kernels=used, series=series, only=tuple(only))


def _in_line(names: Sequence[str], series: SeriesInRun) -> list[str]:
    """Kernel names, oldest first: those of the series behind its base."""
    own = (*series.previous, *series.changed)
    ordered = [name for name in names if name not in own]
    if series.base not in ordered:
        ordered.append(series.base)
    at = ordered.index(series.base) + 1
    return [*ordered[:at], *own, *ordered[at:]]


def make_fault_plan(
    matrix: MatrixConfig,
    kernels: Kernels,
    *,
    names: Sequence[str] = (),
    faults: Sequence[str] = (),
    accelerator: str | None = None,
) -> Plan:
    """The plan of breaking what each kernel hands over to itself.

    Raises:
        UsageError: a kernel or fault does not exist.
    """
    chosen = select_faults(faults)
    scenarios = list(dict.fromkeys(fault.scenario for fault in chosen))
    plan = make_plan(
        matrix, kernels, names=names, scenarios=scenarios, pairs="self", accelerator=accelerator
    )
    return replace(plan, faults=tuple(fault.name for fault in chosen))


def remaining(plan: Plan, folder: RunFolder) -> list[Cell]:
    """The cells without a result; one that ended in an error is run again."""
    stored = {cell: folder.load(cell.name) for cell in plan.cells}
    return [
        cell for cell, result in stored.items() if result is None or result.verdict is Verdict.ERROR
    ]


def check_host(plan: Plan, kernels: Kernels) -> None:
    """Say now what would only be missed when all kernels are built.

    Raises:
        UnfitError: a program that boots guests is not installed, or there is no memory for one.
    """
    room_of(_need(plan, plan.scenarios), 1, 1, available_memory())
    check_tools(kernels.select(name).arch for name in plan.kernels)


def room_here(plan: Plan, wanted: Iterable[Cell], jobs: int | None) -> tuple[Room, str | None]:
    """How many cells run at once here, and a line for the user if they are fewer than cores.

    Args:
        plan: what the cells are of.
        wanted: those to be run, one or more.
        jobs: what the user asks for; None for as many as there are cores, and memory for.

    Raises:
        UnfitError: there is not enough memory.
    """
    names = dict.fromkeys(cell.scenario for cell in wanted)
    return room_of(_need(plan, names), jobs, os.cpu_count() or 1, available_memory())


def _need(plan: Plan, names: Iterable[str]) -> Need:
    return need(select([*names]), plan.guest.memory)


def prepare(
    plan: Plan,
    kernels: Kernels,
    wanted: Iterable[Cell],
    cache: Path,
    progress: Progress,
    tell: Callable[[KhociError], None],
) -> Bench:
    """Get all that the cells need: kernels, agent, accelerator.

    A kernel that cannot be had is told, and makes its cells an ``error``.

    Raises:
        HarnessError: a tool is missing, no kernel at all can be had, or the agent cannot be built.
    """
    check_host(plan, kernels)
    names = dict.fromkeys(name for cell in wanted for name in (cell.producer, cell.consumer))
    agent = build_agent(cache)
    bases = plan.series.bases.values() if plan.series else ()
    built: dict[str, Artifact] = {}
    broken: dict[str, str] = {}
    for name in names:
        try:
            how = How(keep=name in bases)
            built[name] = obtain(kernels.select(name), progress, how=how)
        except HarnessError as error:
            tell(error)
            broken[name] = str(error)
    if broken and not built:
        raise HarnessError("none of the kernels can be had: there is nothing to run")
    patched = {name: (kernels.select(name), kernel) for name, kernel in built.items()}
    bench = Bench(
        kernels=built,
        broken=broken,
        scenarios={scenario.name: scenario for scenario in select(plan.scenarios)},
        guest=plan.guest,
        accelerator=TCG,
        agent=agent,
        matrix=plan.matrix,
        cache=cache,
        releases=with_patched(load_releases(default_folder()), patched, progress, tell),
    )
    return replace(bench, accelerator=_accelerator(plan, bench))


def _accelerator(plan: Plan, bench: Bench) -> Accelerator:
    if plan.accelerator is not None:
        return ACCELERATORS[plan.accelerator]
    machine = _any_machine(bench)
    if machine is None:
        return TCG
    return asyncio.run(working_accelerator(machine, greeted, bench.cache))


def check_fit(bench: Bench) -> None:
    """Boot something before any cell is taken.

    Raises:
        UnfitError: no guest comes up here.
    """
    if machine := _any_machine(bench):
        asyncio.run(check_accelerator(machine, greeted))


def _any_machine(bench: Bench) -> Machine | None:
    """A guest that comes up by itself; None if there is nothing to boot."""
    kernel = next(iter(bench.kernels.values()), None)
    scenario = next(iter(bench.scenarios.values()), None)
    if kernel is None or scenario is None:
        return None
    return booting(bench, kernel, [scenario], consumer_initramfs(bench.agent, bench.cache))


def silent_patterns(plan: Plan, results: Sequence[CellResult]) -> list[str]:
    """Log patterns that no cell of a full matrix showed, though one of its releases prints them.

    A matrix is full if it has all releases that khoci knows, all pairs and all scenarios; of
    another one nothing can be said.
    """
    releases = [abi.name for abi in load_releases(default_folder()).all]
    named = {name.partition(":")[0] for name in plan.scenarios}
    full = plan.pairs == "all" and {*releases} <= {*plan.kernels} and {*definitions()} <= named
    whole = full and not plan.faults and not plan.shard
    return never_matched(shipped(), results, releases) if whole else []


Stored = Callable[[Cell, CellResult], None]


def tell_nobody(_cell: Cell, _result: CellResult) -> None:
    """Nobody wants to know that a result is stored."""


def _tamper(name: str) -> Tamper:
    """Makes the fault of this name in a handover.

    Where there is nothing to break, the cell is ``absent``.
    """
    (fault,) = select_faults([name])

    def tamper(ram: GuestRam, handover: Handover) -> None:
        try:
            writes = fault.apply(ram, handover)
        except NotApplicableError as error:
            raise NotPossibleError(str(error)) from None
        for write in writes:
            ram.write(write.phys, write.new)

    return Tamper(tamper)


def run_matrix(
    bench: Bench,
    wanted: Sequence[Cell],
    folder: RunFolder,
    room: Room,
    watcher: Watcher,
    stored: Stored = tell_nobody,
) -> None:
    """Run the cells and store each result as it comes in; ``stored`` is called after that."""
    producers, jobs = Producers(room.kept), room.jobs
    bench = replace(bench, producers=producers)

    async def run(group: Sequence[Cell]) -> Sequence[CellResult]:
        watcher.started(tuple(group))
        cell = group[0]
        if cell.fault:
            tamper = _tamper(cell.fault)
            return [await run_cell(bench, cell, folder.evidence(cell.name), tamper)]
        return await run_cells_of_a_pair(bench, group, folder.evidence)

    def done(group: Sequence[Cell], results: Sequence[CellResult]) -> None:
        for cell, result in zip(group, results, strict=True):
            folder.store(cell.name, result)
            stored(cell, result)
        watcher.finished(tuple(group), results)

    task = f"running {len(wanted)} cells ({bench.accelerator.name}, -j {jobs})"
    watcher.begin(task, len(wanted), jobs)
    try:
        asyncio.run(run_cells(groups(wanted, bench.scenarios), run, jobs, done))
    finally:
        producers.close()
        watcher.end()
