"""``khoci show`` and ``khoci log``: a stored run on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

from khoci.cli.colour import show
from khoci.cli.completing import complete_pairs, complete_runs
from khoci.cli.folding import folded
from khoci.cli.options import json_option, load
from khoci.cli.report import run_folder
from khoci.compat.plan import Cell
from khoci.errors import UsageError
from khoci.report import plain
from khoci.report.cell import describe
from khoci.report.excerpt import shown
from khoci.report.model import Excerpt, Report, key_of
from khoci.report.overview import overview
from khoci.results import CellResult
from khoci.run.chosen import cells_of_pair
from khoci.run.evidence import file_of
from khoci.run.folder import RunFolder
from khoci.run.reported import plan_of, report_of

SIDES = ("producer", "consumer")

_SHOW_EXAMPLES = """\b
Examples:
  khoci show last
  khoci show last 6.17..7.3
  khoci show 20261123-123647-202a v6.17.13..v7.3.4..memfd --handover
  khoci show last 6.18..7.3 --json
"""
_LOG_EXAMPLES = """\b
Examples:
  khoci log last 6.17..6.18..kho-test --side consumer
  khoci log last 6.17..6.18 --excerpt
"""

run_argument = click.argument("run", shell_complete=complete_runs)
_PAIR = "PRODUCER..CONSUMER[..SCENARIO]"


@click.command(name="show", epilog=_SHOW_EXAMPLES)
@run_argument
@click.argument("pair", required=False, metavar=f"[{_PAIR}]", shell_complete=complete_pairs)
@click.option("--handover", is_flag=True, help="also what was handed over, as each side reads it")
@json_option
def show_command(run: str, pair: str | None, *, handover: bool, as_json: bool) -> None:
    """Show what RUN found: an id or a path, or `last`. With a pair, its cells with all evidence.

    The JSON is that of `khoci report --format json`, with the cells that are asked for.

    Exit codes: 0 it is shown, whatever it says; 2 wrong use.
    """
    if handover and (pair is None or as_json):
        raise UsageError("--handover goes with a pair, and without --json")
    folder = run_folder(run)
    plan = plan_of(folder)
    report = report_of(folder, plan, load(plan.matrix)[2])
    if pair is not None:
        report = _only(report, cells_of_pair(plan, pair))
    if as_json:
        click.echo(plain.render(report), nl=False)
    elif pair is None:
        show(overview(report))
    else:
        show(folded("\n".join(_described(report, folder, handover=handover))))


@click.command(name="log", epilog=_LOG_EXAMPLES)
@run_argument
@click.argument("pair", metavar=_PAIR, shell_complete=complete_pairs)
@click.option("--side", type=click.Choice(SIDES), help="the log of one kernel, not of both")
@click.option("--excerpt", is_flag=True, help="only the lines around what decided")
def log_command(run: str, pair: str, side: str | None, *, excerpt: bool) -> None:
    """Print the logs of the cells of a pair in RUN: an id or a path, or `last`.

    Cells that were run in one boot have one log. A heading names each log if there are several.
    """
    folder = run_folder(run)
    plan = plan_of(folder)
    report = _only(report_of(folder, plan, load(plan.matrix)[2]), cells_of_pair(plan, pair))
    logs = list(_logs(report, folder, (side,) if side else SIDES))
    if not logs:
        raise UsageError(f"no log is kept of {pair} in {folder.path}: the cell was not booted")
    for number, log in enumerate(logs):
        if len(logs) > 1:
            click.echo(f"{'' if number == 0 else chr(10)}==> {log.heading} <==")
        click.echo("\n".join(_excerpt(report, log)) if excerpt else _text(log.file))


@dataclass(frozen=True)
class _Log:
    """A file with a log of one side, and the cells that it is of."""

    file: Path
    side: str
    results: tuple[CellResult, ...]

    @property
    def heading(self) -> str:
        first = self.results[0]
        names = ", ".join(result.scenario for result in self.results)
        return f"{self.side} of {first.producer} -> {first.consumer} {names}: {self.file}"


def _logs(report: Report, folder: RunFolder, sides: Iterable[str]) -> Iterator[_Log]:
    found: dict[tuple[Path, str], list[CellResult]] = {}
    for result in report.results:
        for side in sides:
            if file := file_of(folder, result, f"{side}.log"):
                found.setdefault((_near(file), side), []).append(result)
    for (file, side), results in found.items():
        yield _Log(file, side, tuple(results))


def _text(file: Path) -> str:
    """The whole log; on a terminal without what that would obey."""
    text = file.read_text(encoding="utf-8", errors="replace").rstrip("\n")
    return "\n".join(map(shown, text.split("\n"))) if sys.stdout.isatty() else text


def _excerpt(report: Report, log: _Log) -> Iterator[str]:
    """The lines around what decided, each with its number and, if it did, a mark."""
    evidence = report.evidence(log.results[0])
    part: Excerpt = getattr(evidence, f"{log.side}_log")
    width = len(str(part.total))
    for at, line in enumerate(part.lines):
        mark = ">" if at in part.marked else " "
        yield f"{mark} {part.first + at:>{width}}  {line}"


def _only(report: Report, cells: Iterable[Cell]) -> Report:
    """The report of these cells alone."""
    wanted = {(cell.producer, cell.consumer, cell.scenario, cell.fault) for cell in cells}
    return replace(
        report,
        results=tuple(each for each in report.results if key_of(each) in wanted),
        missing=tuple(each for each in report.missing if each in wanted),
        violations=tuple(each for each in report.violations if each.cell in wanted),
    )


def _described(report: Report, folder: RunFolder, *, handover: bool) -> Iterator[str]:
    for result in report.results:
        known = [reason for reason, cells in report.known.items() if result in cells]
        yield describe(result, known).rstrip("\n")
        kept = [file for name in sorted(result.files) if (file := file_of(folder, result, name))]
        yield from (f"kept: {_near(file)}" for file in kept)
        if handover:
            yield from _handover(report, result)
        yield ""
    for producer, consumer, scenario, fault in report.missing:
        broken = f" with {fault}" if fault else ""
        yield f"{producer} -> {consumer} {scenario}{broken}: has no result yet\n"


def _handover(report: Report, result: CellResult) -> Iterator[str]:
    evidence = report.evidence(result)
    for title, text in (
        ("as the producer meant it", evidence.before),
        ("as the consumer reads it", evidence.after),
    ):
        if text:
            yield f"\n{title}:\n{text.rstrip()}"
    yield from (f"not read: {note}" for note in evidence.notes)


def _near(file: Path) -> Path:
    """The path from here, if it is below."""
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file
