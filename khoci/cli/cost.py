"""``khoci cost``: what handing memory over costs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from khoci.cli.colour import show
from khoci.cli.completing import complete_kernels
from khoci.cli.options import (
    accelerator_option,
    echo_json,
    json_option,
    load,
    no_sandbox_option,
)
from khoci.config.matrix import DEFAULT_MATRIX
from khoci.cost.boot import Setup
from khoci.cost.measuring import kept_of, measure_all
from khoci.cost.preparing import check, jobs_here, prepare
from khoci.costlaws import difference
from khoci.costs import SCHEMA, KernelCost, Point, points_up_to
from khoci.errors import EXIT_HARNESS, EXIT_OK
from khoci.files import write_atomic
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.report import cost as report

_EXAMPLES = """\b
Examples:
  khoci cost 6.17 7.3
  khoci cost 6.17 6.18 7.1 7.3 --most 1000000 -o cost
"""


@click.command(name="cost", epilog=_EXAMPLES)
@click.argument("kernels", nargs=-1, required=True, shell_complete=complete_kernels)
@click.option(
    "--most",
    type=click.IntRange(1000, 1_000_000),
    default=10_000,
    show_default=True,
    help="blocks of 4K that are preserved",
)
@click.option("-j", "--jobs", type=click.IntRange(1), help="guests at once  [default: cores]")
@click.option(
    "--fresh", is_flag=True, help="measure again, and say how far it is from what was measured"
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="a folder for the tables and pictures: cost.html, cost.md, cost.json, *.svg",
)
@click.option("--markdown", is_flag=True, help="for a comment or a page")
@accelerator_option
@no_sandbox_option
@json_option
@click.pass_context
def cost_command(
    context: click.Context,
    kernels: tuple[str, ...],
    most: int,
    jobs: int | None,
    output: Path | None,
    accel: str | None,
    *,
    fresh: bool,
    markdown: bool,
    no_sandbox: bool,
    as_json: bool,
) -> None:
    """Count what handing memory over costs each of KERNELS: in its own instructions, by QEMU.

    A kernel is built with a driver of khoci's own, and hands over to itself: nothing, and more and
    more blocks, side by side, apart, large, in several orders. What is counted is preserving,
    finalizing, loading, the jump, early boot and restoring; the same on a busy machine as on an
    idle one. A second boot of each takes the time, by the accelerator. What was measured is kept,
    so that a run that was cut off goes on.

    Exit codes: 0 all was measured, 2 wrong use, 3 some of it could not be, or the host failed.
    """
    _, known, _ = load(DEFAULT_MATRIX, no_sandbox=no_sandbox)
    specs = [*{spec.name: spec for spec in map(known.select, kernels)}.values()]
    check(specs)
    points, cache = points_up_to(most), cache_dir()
    at_once, line = jobs_here(points, jobs)
    if line is not None:
        click.echo(f"khoci: {line}", err=True)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    setups = prepare(specs, points, accel, cache, progress_for())
    before = [kept_of(setup, points, cache) for setup in setups] if fresh else []
    found = _measure(setups, points, cache, at_once, fresh=fresh)
    if output is not None:
        _write(output, found)
    if as_json:
        echo_json(_plain(found))
    elif markdown:
        click.echo(report.markdown(found), nl=False)
    else:
        show(report.text(found))
    if fresh:
        for old, new in zip(before, found, strict=True):
            click.echo(_far(old, new), err=True)
    context.exit(EXIT_HARNESS if any(cost.failed for cost in found) else EXIT_OK)


def _measure(
    setups: Sequence[Setup], points: Sequence[Point], cache: Path, jobs: int, *, fresh: bool
) -> list[KernelCost]:
    progress = progress_for()
    progress.start(f"counting {len(points)} handovers of each kernel", len(points) * len(setups))
    try:
        return asyncio.run(measure_all(setups, points, cache, jobs, progress.advance, fresh=fresh))
    finally:
        progress.done()


def _plain(costs: Sequence[KernelCost]) -> dict[str, Any]:
    return {"schema": SCHEMA, "kernels": [cost.to_json() for cost in costs]}


def _write(folder: Path, costs: Sequence[KernelCost]) -> None:
    text = json.dumps(_plain(costs), indent=2, ensure_ascii=False) + "\n"
    for name, content in {**report.files(costs), "cost.json": text}.items():
        write_atomic(folder / name, content)


def _far(old: KernelCost, new: KernelCost) -> str:
    if not old.measured:
        return f"{new.kernel}: nothing was measured before"
    if not new.measured:
        return f"{new.kernel}: could not be measured again"
    return f"{new.kernel}: at most {difference(old, new):.2%} from what was measured before"
