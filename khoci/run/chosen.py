"""Which cells of a run somebody means by a pair."""

from __future__ import annotations

from collections.abc import Sequence

from khoci.compat.plan import Cell
from khoci.config.toml import did_you_mean
from khoci.errors import UsageError
from khoci.run.matrix import Plan

SEPARATOR = ".."
"""Between the kernels of a pair, as in the names of the files of a run."""


def cells_of_pair(plan: Plan, pair: str) -> list[Cell]:
    """The cells of a run that belong to ``PRODUCER..CONSUMER[..SCENARIO[..FAULT]]``.

    A kernel may be named without its ``v``, and by its series if the run has one of it; a scenario
    without its parameters.

    Raises:
        UsageError: the pair has no such form, or no cell of the run is of it.
    """
    producer, consumer, *rest = _words(pair)
    kernels = (_kernel(plan, producer), _kernel(plan, consumer))
    found = [cell for cell in plan.cells if cell.pair == kernels and _is_meant(cell, rest)]
    if not found:
        named = sorted({cell.scenario for cell in plan.cells if cell.pair == kernels})
        there = f"there are {', '.join(named)}" if named else "it has no such pair"
        raise UsageError(f"the run has no cell {pair}: {there}")
    return found


def _words(pair: str) -> list[str]:
    words = pair.split(SEPARATOR)
    if not 2 <= len(words) <= 4 or not all(words):
        raise UsageError(f"'{pair}' is no pair, write it like 6.17..7.3 or 6.17..7.3..memfd")
    return words


def _kernel(plan: Plan, name: str) -> str:
    full = f"v{name.removeprefix('v')}"
    matches = [each for each in plan.kernels if each in (name, full)] or [
        each for each in plan.kernels if each.startswith(f"{full}.")
    ]
    if len(matches) != 1:
        hint = did_you_mean(name, plan.kernels)
        known = ", ".join(matches or plan.kernels)
        what = f"could be {known}" if matches else f"no kernel of the run{hint}: it has {known}"
        raise UsageError(f"'{name}' {'' if matches else 'is '}{what}")
    return matches[0]


def _is_meant(cell: Cell, rest: Sequence[str]) -> bool:
    """Whether it has the scenario, and the fault, that are named; if they are."""
    scenario, fault = (*rest, "", "")[:2]
    scenarios = ("", cell.scenario, cell.scenario.partition(":")[0])
    return scenario in scenarios and fault in ("", cell.fault)
