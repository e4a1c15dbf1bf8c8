"""What a series changes, in words and worst first; at most 75 columns. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from khoci.report.causes import between, causes
from khoci.report.rundiff import WIDTH, render
from khoci.results import CellResult, SeriesInRun
from khoci.rundiff import Change, against
from khoci.verdicts import Verdict


def cells_with(results: Iterable[CellResult], series: SeriesInRun) -> list[CellResult]:
    """The cells that can be held against the base: with the kernel that has all of the series.

    Those with only a part of it are left out, and those with the revision before, which has no
    cell with the base.
    """
    others = _others(series)
    pairs = ((result, {result.producer, result.consumer}) for result in results)
    return [result for result, pair in pairs if series.kernel in pair and not pair & others]


def changes_of(
    results: Sequence[CellResult], series: SeriesInRun, order: Sequence[str]
) -> list[Change]:
    """What the whole series changes against its base, worst first."""
    others = _others(series)
    cells = [each for each in results if not others & {each.producer, each.consumer}]
    return against(cells, {series.kernel: series.base}, order)


def told(results: Sequence[CellResult], series: SeriesInRun, order: Sequence[str]) -> str:
    """The heading, what is otherwise than on the base, and the count of what stayed the same."""
    changes = changes_of(results, series, order)
    sections = (
        _wrapped(f"{series.kernel} on {series.base}: {series.title}"),
        ("what it changes against its base:", ""),
        (render(changes, causes(results, series, changes)).rstrip(),),
        (_as_before(results, series, changes), ""),
        _titled("worse with a part of it only:", between(results, series)),
        _titled("with the revision before it:", _with_previous(results, series)),
    )
    return "\n".join((*(line for section in sections for line in section), ""))


def _as_before(
    results: Iterable[CellResult], series: SeriesInRun, changes: Iterable[Change]
) -> str:
    """How many of the cells that could be run are as on the base."""
    cells = cells_with(results, series)
    judged = sum(cell.verdict is not Verdict.ERROR for cell in cells)
    other = sum(change.cell.verdict is not Verdict.ERROR for change in changes)
    failed = len(cells) - judged
    rest = f"; {failed} could not be run" if failed else ""
    return f"as on the base: {judged - other} of {len(cells)} cells{rest}"


def _with_previous(results: Iterable[CellResult], series: SeriesInRun) -> Iterator[str]:
    """How the series and the revision before it take each other, a line a direction."""
    found: dict[tuple[str, str], dict[Verdict, int]] = {}
    for result in results:
        pair = result.producer, result.consumer
        if series.kernel in pair and series.previous.keys() & {*pair}:
            counts = found.setdefault(pair, {})
            counts[result.verdict] = counts.get(result.verdict, 0) + 1
    for (producer, consumer), counts in found.items():
        words = (f"{counts[verdict]} {verdict}" for verdict in Verdict if verdict in counts)
        yield f"{producer} -> {consumer}: {', '.join(words)}"


def _others(series: SeriesInRun) -> set[str]:
    """The kernels of other steps and revisions."""
    return {*series.changed, *series.previous} - {series.kernel}


def _titled(title: str, lines: Iterable[str]) -> Sequence[str]:
    told = [part for line in lines for part in _wrapped(line)]
    return (title, "", *told, "") if told else ()


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
