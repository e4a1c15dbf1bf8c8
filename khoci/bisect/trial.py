"""Testing one candidate: build it, run the cell, keep the result. What is kept is not run again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

from khoci.bisect.question import MATRIX, write_definitions
from khoci.compat.cell import run_cell
from khoci.compat.plan import Cell
from khoci.config.kernels import Kernels
from khoci.errors import BuildError, HarnessError
from khoci.kernel.store import obtain
from khoci.paths import cache_dir
from khoci.results import CellResult, Evidence, Judgement
from khoci.run.matrix import make_plan, prepare
from khoci.verdicts import Verdict

if TYPE_CHECKING:
    from khoci.bisect.question import Question
    from khoci.compat.bench import Bench
    from khoci.config.kernels import KernelSpec
    from khoci.config.matrix import MatrixConfig
    from khoci.errors import KhociError
    from khoci.progress import Progress
    from khoci.run.folder import RunFolder

_DEAD = (Verdict.PANIC, Verdict.RESET, Verdict.HANG)
_COLD = "empty"
"""The scenario of a kernel of which only is asked whether it boots."""


@dataclass
class Trial:
    """Runs the same cell with one candidate after the other.

    Attributes:
        question: the cell.
        known: the kernels that are not candidates.
        config: whose guest is used.
        folder: where results, evidence and definitions go.
        progress: is told of builds.
        accelerator: as of `khoci.run.matrix.Plan`.
        trusted: whether candidates with patches of strangers are built without a sandbox.
    """

    question: Question
    known: Kernels
    config: MatrixConfig
    folder: RunFolder
    progress: Progress
    accelerator: str | None = None
    trusted: bool = False

    def __post_init__(self) -> None:
        """No candidate is defined yet."""
        self._defined: dict[str, KernelSpec] = {}

    def run(self, spec: KernelSpec) -> CellResult:
        """The result of a candidate, from the folder if it is there.

        It is an ``error`` if the candidate does not build, or does not boot.

        Raises:
            HarnessError: anything else failed; nothing is kept then.
        """
        self.define(spec)
        cell = self.question.cell(spec.name)
        stored = self.folder.load(cell.name)
        if stored is not None:
            return stored
        result = self._fresh(spec, cell)
        if result.verdict is Verdict.ERROR and not result.reason.startswith(f"{spec.name}: "):
            raise HarnessError(f"{cell}: {result.reason}")
        self.folder.store(cell.name, result)
        return result

    def define(self, spec: KernelSpec) -> None:
        """Define a kernel in the folder, beside those before it."""
        self._defined[spec.name] = spec
        specs = list(self._defined.values())
        write_definitions(self.folder.path, specs, self.question, self.config.guest)

    def _fresh(self, spec: KernelSpec, cell: Cell) -> CellResult:
        try:
            obtain(self._as_trusted(spec), self.progress)
        except BuildError as error:
            return _failed(cell, str(error))
        result = self._boot(spec, cell)
        if cell.producer == spec.name or result.verdict not in _DEAD:
            return result
        alone = self._boot(spec, Cell(spec.name, spec.name, _COLD))
        if alone.verdict is Verdict.ERROR and alone.reason.startswith(f"{spec.name}: "):
            return replace(_failed(cell, alone.reason), reproduce=alone.reproduce)
        return result

    def _as_trusted(self, spec: KernelSpec) -> KernelSpec:
        return replace(spec, untrusted=spec.untrusted and not self.trusted)

    def _boot(self, spec: KernelSpec, cell: Cell) -> CellResult:
        bench = self._bench(spec, cell)
        return asyncio.run(run_cell(bench, cell, self.folder.evidence(cell.name)))

    def _bench(self, spec: KernelSpec, cell: Cell) -> Bench:
        known = Kernels(self.known.file, {**self.known.by_name, spec.name: self._as_trusted(spec)})
        plan = make_plan(
            self.config,
            known,
            names=cell.pair,
            scenarios=[cell.scenario],
            accelerator=self.accelerator,
        )
        plan = replace(plan, matrix=str(self.folder.path / MATRIX))
        return prepare(plan, known, [cell], cache_dir(), self.progress, _raise)


def _failed(cell: Cell, why: str) -> CellResult:
    judgement = Judgement(Verdict.ERROR, (Evidence("harness", why),))
    return CellResult(
        cell.producer, cell.consumer, cell.scenario, Verdict.ERROR, {"root": judgement}
    )


def _raise(error: KhociError) -> NoReturn:
    raise error
