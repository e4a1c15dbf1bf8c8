"""Which patch of a series brought a change, and what is broken only in between. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from khoci.results import CellResult, SeriesInRun
from khoci.rundiff import Change
from khoci.verdicts import Verdict

Cause = tuple[str, str, str]
"""Producer, consumer and scenario of a cell that something is the cause of."""

Value = tuple[object, ...]
Row = Sequence[CellResult | None]
"""A cell with the base, then with one patch more each; None where it was not run."""


def causes(
    results: Sequence[CellResult], series: SeriesInRun, changes: Iterable[Change]
) -> dict[Cause, tuple[str, ...]]:
    """The patches that made each changed cell what it is, a line each; none if none is known.

    It is the first patch since which what changed is as it is with all of them: of each component
    by itself, as two patches may have changed two.
    """
    if len(series.changed) < 2:
        return {}
    rows = _rows(results, series)
    found = {}
    for change in changes:
        cell = _cell(change.cell)
        if cell in rows:
            found[cell] = tuple(_lines(rows[cell], series, change))
    return found


def between(results: Sequence[CellResult], series: SeriesInRun) -> list[str]:
    """The cells that are worse with a part of the series than without it and with all of it."""
    found = []
    names = [series.base, *series.changed]
    for cell, row in _rows(results, series).items():
        ends = [each for each in (row[0], row[-1]) if _is_judged(each)]
        bound = max((end.verdict.rank for end in ends if end), default=None)
        for name, step in zip(names[1:-1], row[1:-1], strict=True):
            if bound is not None and step and _is_judged(step) and step.verdict.rank > bound:
                pair = [name if kernel == series.kernel else kernel for kernel in cell[:2]]
                what = f"{pair[0]} -> {pair[1]} {cell[2]}: {step.verdict}"
                found.append(f"{what}, up to {series.patches[name]}")
    return found


def _rows(results: Sequence[CellResult], series: SeriesInRun) -> dict[Cause, Row]:
    """Each cell with the whole series, and before it those with the base and with less of it."""
    by_cell = {_cell(result): result for result in results}
    names = [series.base, *series.changed]
    rows: dict[Cause, Row] = {}
    for cell in by_cell:
        if series.kernel in cell[:2]:
            pairs = ([name if k == series.kernel else k for k in cell[:2]] for name in names)
            rows[cell] = [by_cell.get((one, other, cell[2])) for one, other in pairs]
    return rows


def _lines(row: Row, series: SeriesInRun, change: Change) -> Iterator[str]:
    """What brought each component's verdict; of a cell as a whole where no component changed."""
    since: dict[str, list[str]] = {}
    for name in change.components or ("",):
        words = _since(row, list(series.patches.values()), _component(name))
        if words:
            since.setdefault(words, []).append(name)
    for words, names in since.items():
        yield words if len(since) == 1 else f"{', '.join(names)}: {words}"


def _since(row: Row, patches: Sequence[str], value: Callable[[CellResult], Value]) -> str:
    """The patches after the last step that is otherwise, up to the first that is as the end is."""
    last = row[-1]
    if last is None:
        return ""
    first = len(row) - 1
    for at in range(len(row) - 2, -1, -1):
        step = row[at]
        if step is None or step.verdict is Verdict.ERROR:
            continue
        if value(step) != value(last):
            found = patches[at:first]
            return f"since {found[0]}" if len(found) == 1 else f"since one of {'; '.join(found)}"
        first = at
    return ""


def _component(name: str) -> Callable[[CellResult], Value]:
    def value(result: CellResult) -> Value:
        if not name:
            return result.verdict, len(result.splats)
        judgement = result.components.get(name)
        return (judgement.verdict if judgement else Verdict.ABSENT,)

    return value


def _is_judged(result: CellResult | None) -> bool:
    return result is not None and result.verdict is not Verdict.ERROR


def _cell(result: CellResult) -> Cause:
    return result.producer, result.consumer, result.scenario
