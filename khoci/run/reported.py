"""From a stored run to the report of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, replace

from khoci.compat.plan import Cell
from khoci.compat.policy import complaints, reasons
from khoci.config.abi import default_folder, load_releases
from khoci.config.policy import Policy
from khoci.errors import UsageError
from khoci.report.causes import causes
from khoci.report.model import CellKey, KernelInRun, Report, Violation, key_of
from khoci.report.series import changes_of
from khoci.results import CellResult
from khoci.run.evidence import evidence_in
from khoci.run.folder import MADE_BY, MATRIX, RunFolder, kind_of, load_all
from khoci.run.matrix import Plan
from khoci.run.readers import with_kept
from khoci.rundiff import compare

_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)-[0-9a-f]+", re.ASCII)


def plan_of(folder: RunFolder) -> Plan:
    """What a run was asked for.

    Raises:
        UsageError: the folder is no run of a matrix, or one of another version of khoci.
    """
    request = folder.request()
    if (kind := kind_of(request)) != MATRIX:
        raise UsageError(f"{folder.path}: was made by {MADE_BY[kind]}, it is no run of a matrix")
    return Plan.from_json(request)


def results_of(folder: RunFolder, plan: Plan, *, brief: bool = False) -> list[CellResult]:
    """The results that a run has so far, in the order of its plan; ``brief`` as of `load_all`.

    Raises:
        UsageError: a file has the result of another cell.
    """
    cells = {cell.name: cell for cell in plan.cells}
    loaded = load_all(folder, cells, brief=brief)
    for name, result in loaded.items():
        if _cell(result) != cells[name]:
            raise UsageError(f"{folder.result_file(name)}: is the result of another cell")
    return list(loaded.values())


def report_of(
    folder: RunFolder,
    plan: Plan,
    policy: Policy,
    against: RunFolder | None = None,
    *,
    brief: bool = False,
) -> Report:
    """The report of a run as far as it went.

    Args:
        folder: of the run.
        plan: what it was asked for.
        policy: what its results are held against.
        against: a run to say what is otherwise now; instead of what a series changes.
        brief: whether only what a table needs is kept in memory, where there are very many cells.

    Raises:
        UsageError: a run cannot be read.
    """
    results = results_of(folder, plan, brief=brief)
    report = _plain_report(folder, plan, results, policy)
    if against is not None:
        other = plan_of(against)
        order = tuple(dict.fromkeys((*plan.kernels, *other.kernels)))
        changes = compare(results_of(against, other), results, order)
        return replace(report, changes=tuple(changes), against=against.id)
    if plan.series:
        changes = changes_of(results, plan.series, plan.kernels)
        found = causes(results, plan.series, changes)
        return replace(report, changes=tuple(changes), causes=found)
    return report


def _plain_report(
    folder: RunFolder, plan: Plan, results: Sequence[CellResult], policy: Policy
) -> Report:
    made_of = plan.series.bases if plan.series else {}
    excused = reasons(results, policy, plan.kernels, made_of)
    details = next((result.details for result in results if result.details), {})
    return Report(
        run=folder.id,
        matrix=plan.matrix,
        began=_began(folder.id),
        khoci=str(details.get("khoci", "")),
        accelerator=str(details.get("accelerator", "")),
        guest=asdict(plan.guest),
        kernels=_kernels(plan, results),
        scenarios=plan.scenarios,
        results=tuple(results),
        missing=_missing(plan, results),
        known={reason: tuple(cells) for reason, cells in excused.items()},
        violations=tuple(
            Violation(key_of(result), text)
            for result, text in complaints(results, policy, plan.kernels, made_of)
        ),
        series=plan.series,
        evidence=evidence_in(folder, with_kept(load_releases(default_folder()), folder)),
    )


def _kernels(plan: Plan, results: Sequence[CellResult]) -> tuple[KernelInRun, ...]:
    """The kernels of the plan, with what their results tell of them."""
    told: dict[str, dict[str, str]] = {}
    for result in results:
        sides = result.details.get("kernels", {})
        for side, name in (("producer", result.producer), ("consumer", result.consumer)):
            told.setdefault(name, sides.get(side, {}))
    bases = plan.series.bases if plan.series else {}
    patches = plan.series.patches if plan.series else {}
    return tuple(
        KernelInRun(
            name=name,
            release=told.get(name, {}).get("release", ""),
            key=told.get(name, {}).get("key", ""),
            base=bases.get(name, ""),
            patch=patches.get(name, ""),
        )
        for name in plan.kernels
    )


def _missing(plan: Plan, results: Sequence[CellResult]) -> tuple[CellKey, ...]:
    there = {_cell(result) for result in results}
    return tuple(
        (cell.producer, cell.consumer, cell.scenario, cell.fault)
        for cell in plan.cells
        if cell not in there
    )


def _cell(result: CellResult) -> Cell:
    return Cell(result.producer, result.consumer, result.scenario, result.fault)


def _began(run: str) -> str:
    """The time in the id of a run, as ISO 8601 in UTC; empty if there is none."""
    match = _STAMP.fullmatch(run)
    return "{}-{}-{}T{}:{}:{}Z".format(*match.groups()) if match else ""
