"""From planned cells of one pair and two built kernels to their results."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from khoci.compat.atjump import Tamper
from khoci.compat.bench import Bench, missing_need, route
from khoci.compat.judged import judged
from khoci.compat.observe import Observed, observe
from khoci.compat.plan import Cell
from khoci.config.matrix import DEFAULT_MATRIX
from khoci.errors import HarnessError
from khoci.results import CellResult, Evidence, Judgement
from khoci.scenario.base import NotPossibleError, Scenario
from khoci.verdicts import Verdict

ATTEMPTS = 2
"""A boot in which the harness fails is made once more."""

Folders = Callable[[str], Path]
"""The folder for the evidence of a boot, by its name; it exists."""


async def run_cells_of_a_pair(
    bench: Bench, cells: Sequence[Cell], folders: Folders
) -> list[CellResult]:
    """Run cells of one pair in a joint boot; where the consumer dies in it, each alone.

    So are they if the harness fails, or a warning in a log could be of any of them.
    """
    results = {cell: _without_boot(bench, cell) for cell in cells}
    left = [cell for cell, result in results.items() if result is None]
    if len(left) > 1:
        results |= await _jointly(bench, left, folders)
    for cell, result in results.items():
        if result is None:
            results[cell] = await run_cell(bench, cell, folders(cell.name))
    return [result for result in results.values() if result is not None]


async def run_cell(
    bench: Bench, cell: Cell, folder: Path, tamper: Tamper | None = None
) -> CellResult:
    """Run and judge one cell; a failure of the harness is a result too, after one more attempt.

    Args:
        bench: what all cells share.
        cell: which one.
        folder: for logs and the capture; it exists.
        tamper: breaks the handover on purpose.
    """
    result = _without_boot(bench, cell)
    if result is not None:
        return result
    retries: list[str] = []
    while True:
        result = await _boot(
            replace(bench, producers=None) if retries else bench, cell, folder, tamper
        )
        if result.verdict is not Verdict.ERROR or len(retries) + 1 == ATTEMPTS:
            return replace(result, retries=tuple(retries))
        retries.append(result.reason)


def reproduce(cell: Cell, matrix: str) -> str:
    """The command that runs the cell again."""
    if cell.fault:
        return shlex.join(["khoci", "fault", "run", cell.fault, "--kernels", cell.producer])
    command = ["khoci", "cell", "run", cell.producer, cell.consumer, cell.scenario]
    return shlex.join(command if matrix == DEFAULT_MATRIX else [*command, "--matrix", matrix])


def groups(cells: Sequence[Cell], scenarios: Mapping[str, Scenario]) -> list[tuple[Cell, ...]]:
    """Cells that can share a boot, together; the others alone. The order is kept."""
    found: dict[object, list[Cell]] = {}
    for cell in cells:
        scenario = scenarios[cell.scenario]
        joint = scenario.joint and not cell.fault
        key = (cell.pair, scenario.shape) if joint else cell
        found.setdefault(key, []).append(cell)
    return [tuple(group) for group in found.values()]


async def _jointly(
    bench: Bench, cells: Collection[Cell], folders: Folders
) -> dict[Cell, CellResult | None]:
    """The results of one boot for all cells, None for each if it cannot tell."""
    first = next(iter(cells))
    names = tuple(cell.scenario for cell in cells)
    folder = folders(f"{first.producer}..{first.consumer}..{'+'.join(names)}")
    began = time.monotonic()
    try:
        observed = await _observe(bench, first, names, folder)
    except (HarnessError, NotPossibleError):
        return dict.fromkeys(cells)
    facts = observed.hops[0]
    found = {
        cell: await asyncio.to_thread(_judged, bench, cell, observed, folder) for cell in cells
    }
    if facts.end or any(result.splats for result in found.values()):
        return dict.fromkeys(cells)
    seconds = round((time.monotonic() - began) / len(found), 2)
    return {cell: replace(result, joint=names, seconds=seconds) for cell, result in found.items()}


async def _boot(bench: Bench, cell: Cell, folder: Path, tamper: Tamper | None) -> CellResult:
    began = time.monotonic()
    try:
        observed = await _observe(bench, cell, (cell.scenario,), folder, tamper)
        result = await asyncio.to_thread(_judged, bench, cell, observed, folder)
    except NotPossibleError as error:
        result = _settled(bench, cell, Verdict.ABSENT, "guest", f"{cell.producer}: {error}")
    except HarnessError as error:
        result = _settled(bench, cell, Verdict.ERROR, "harness", str(error))
    return replace(
        result, files=_files(folder), seconds=round(time.monotonic() - began, 2), fault=cell.fault
    )


async def _observe(
    bench: Bench, cell: Cell, names: Sequence[str], folder: Path, tamper: Tamper | None = None
) -> Observed:
    scenarios = [bench.scenarios[name] for name in names]
    way = await asyncio.to_thread(route, bench, cell.pair, scenarios, folder, tamper)
    return await observe(way, bench.producers)


def _judged(bench: Bench, cell: Cell, observed: Observed, folder: Path) -> CellResult:
    impossible = observed.impossible.get(cell.scenario)
    if impossible is not None:
        text = f"{cell.producer}: {impossible}"
        return _settled(bench, cell, Verdict.ABSENT, "guest", text)
    result = judged(bench, cell, observed.hops[0], folder)
    return replace(result, files=_files(folder), reproduce=reproduce(cell, bench.matrix))


def _files(folder: Path) -> dict[str, str]:
    return {path.name: f"evidence/{folder.name}/{path.name}" for path in sorted(folder.iterdir())}


def _without_boot(bench: Bench, cell: Cell) -> CellResult | None:
    """The result of a cell that need not, or cannot, be booted; None of another one."""
    for kernel in cell.pair:
        if kernel in bench.broken:
            return _settled(bench, cell, Verdict.ERROR, "harness", bench.broken[kernel])
    lost = missing_need(bench.kernels[cell.producer], bench.scenarios[cell.scenario])
    if lost is None:
        return None
    text = f"{cell.producer} has no CONFIG_{lost}: it cannot do this scenario"
    return _settled(bench, cell, Verdict.ABSENT, "plan", text)


def _settled(bench: Bench, cell: Cell, verdict: Verdict, kind: str, text: str) -> CellResult:
    failed = verdict is Verdict.ERROR
    component = "root" if failed else bench.scenarios[cell.scenario].component
    return CellResult(
        producer=cell.producer,
        consumer=cell.consumer,
        scenario=cell.scenario,
        verdict=verdict,
        components={component: Judgement(verdict, (Evidence(kind, text),))},
        reproduce=reproduce(cell, bench.matrix),
        fault=cell.fault,
    )
