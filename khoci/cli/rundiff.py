"""``khoci matrix diff``: what differs between two runs."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from khoci.cli.completing import complete_runs
from khoci.cli.options import json_option
from khoci.errors import EXIT_DISAGREE, EXIT_OK, UsageError
from khoci.report.rundiff import render
from khoci.results import CellResult
from khoci.run.folder import RUNS, RunFolder, open_run
from khoci.rundiff import Change, Kind, compare

_SCHEMA = 1
_CHAIN = "chain.."


@click.command(name="diff")
@click.argument("before", metavar="RUN_A", shell_complete=complete_runs)
@click.argument("after", metavar="RUN_B", shell_complete=complete_runs)
@json_option
@click.pass_context
def diff_command(context: click.Context, before: str, after: str, as_json: bool) -> None:
    """Show what regressed, was fixed, is new or gone in RUN_B, and nothing that stayed the same.

    Runs are given by id or path; `last` is the last one.

    Example: khoci matrix diff 20261122-101500-00ff last

    Exit codes: 0 nothing regressed, 1 something did, 2 wrong use.
    """
    first, second = open_run(RUNS, before), open_run(RUNS, after)
    order = dict.fromkeys((*second.request()["kernels"], *first.request()["kernels"]))
    changes = compare(_results(first), _results(second), tuple(order))
    click.echo(_json(first, second, changes) if as_json else render(changes), nl=as_json)
    regressed = any(change.kind is Kind.REGRESSED for change in changes)
    context.exit(EXIT_DISAGREE if regressed else EXIT_OK)


def _results(folder: RunFolder) -> list[CellResult]:
    """All results of a run.

    Raises:
        UsageError: there is none, or one cannot be read.
    """
    names = sorted(path.stem for path in folder.path.glob("*.json"))
    loaded = {name: folder.load(name) for name in names if not name.startswith(_CHAIN)}
    if not loaded:
        raise UsageError(f"{folder.path}: no cell of it has a result")
    for name, result in loaded.items():
        if result is None:
            raise UsageError(f"{folder.result_file(name)}: is no result that this khoci can read")
    return [result for result in loaded.values() if result]


def _json(first: RunFolder, second: RunFolder, changes: Sequence[Change]) -> str:
    data = {
        "schema": _SCHEMA,
        "before": first.id,
        "after": second.id,
        "changes": [change.to_json() for change in changes],
    }
    return json.dumps(data, indent=2, ensure_ascii=False)
