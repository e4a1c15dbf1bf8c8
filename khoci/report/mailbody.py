"""What the answer to a patch says: plain text, at most 75 columns, short. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from khoci.report.grid import deciding
from khoci.report.mailtable import table_lines
from khoci.report.model import CellEvidence, Report
from khoci.report.series import cells_with
from khoci.report.templates import rendered
from khoci.report.text import WIDTH, table
from khoci.results import CellResult, SeriesInRun
from khoci.rundiff import Change, Kind
from khoci.verdicts import Verdict

NEW = ">>"
"""Before what the series breaks, as the kernel test robot does."""
MOST_CHANGES = 12
MOST_PARAGRAPHS = 6
_MOST_LOG, _LEAST_BEFORE = 6, 2
_CUT = "..."


@dataclass(frozen=True)
class Break:
    """A cell that is not right, and the others that are wrong in the same way."""

    result: CellResult
    expected: str
    others: tuple[CellResult, ...] = ()


def body(report: Report, trailers: Sequence[str] = (), templates: Path | None = None) -> str:
    """The text of the mail.

    Args:
        report: of the run.
        trailers: lines such as ``Tested-by: ...`` that the user wants below it.
        templates: a folder of the project's own.
    """
    found = rendered(
        "mail.txt.j2",
        templates,
        warning=_wrapped(_warning(report)),
        opening=_wrapped(_opening(report)),
        changes=list(_changes(report)),
        table=table_lines(report) if report.series else _whole_table(report, templates),
        paragraphs=[_paragraph(report, each) for each in _breaks(report)][:MOST_PARAGRAPHS],
        again=_again(report),
        trailers=[_line(each) for each in trailers],
    )
    return "".join(f"{line.rstrip()}\n" for line in found.splitlines())


def _warning(report: Report) -> str:
    """What a reader has to know before all else: that the report is not whole."""
    errors = sum(each.verdict is Verdict.ERROR for each in report.results)
    parts = (
        f"{errors} of {_cells(len(report.results))} could not be run" if errors else "",
        f"{_cells(len(report.missing))} without a result yet" if report.missing else "",
    )
    said = " and ".join(filter(None, parts))
    return f"NOT COMPLETE: {said}: nothing is said of those." if said else ""


def _opening(report: Report) -> str:
    """What was run, and what came of it, in a sentence or two."""
    series = report.series
    if series is None:
        kernels = ", ".join(report.order)
        each = "each a kernel that hands over to another, or to itself, by kexec"
        return f"{_cells(len(report.results))}, {each}, of {kernels}."
    cells = len(cells_with(report.results, series))
    regressed = [each for each in report.changes if each.kind is Kind.REGRESSED]
    worse = len(regressed)
    failed = any(each.verdict is Verdict.ERROR for each in report.results)
    which = "those that could be run" if failed else "them"
    clean = worse and all(each.cell.verdict is Verdict.REFUSED for each in regressed)
    how = ": refused cleanly, the machine runs on" if clean else ""
    said = f"{worse or 'None'} of {which} {'is' if worse < 2 else 'are'} worse with it{how}."
    return (
        f"I ran this series on {series.base} with khoci, as producer and as consumer of a handover "
        f"by kexec, and held each of {_cells(cells)} against the same one without it. {said}"
    )


def _changes(report: Report) -> Iterator[list[str]]:
    """A few lines for each way in which cells of a pair changed, the new breaks marked."""
    together: dict[tuple[str, ...], list[str]] = {}
    for change in report.changes:
        cell = change.cell
        causes = report.causes.get((cell.producer, cell.consumer, cell.scenario), ())
        mark = NEW if change.kind is Kind.REGRESSED else "  "
        words = f"{cell.producer} -> {cell.consumer}: {_words(change)}"
        together.setdefault((mark, words, *causes), []).append(cell.scenario)
    for (mark, words, *why), scenarios in islice(together.items(), MOST_CHANGES):
        names = f"({', '.join(scenarios)})"
        yield [
            *_indented(f"{words} {names}", f"{mark} ", "     "),
            *(line for cause in why for line in _indented(cause, "     ", "       ")),
        ]
    rest = len(together) - MOST_CHANGES
    if rest > 0:
        yield [f"   and {rest} more"]


def _words(change: Change) -> str:
    was, now = (each.verdict if each else "not run" for each in (change.before, change.after))
    if was != now:
        return f"{was} -> {now}"
    new = change.splats[1]
    return f"still {now}, with a new report in the log" if new else f"still {now}, otherwise"


def _whole_table(report: Report, templates: Path | None) -> list[str]:
    return table(report.results, report.order, report.known, templates).splitlines()


def _breaks(report: Report) -> list[Break]:
    """What deserves a paragraph: what a series breaks, and what could not be run."""
    together: dict[object, list[tuple[CellResult, str]]] = {}
    for result, expected in _broken(report):
        together.setdefault(_kind(result, expected), []).append((result, expected))
    return [
        Break(each[0][0], each[0][1], tuple(other for other, _ in each[1:]))
        for each in together.values()
    ]


def _kind(result: CellResult, expected: str) -> object:
    """What is the same of cells that are wrong in the same way."""
    decision = deciding(result)
    failed = result.verdict is Verdict.ERROR
    return result.verdict, expected, result.reason if failed else decision and decision[0]


def _broken(report: Report) -> Iterator[tuple[CellResult, str]]:
    """Results, and what was expected of each in words.

    Of a run without a series the table has said it.
    """
    if report.series:
        for change in report.changes:
            if change.kind is Kind.REGRESSED and change.after:
                was = change.before.verdict if change.before else "not run"
                yield change.after, f"{was}, as on {report.series.base}"
        failed = [each for each in report.results if each.verdict is Verdict.ERROR]
        yield from ((each, "a result") for each in failed)


def _paragraph(report: Report, found: Break) -> list[str]:
    """The component, what was expected, what happened, the log, the command."""
    result = found.result
    decision = deciding(result)
    component = f"{decision[0]}: " if decision else ""
    pair = f"{result.producer} -> {result.consumer} {result.scenario}"
    heading = f"{pair}: {component}{result.verdict}{', with a splat' if result.splats else ''}"
    expected = f"expected: {found.expected}" if found.expected else ""
    proof = [item.text for item in decision[1].evidence[:2]] if decision else []
    log = _log(report.evidence(result))
    facts = [text for text in (*proof, *result.splats[:1]) if not _is_shown(text, log)]
    others = _listed(found.others)
    return [
        *_indented(heading, "", "  "),
        *_indented(expected, "  ", "    "),
        *(line for fact in facts for line in _indented(fact, "  ", "    ")),
        *(line for each, marked in log for line in _quoted(each, marked=marked)),
        *_indented(f"the same: {others}" if others else "", "  ", "    "),
    ]


def _listed(results: Iterable[CellResult]) -> str:
    """Cells by pair."""
    pairs: dict[str, list[str]] = {}
    for each in results:
        pairs.setdefault(f"{each.producer} -> {each.consumer}", []).append(each.scenario)
    return "; ".join(f"{pair} {', '.join(names)}" for pair, names in pairs.items())


def _quoted(line: str, *, marked: bool) -> list[str]:
    """A line of a log; one that matters is never cut."""
    if marked:
        return _indented(line, "  | ", "  |   ")
    return [f"  | {_cut(line, WIDTH - 4)}".rstrip()]


def _log(evidence: CellEvidence) -> list[tuple[str, bool]]:
    """Up to six lines around the first that matters, of the consumer's log; which ones do."""
    log = evidence.consumer_log
    at = log.marked[0] if log.marked else len(log.lines) - 1
    first = max(0, at - _LEAST_BEFORE)
    part = log.lines[first : first + _MOST_LOG]
    return [(line, place in log.marked) for place, line in enumerate(part, first)]


