"""The compatibility table for the terminal and for mail: plain text, at most 75 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from khoci.report.grid import QUIET, Grid, deciding, grids, notable, surprises
from khoci.report.model import Report
from khoci.report.rundiff import render as changes_text
from khoci.report.series import told
from khoci.report.summary import LETTERS, letters, summary
from khoci.report.templates import rendered
from khoci.results import CellResult
from khoci.sizes import size_text
from khoci.verdicts import MEANING, Verdict

WIDTH = 75
MOST_GRIDS = 4
"""More scenarios than this share one table, as do those whose grids are too wide."""
MARK = "!"
"""At the end of a cell's word, cut short for it: something in the cell was predicted otherwise."""

WORDS = {
    Verdict.ABSENT: "-",
    Verdict.RESTORED: "restored",
    Verdict.ACCEPTED: "accepted",
    Verdict.REFUSED: "refused",
    Verdict.DROPPED: "DROPPED",
    Verdict.CORRUPT: "CORRUPT",
    Verdict.PANIC: "PANIC",
    Verdict.RESET: "RESET",
    Verdict.HANG: "HANG",
    Verdict.ERROR: "ERROR",
}
BRIEF_WORDS = {
    **WORDS,
    Verdict.RESTORED: "restor",
    Verdict.ACCEPTED: "accept",
    Verdict.REFUSED: "refuse",
}


Known = Mapping[str, Sequence[CellResult]]
"""Why a break is known, with a link; and the cells in which nothing else is wrong."""
Note = tuple[str, list[str], str]
"""Heading, reasons and command."""


def render(report: Report, templates: Path | None = None) -> str:
    """What a run is, what changed, its table, and what the policy forbids."""
    parts = (
        "\n".join(_wrapped_at(heading(report))),
        _changes(report).rstrip("\n"),
        table(report.results, report.order, report.known, templates).rstrip("\n"),
        "\n".join(line for each in report.violations for line in _wrapped_at(f"policy: {each}")),
    )
    return "\n\n".join(filter(None, parts)) + "\n"


def heading(report: Report) -> str:
    """One sentence on the run; its errors and what it lacks first."""
    errors = sum(result.verdict is Verdict.ERROR for result in report.results)
    words = [
        f"{errors} of {len(report.results)} cells could not be run" if errors else "",
        f"{len(report.missing)} cells have no result yet" if report.missing else "",
        f"run {report.run} of {report.matrix}",
        f"khoci {report.khoci} ({report.accelerator})" if report.khoci else "",
    ]
    return ", ".join(filter(None, words))


def _changes(report: Report) -> str:
    """What a series changes, or what is otherwise than in another run; empty if neither."""
    if report.against:
        return f"against run {report.against}:\n\n{changes_text(report.changes, report.causes)}"
    if report.series:
        return told(report.results, report.series, report.order)
    return ""


def table(
    results: Sequence[CellResult],
    order: Sequence[str],
    known: Known | None = None,
    templates: Path | None = None,
) -> str:
    """The grids, a note on each break that needs words, and the meaning of the words used.

    Args:
        results: of one run.
        order: kernel names, oldest first.
        known: breaks that have one note together.
        templates: a folder of the project's own.
    """
    found = grids(results, order)
    words = _words(found)
    return rendered(
        "table.txt.j2",
        templates,
        grids=[(grid, _lines(grid, words)) for grid in found] if words else [],
        summary=[] if words else summary(found, WIDTH, MARK),
        notes=[*_notes(results, known or {}), *_known_notes(known or {})],
        legend=_legend(results, words or LETTERS),
        counts=counts(results),
        leaked=_wrapped(_leaked(results)),
        agreement=_agreement(results),
        retried=sum(bool(result.retries) for result in results),
    )


def _lines(grid: Grid, words: Mapping[Verdict, str]) -> list[str]:
    label, width = _label_width([grid]), _column_width(words)
    heads, key = _heads([name.removeprefix("v") for name in grid.consumers], width - 1)
    lines = [_line("producer", heads, label, width)]
    for row in grid.rows:
        cells = [_word(cell, words, width) if cell else "" for cell in row.cells]
        lines.append(_line(row.producer, cells, label, width))
    return [*lines, *_wrapped(", ".join(key))]


def _heads(names: Sequence[str], width: int) -> tuple[list[str], list[str]]:
    """The heads of columns so wide, and what those mean that stand for a name that does not fit."""
    long = [name for name in names if len(name) > width]
    short = {name: f"[{each}]" for name, each in zip(long, letters(len(long)), strict=True)}
    return [short.get(name, name) for name in names], [f"{short[name]} {name}" for name in long]


def _word(cell: CellResult, words: Mapping[Verdict, str], width: int) -> str:
    word = words[cell.verdict]
    return word[: width - 2] + MARK if surprises(cell) else word


