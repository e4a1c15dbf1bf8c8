"""``khoci b4-check``: what a maintainer sees in ``b4 review``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import click

from khoci.abi.checked import for_b4
from khoci.cli.abicheck import check_series
from khoci.cli.options import load
from khoci.compat.policy import violations
from khoci.errors import KhociError, UsageError
from khoci.kernel.cache import Cache
from khoci.paths import cache_dir
from khoci.report.b4check import Entry, entry, of_run
from khoci.run.folder import RUNS, RunFolder, load_all
from khoci.run.matrix import Plan
from khoci.series.known import is_as_in_run
from khoci.series.store import find


@click.command(name="b4-check")
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=RUNS,
    show_default=True,
    help="the folder with the results of `khoci matrix run`",
)
def b4_check_command(runs: Path) -> None:
    """Tell `b4 review` what a series changes: its message on stdin, JSON on stdout.

    It shows the last run of `khoci matrix run --series`, and boots nothing itself. Where there is
    no run, it says what the sources alone tell (`khoci abi check`).

    Example: git config b4.review-series-check-cmd "khoci b4-check"
    """
    msgid = str(message_from_bytes(sys.stdin.buffer.read())["Message-ID"] or "").strip(" <>\t\n")
    try:
        found = _of_message(msgid, runs)
    except KhociError as error:
        found = [entry("warn", str(error))]
    click.echo(json.dumps(found, ensure_ascii=False))


def _of_message(msgid: str, runs: Path) -> list[Entry]:
    if not msgid:
        raise UsageError("the message has no message-id")
    root = Cache(cache_dir()).series
    try:
        stored = find(root, msgid)
    except UsageError:
        return [entry("warn", f"not tried: khoci apply-series {msgid}")]
    again = f"khoci matrix run --series {stored.label}"
    for folder in _newest_first(runs.expanduser()):
        plan = _plan(folder)
        if plan and plan.series and plan.series.label == stored.label:
            if not is_as_in_run(plan.series, root):
                old = f"it was applied again after {folder.path}: {again}"
                return [entry("warn", old), *_static(stored.label)]
            return [_of_run(folder, plan)]
    return [entry("warn", f"no run in {runs}: {again}"), *_static(stored.label)]


def _static(label: str) -> list[Entry]:
    """What the sources alone say of a series, in seconds; nothing where it is on no base."""
    try:
        return [for_b4(check_series(label))]
    except UsageError:
        return []
    except KhociError as error:
        return [entry("warn", f"its ABI was not compared: {error}")]


def _of_run(folder: RunFolder, plan: Plan) -> Entry:
    series = plan.series
    if series is None:
        raise UsageError(f"{folder.path}: is about no series")
    results = list(load_all(folder, [cell.name for cell in plan.cells]).values())
    missing = len(plan.cells) - len(results)
    if missing:
        return entry("warn", f"the run is not finished: khoci matrix run --run {folder.path}")
    policy = load(plan.matrix)[2]
    mine = [each for each in results if series.kernel in (each.producer, each.consumer)]
    return of_run(
        results, series, plan.kernels, violations(mine, policy, plan.kernels, series.bases)
    )


def _newest_first(runs: Path) -> Iterator[RunFolder]:
    found = sorted(path.parent.parent for path in runs.glob("*/meta/run.json"))
    return (RunFolder(path) for path in reversed(found))


def _plan(folder: RunFolder) -> Plan | None:
    try:
        return Plan.from_json(folder.request())
    except UsageError:
        return None