def _is_shown(text: str, log: Iterable[tuple[str, bool]]) -> bool:
    bare = text.removeprefix("consumer: ").strip()
    return any(bare == line.strip() for line, _ in log)


def _again(report: Report) -> list[str]:
    """Base, configuration and one command."""
    kernels = [k for k in report.kernels if not k.base]
    names = ",".join(kernel.name for kernel in kernels)
    options = [f"--kernels {names}", f"--scenarios {','.join(report.scenarios)}"]
    matrix = "" if report.matrix == "default" else f" {report.matrix}"
    command = [f"khoci matrix run{matrix}", *options]
    lines = [f"khoci {report.khoci}, QEMU ({report.accelerator})" if report.khoci else "khoci"]
    if report.series:
        lines.append(f"base {report.series.base}{_commit(report.series)}")
        command.insert(1, f"--series {report.series.label}")
        command.insert(0, f"khoci apply-series {report.series.msgid} &&")
    lines.append("config: matrix/kconfig of khoci")
    return [*(f"  {_cut(each, WIDTH - 2)}" for each in lines), *_continued(command)]


def _commit(series: SeriesInRun) -> str:
    """The id of the base, if it is known."""
    commits = series.commits.get(series.label, "")
    base = commits if isinstance(commits, str) else next(iter(commits), "")
    return f" ({base[:12]})" if base else ""


def _continued(words: Iterable[str]) -> list[str]:
    """A command on as many lines as it needs, as a shell reads it."""
    lines = [" "]
    for word in map(_line, words):
        if lines[-1].strip() and len(lines[-1]) + len(word) + 3 > WIDTH:
            lines[-1] += " \\"
            lines.append("     ")
        for number, piece in enumerate(_pieces(word)):
            if number:
                lines[-1] += "\\"
                lines.append(piece)
            else:
                lines[-1] += f" {piece}"
    return lines


def _pieces(word: str) -> list[str]:
    """A long list cut behind commas: a shell joins what begins at the start of the next line."""
    pieces = [""]
    for part in re.split(r"(?<=,)", word):
        if pieces[-1] and len(pieces[-1]) + len(part) > WIDTH - 10:
            pieces.append("")
        pieces[-1] += part
    return pieces


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _wrapped(text: str) -> list[str]:
    return _indented(text, "", "") if text else []


def _indented(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(
        _line(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_on_hyphens=False,
    )


def _cut(line: str, width: int) -> str:
    plain = _line(line)
    return plain if len(plain) <= width else f"{plain[: width - len(_CUT)]}{_CUT}"


def _line(text: str) -> str:
    """One line that no terminal and no mail program obeys."""
    return "".join(char if char.isprintable() else "?" for char in text)