def _words(found: Sequence[Grid]) -> Mapping[Verdict, str] | None:
    """The words with which all grids fit, so that one legend explains them; None if none do."""
    if len(found) > MOST_GRIDS:
        return None
    columns = max((len(grid.consumers) for grid in found), default=0)
    for words in (WORDS, BRIEF_WORDS):
        if _label_width(found) + columns * _column_width(words) <= WIDTH:
            return words
    return None


def _label_width(found: Sequence[Grid]) -> int:
    return max(len(name) for name in ("producer", *(row.producer for g in found for row in g.rows)))


def _column_width(words: Mapping[Verdict, str]) -> int:
    return max(map(len, words.values())) + 1


def _line(label: str, cells: Sequence[str], label_width: int, width: int) -> str:
    return f"{label:<{label_width}}{''.join(f' {cell:<{width - 1}}' for cell in cells)}".rstrip()


def _notes(results: Sequence[CellResult], known: Known) -> list[Note]:
    """A note for each verdict with its reasons, worst first; of known breaks none."""
    excused = [cell for cells in known.values() for cell in cells]
    together: dict[tuple[Verdict, tuple[str, ...]], list[CellResult]] = {}
    for result in notable(results):
        if result not in excused or surprises(result):
            together.setdefault((result.verdict, tuple(_reasons(result))), []).append(result)
    return [_note(verdict, why, cells) for (verdict, why), cells in together.items()]


def _note(verdict: Verdict, reasons: Sequence[str], cells: Sequence[CellResult]) -> Note:
    """One note on cells, cut to the width."""
    pairs: dict[str, list[str]] = {}
    for cell in cells:
        pairs.setdefault(f"{cell.producer} -> {cell.consumer}", []).append(cell.scenario)
    where = "; ".join(f"{pair} {', '.join(names)}" for pair, names in pairs.items())
    heading = "\n".join(_wrapped(f"{verdict.upper()}: {where}"))
    return heading, [line for reason in reasons for line in _wrapped(reason)], cells[0].reproduce


def _known_notes(known: Known) -> list[Note]:
    return [
        (f"KNOWN: {counts(cells)}", _wrapped(reason), cells[0].reproduce)
        for reason, cells in known.items()
    ]


def _reasons(result: CellResult) -> list[str]:
    """What proves the verdict, two lines at most; the splat of a cell that is right but for it.

    Then what was predicted otherwise, two lines at most too.
    """
    decision = deciding(result)
    otherwise = [surprise(result, name) for name in surprises(result)[:2]]
    if result.verdict in QUIET or decision is None:
        return [*result.splats[:1], *otherwise]
    component, judgement = decision
    return [*(f"{component}: {item.text}" for item in judgement.evidence[:2]), *otherwise]


def surprise(result: CellResult, name: str) -> str:
    """A component that was predicted otherwise, in words."""
    expected = (result.prediction or {}).get(name, "nothing")
    return f"{name} is {result.components[name].verdict}, predicted was {expected}"


def _wrapped_at(text: str, width: int = WIDTH) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _wrapped(text: str) -> list[str]:
    return _wrapped_at(text, WIDTH - 2)


def _legend(results: Sequence[CellResult], words: Mapping[Verdict, str]) -> list[tuple[str, str]]:
    used = {result.verdict for result in results}
    legend = [(words[verdict], MEANING[verdict]) for verdict in Verdict if verdict in used]
    marked = any(map(surprises, results))
    return [*legend, (MARK, "predicted otherwise, in one component or more")] if marked else legend


def counts(results: Sequence[CellResult]) -> str:
    """``3 restored, 1 refused``, best first."""
    each = [(verdict, sum(result.verdict is verdict for result in results)) for verdict in Verdict]
    text = ", ".join(f"{count} {verdict}" for verdict, count in each if count)
    return textwrap.fill(text, WIDTH)


def _leaked(results: Sequence[CellResult]) -> str:
    """Whose memory nobody owns any more in cells where all else is well; empty if none."""
    found: dict[str, list[int]] = {}
    for result in results:
        for owner, fate in result.memory.items():
            if fate["leaked"] and result.verdict is Verdict.RESTORED:
                found.setdefault(owner, []).append(fate["leaked"])
    each = [
        f"{size_text(max(sizes))} of {owner} ({len(sizes)} cell{'s' if len(sizes) > 1 else ''})"
        for owner, sizes in found.items()
    ]
    return f"leaked where all else is well, at most: {', '.join(each)}" if each else ""


def _agreement(results: Sequence[CellResult]) -> str:
    """In how many of the cells that were predicted everything came true; empty if none was."""
    predicted = [result for result in results if result.agreement]
    agreeing = sum(not surprises(result) for result in predicted)
    return f"prediction agrees in {agreeing} of {len(predicted)} cells" if predicted else ""
