"""Results as one grid a scenario: rows are producers, columns consumers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from khoci.results import CellResult, Judgement
from khoci.verdicts import Verdict

QUIET = (Verdict.ABSENT, Verdict.RESTORED, Verdict.REFUSED)
"""Verdicts that need no words, unless there was a splat."""


@dataclass(frozen=True)
class Row:
    """One producer, and its result with each consumer; None where no such cell was run."""

    producer: str
    cells: tuple[CellResult | None, ...]


@dataclass(frozen=True)
class Grid:
    """All pairs of one scenario."""

    scenario: str
    consumers: tuple[str, ...]
    rows: tuple[Row, ...]


def grids(results: Iterable[CellResult], order: Sequence[str]) -> list[Grid]:
    """One grid for each scenario, in the order they appear; kernels as in ``order``."""
    by_scenario: dict[str, list[CellResult]] = {}
    for result in results:
        by_scenario.setdefault(result.scenario, []).append(result)
    return [_grid(scenario, found, order) for scenario, found in by_scenario.items()]


def _grid(scenario: str, results: Sequence[CellResult], order: Sequence[str]) -> Grid:
    cells = {(result.producer, result.consumer): result for result in results}
    producers = [name for name in order if any(key[0] == name for key in cells)]
    consumers = [name for name in order if any(key[1] == name for key in cells)]
    rows = tuple(
        Row(producer, tuple(cells.get((producer, consumer)) for consumer in consumers))
        for producer in producers
    )
    return Grid(scenario, tuple(consumers), rows)


def deciding(result: CellResult) -> tuple[str, Judgement] | None:
    """The first component whose verdict is the cell's, with its judgement."""
    for name, judgement in result.components.items():
        if judgement.verdict is result.verdict:
            return name, judgement
    return None


def surprises(result: CellResult) -> list[str]:
    """The components that were predicted otherwise."""
    return [name for name, agrees in result.agreement.items() if not agrees]


def notable(results: Iterable[CellResult]) -> list[CellResult]:
    """The cells that need words, worst first.

    All but restored, refused and absent ones, and of those too the ones with a splat or with
    another prediction.
    """
    found = [
        result
        for result in results
        if result.verdict not in QUIET or result.splats or surprises(result)
    ]
    return sorted(found, key=lambda result: -result.verdict.rank)
