"""``khoci fault``: break a handover on purpose, and see how each kernel takes it."""

from __future__ import annotations

import click

from khoci.cli.colour import show
from khoci.cli.completing import complete_kernels, complete_matrices
from khoci.cli.live import watcher_for
from khoci.cli.options import (
    accelerator_option,
    echo_json,
    jobs_option,
    json_option,
    load,
    no_sandbox_option,
    tell,
    words,
)
from khoci.cli.running import room_for
from khoci.config.matrix import DEFAULT_MATRIX
from khoci.errors import EXIT_HARNESS, EXIT_OK
from khoci.fault import faults, select
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.report import plain
from khoci.report.faults import table
from khoci.run.folder import RUNS, load_all, new_run
from khoci.run.matrix import make_fault_plan, prepare, run_matrix
from khoci.run.reported import report_of
from khoci.verdicts import Verdict

_SCHEMA = 1


@click.group(name="fault")
def fault_group() -> None:
    """Break a handover between the jump and the next kernel.

    Example: khoci fault run --list
    """


@fault_group.command(name="run")
@click.argument("names", metavar="[FAULT]...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="show the faults, and run nothing")
@click.option(
    "--kernels",
    callback=words,
    shell_complete=complete_kernels,
    help="kernels instead of the matrix file's: 6.17,7.3",
)
@click.option(
    "--matrix",
    default=DEFAULT_MATRIX,
    shell_complete=complete_matrices,
    help="matrix file: its kernels, its [guest]",
)
@jobs_option
@accelerator_option
@no_sandbox_option
@json_option
@click.pass_context
def run_command(
    context: click.Context,
    names: tuple[str, ...],
    listing: bool,
    kernels: list[str],
    matrix: str,
    jobs: int | None,
    accel: str | None,
    *,
    no_sandbox: bool,
    as_json: bool,
) -> None:
    """Break what each kernel hands over to itself, with each FAULT (all if none is named).

    The bytes are written into guest RAM when the producer stands at the jump. The table says how
    the kernel took it: there is no right answer but `refused`; `restored` means that nobody
    noticed, and that it did no harm to what was compared.

    The JSON is that of `khoci report --format json`.

    Example: khoci fault run --kernels 7.3
    """
    if listing:
        _list(names, as_json=as_json)
        return
    config, known, policy = load(matrix, no_sandbox=no_sandbox)
    plan = make_fault_plan(config, known, names=kernels, faults=names, accelerator=accel)
    room = room_for(plan, plan.cells, jobs)
    bench = prepare(plan, known, plan.cells, cache_dir(), progress_for(), tell)
    folder = new_run(RUNS, plan.to_json())
    run_matrix(bench, plan.cells, folder, room, watcher_for())
    results = list(load_all(folder, [cell.name for cell in plan.cells]).values())
    if as_json:
        click.echo(plain.render(report_of(folder, plan, policy)), nl=False)
    else:
        summaries = {fault.name: fault.summary for fault in select(plan.faults)}
        show(table(results, plan.kernels, summaries))
        click.echo(f"results: {folder.path}/")
    failed = any(result.verdict is Verdict.ERROR for result in results)
    context.exit(EXIT_HARNESS if failed else EXIT_OK)


def _list(names: tuple[str, ...], *, as_json: bool) -> None:
    if as_json:
        keys = ("name", "component", "scenario", "summary")
        found = [{key: getattr(fault, key) for key in keys} for fault in select(names)]
        echo_json({"schema": _SCHEMA, "faults": found})
        return
    width = max(map(len, faults()))
    for fault in select(names):
        head = f"{fault.name:<{width}}  {fault.component:<14}  {fault.scenario:<11}"
        click.echo(f"{head}  {fault.summary}")
