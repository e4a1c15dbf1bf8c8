"""``khoci cell``: one pair of kernels and a scenario."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import click

from khoci.cli.colour import show
from khoci.cli.completing import complete_kernels, complete_scenarios
from khoci.cli.options import (
    accelerator_option,
    echo_json,
    guest_option,
    json_option,
    judge,
    load,
    no_sandbox_option,
    tell,
)
from khoci.compat.bench import Bench, consumer_cmdline, nested
from khoci.compat.cell import run_cell
from khoci.compat.plan import Cell
from khoci.compat.policy import reasons
from khoci.errors import UsageError
from khoci.paths import cache_dir
from khoci.progress import NoProgress, progress_for
from khoci.report.cell import describe
from khoci.results import CellResult
from khoci.run.matrix import make_plan, prepare
from khoci.vm.interactive import run_interactive
from khoci.vm.machine import bare_command, shell_line


@click.group(name="cell")
def cell_group() -> None:
    """Run one cell: a pair of kernels and a scenario.

    Example: khoci cell run 6.17 6.18 kho-test
    """


@cell_group.command(name="run")
@click.argument("producer", shell_complete=complete_kernels)
@click.argument("consumer", shell_complete=complete_kernels)
@click.argument("scenario", shell_complete=complete_scenarios)
@guest_option
@click.option(
    "--keep", type=click.Path(path_type=Path), help="keep logs and capture in this folder"
)
@click.option("--print-qemu", is_flag=True, help="only print the QEMU command that boots the guest")
@click.option(
    "--interactive", is_flag=True, help="watch the handover on a console, with the monitor"
)
@accelerator_option
@no_sandbox_option
@json_option
@click.pass_context
def cell_command(
    context: click.Context,
    producer: str,
    consumer: str,
    scenario: str,
    matrix: str,
    keep: Path | None,
    print_qemu: bool,
    interactive: bool,
    accel: str | None,
    *,
    no_sandbox: bool,
    as_json: bool,
) -> None:
    """Run one cell: PRODUCER hands over to CONSUMER, SCENARIO says what.

    SCENARIO is a name of `khoci scenario list`, maybe with parameters.

    Example: khoci cell run 6.18 7.3 memfd:size=64M:holes=3 --keep evidence
    """
    config, known, policy = load(matrix, no_sandbox=no_sandbox)
    if as_json and (print_qemu or interactive):
        raise UsageError("--json goes with a cell that is run, not shown")
    if keep is not None and (print_qemu or interactive):
        raise UsageError("--keep goes with a cell that is run, not shown")
    if keep is not None and keep.exists() and not keep.is_dir():
        raise UsageError(f"{keep}: is no folder to keep evidence in")
    names = [producer, consumer]
    plan = make_plan(config, known, names=names, scenarios=[scenario], accelerator=accel)
    cell = Cell(known.select(producer).name, known.select(consumer).name, plan.scenarios[0])
    progress = NoProgress() if print_qemu else progress_for()
    bench = prepare(plan, known, [cell], cache_dir(), progress, tell)
    chosen = [bench.scenarios[cell.scenario]]
    if print_qemu:
        click.echo(shell_line(bare_command(nested(bench, cell.pair, chosen))))
    elif interactive:
        cmdline = consumer_cmdline(bench, cell.consumer, chosen)
        run_interactive(nested(bench, cell.pair, chosen), cmdline)
    else:
        result = _run_one(bench, cell, keep)
        known_reasons = reasons([result], policy, plan.kernels)
        if as_json:
            echo_json({**result.to_json(), "known": list(known_reasons)})
        else:
            show(describe(result, known_reasons))
        context.exit(judge([result], policy, plan.kernels))


def _run_one(bench: Bench, cell: Cell, keep: Path | None) -> CellResult:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        return asyncio.run(run_cell(bench, cell, keep))
    with tempfile.TemporaryDirectory(prefix="khoci-") as folder:
        return asyncio.run(run_cell(bench, cell, Path(folder)))
