"""Two kernels of the releases, and what khoci does with them: a joint boot, and parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.toinit import INIT, ToInit
from khoci.cli.options import load, tell
from khoci.compat.bench import Bench, booting, machine
from khoci.compat.cell import run_cells_of_a_pair
from khoci.compat.plan import Cell
from khoci.compat.ready import Producers
from khoci.config.kernels import KernelSpec
from khoci.errors import HarnessError
from khoci.guest.initramfs import consumer_initramfs
from khoci.guest.session import Agent
from khoci.kernel.cache import Artifact
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.results import CellResult
from khoci.run.matrix import make_plan, prepare
from khoci.scenario.base import Scenario
from khoci.verdicts import Verdict
from khoci.vm.guest import start_guest
from khoci.vm.machine import Machine
from khoci.vm.symbols import address_of


@dataclass(frozen=True)
class Pair:
    """A producer and a consumer, and the cells of all scenarios that share a boot.

    Attributes:
        bench: with both kernels.
        specs: both kernels as the matrix file defines them.
        cells: the scenarios of `releases` that share a boot.
        folder: for logs and captures.
    """

    bench: Bench
    specs: tuple[KernelSpec, KernelSpec]
    cells: tuple[Cell, ...]
    folder: Path

    @classmethod
    def get(cls, names: Sequence[str], folder: Path, accelerator: str | None = None) -> Pair:
        """The pair of these two, built where they are not.

        Raises:
            HarnessError: a kernel cannot be had.
            UsageError: there is none of that name.
        """
        config, known, _ = load("releases")
        specs = (known.select(names[0]), known.select(names[-1]))
        wanted = tuple(spec.name for spec in specs)
        plan = make_plan(config, known, names=[*dict.fromkeys(wanted)], accelerator=accelerator)
        bench = prepare(plan, known, plan.cells, cache_dir(), progress_for(), tell)
        joint = tuple(name for name, scenario in bench.scenarios.items() if scenario.joint)
        cells = (cell for cell in replace(plan, scenarios=joint).cells if cell.pair == wanted)
        return cls(bench, specs, tuple(cells), folder)

    def __str__(self) -> str:
        scenarios = ", ".join(cell.scenario for cell in self.cells)
        return f"{' -> '.join(self.cells[0].pair)} with {scenarios}; {self.bench.accelerator.name}"

    @property
    def kernels(self) -> tuple[Artifact, Artifact]:
        """The producer and the consumer."""
        producer, consumer = (self.bench.kernels[name] for name in self.cells[0].pair)
        return producer, consumer

    @property
    def consumer(self) -> Machine:
        """The guest that boots the consumer as if it were alone."""
        return machine(self.bench, self.cells[0].consumer, self._scenarios)

    def booted(self, kernel: Artifact) -> Machine:
        """The same guest with another kernel."""
        initrd = consumer_initramfs(self.bench.agent, self.bench.cache)
        return booting(self.bench, kernel, self._scenarios, initrd)

    def to_init(self, guest: Machine) -> ToInit:
        """A guest with the consumer's kernel.

        Raises:
            HarnessError: the kernel came without its System.map.
        """
        kernel = self.kernels[1]
        if kernel.system_map is None:
            raise HarnessError(f"{kernel.name}: has no System.map")
        address = address_of(INIT, kernel.system_map)
        return ToInit(guest, address, self.folder / "qemu.log")

    async def cell(self, producers: Producers | None) -> None:
        """One joint boot, from the producer to the verdicts.

        Raises:
            SystemExit: it could not be judged.
        """
        shared = replace(self.bench, producers=producers)
        _good(await run_cells_of_a_pair(shared, self.cells, self._evidence), joint=True)

    async def kernel_test(self, producers: Producers | None) -> None:
        """The cell of the kernel's own test, which shares a boot with no other scenario.

        Raises:
            SystemExit: it could not be judged.
        """
        await self._alone(producers, replace(self.cells[0], scenario="kho-test"))

    async def each_alone(self) -> None:
        """A cold boot of both kernels for each scenario, one after the other.

        Raises:
            SystemExit: one could not be judged.
        """
        for cell in self.cells:
            await self._alone(None, cell)

    async def to_user_space(self, guest: Machine) -> None:
        """From power on until the agent in the guest says hello."""
        async with start_guest(guest, self.folder / "qemu.log") as running:
            await running.run()
            await Agent(running).hello()

    async def _alone(self, producers: Producers | None, cell: Cell) -> None:
        shared = replace(self.bench, producers=producers)
        _good(await run_cells_of_a_pair(shared, [cell], self._evidence), joint=False)

    @property
    def _scenarios(self) -> list[Scenario]:
        return [self.bench.scenarios[self.cells[0].scenario]]

    def _evidence(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(exist_ok=True)
        return path


def _good(results: list[CellResult], *, joint: bool) -> None:
    for result in results:
        if result.verdict is Verdict.ERROR or bool(result.joint) != joint:
            raise SystemExit(f"{result.scenario}: {result.verdict}, {result.reason}")
