"""``khoci abi agreement``: what sources, predictions and boots say, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from khoci.abi.formats import of_abi
from khoci.abi.model import KernelAbi
from khoci.cli.completing import complete_runs
from khoci.cli.options import echo_json, json_option, tell, with_stored
from khoci.compat.agreement import Row, agreement
from khoci.config.kernels import known_kernels
from khoci.errors import EXIT_DISAGREE, EXIT_OK, KhociError, UsageError
from khoci.kernel.abis import shipped
from khoci.kernel.extract import abi_of
from khoci.progress import progress_for
from khoci.run.folder import LAST, RUNS, open_run

_WIDTHS = (10, 10, 15, 16, 10)
SCHEMA = 1


@click.command("agreement")
@click.argument("run", default=LAST, shell_complete=complete_runs)
@click.option(
    "--runs", type=click.Path(path_type=Path), default=RUNS, show_default=True, help="their folder"
)
@click.option("--all", "every", is_flag=True, help="every component of every pair")
@json_option
@click.pass_context
def agreement_command(
    context: click.Context, run: str, runs: Path, *, every: bool, as_json: bool
) -> None:
    """Hold what sources say of each pair against what RUN predicted and saw.

    Of all scenarios of a pair the worst counts; those that end otherwise on purpose (kho-off,
    crash, unfinalized) do not. Shown is where they differ, with the reason where it is known.

    Example: khoci abi agreement last

    Exit codes: 0 no difference that is not explained, 1 there is one.
    """
    folder = open_run(runs, run)
    cells = sorted(path.stem for path in folder.path.glob("*.json"))
    results = [result for cell in cells if (result := folder.load(cell))]
    names = {name for result in results for name in (result.producer, result.consumer)}
    abis = {name: abi for name in sorted(names) if (abi := _abi(name))}
    rows = agreement(results, {name: of_abi(abi, "matrix/abi") for name, abi in abis.items()})
    if not rows:
        raise UsageError(f"{folder.path}: has no result of two kernels whose ABI is kept")
    if as_json:
        echo_json({"schema": SCHEMA, "rows": [_plain(row) for row in rows]})
    else:
        click.echo("\n".join(_table(rows, every=every)))
    open_questions = [row for row in rows if not row.agrees and not row.explained]
    context.exit(EXIT_DISAGREE if open_questions else EXIT_OK)


def _abi(name: str) -> KernelAbi | None:
    """The ABI that is kept of a kernel, or that its sources with the patches of a series have."""
    kept = shipped(name)
    spec = None if kept else with_stored(known_kernels()).by_name.get(name)
    if spec is None or not spec.patches:
        return kept
    try:
        return abi_of(spec, progress_for())
    except KhociError as error:
        tell(error)
        return None


def _table(rows: Sequence[Row], *, every: bool) -> list[str]:
    shown = [row for row in rows if every or not row.agrees]
    head = ("producer", "consumer", "component", "sources", "predicted", "observed")
    lines = [_line(*head)] if shown else []
    for row in shown:
        cells = (row.producer, row.consumer, row.component, row.static, str(row.predicted or "-"))
        note = "" if row.agrees else f"  {row.explained or 'NOT EXPLAINED: ' + row.why}"
        lines.append(f"{_line(*cells, row.observed)}{note}")
    return [*lines, *([""] if lines else []), *_counts(rows)]


def _counts(rows: Sequence[Row]) -> list[str]:
    pairs = {(row.producer, row.consumer) for row in rows}
    agree = sum(row.agrees for row in rows)
    explained = sum(bool(row.explained) for row in rows)
    predicted = [row for row in rows if row.predicted is not None]
    right = sum(row.predicted is row.observed for row in predicted)
    open_ones = len(rows) - agree - explained
    reasons = f"differ with a reason in {explained}, without one in {open_ones}"
    return [
        f"{len(pairs)} pairs, {len(rows)} components of them",
        f"sources and observation agree in {agree}, {reasons}",
        f"prediction and observation agree in {right} of {len(predicted)}",
    ]


def _line(*words: str) -> str:
    last = len(words) - 1
    cells = (
        word if at == last else f"{word:<{width}}"
        for at, (word, width) in enumerate(zip(words, (*_WIDTHS, 10), strict=False))
    )
    return " ".join(cells)


def _plain(row: Row) -> dict[str, object]:
    return {**{name: getattr(row, name) for name in Row.__slots__}, "agrees": row.agrees}
