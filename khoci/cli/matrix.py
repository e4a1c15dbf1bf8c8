"""``khoci matrix``: plan and run a matrix of kernels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict

import click
from click.core import ParameterSource

from khoci.cli.colour import show
from khoci.cli.completing import complete_matrices, complete_runs
from khoci.cli.listing import list_command
from khoci.cli.live import watcher_for
from khoci.cli.options import (
    echo_json,
    json_option,
    judge,
    load,
    matrix_options,
    no_sandbox_option,
    series_options,
    tell,
)
from khoci.cli.rundiff import diff_command
from khoci.config.kernels import Kernels
from khoci.config.matrix import DEFAULT_MATRIX
from khoci.errors import UsageError
from khoci.kernel.cache import Cache
from khoci.kernel.store import is_cached
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.report import plain
from khoci.report.model import Report
from khoci.report.series import told
from khoci.report.text import table
from khoci.run.folder import RUNS, RunFolder, latest_run, new_run, open_run
from khoci.run.matrix import (
    Plan,
    make_plan,
    plan_around,
    prepare,
    remaining,
    run_matrix,
    silent_patterns,
)
from khoci.run.readers import keep
from khoci.run.reported import plan_of, report_of
from khoci.run.selftested import recall
from khoci.series.known import in_run, is_as_in_run

_SCHEMA = 1


@click.group(name="matrix")
def matrix_group() -> None:
    """Plan and run a matrix of kernels.

    Example: khoci matrix run --kernels 6.17,7.3
    """


matrix_group.add_command(diff_command)
matrix_group.add_command(list_command)


@matrix_group.command(name="plan")
@click.argument("matrix", default=DEFAULT_MATRIX, shell_complete=complete_matrices)
@matrix_options
@series_options
@json_option
def plan_command(
    matrix: str,
    kernels: list[str],
    scenarios: list[str],
    pairs: str | None,
    accel: str | None,
    series: str | None,
    *,
    each_patch: bool,
    as_json: bool,
) -> None:
    """Show all cells of MATRIX, and which kernels are cached, before anything runs.

    Example: khoci matrix plan releases --scenarios memfd
    """
    config, known, _ = load(matrix)
    plan = make_plan(
        config, known, names=kernels, scenarios=scenarios, pairs=pairs, accelerator=accel
    )
    plan = _around(plan, known, series, each_patch=each_patch)
    cached = {name: is_cached(known.select(name)) for name in plan.kernels}
    if as_json:
        cells = [asdict(cell) for cell in plan.cells]
        echo_json({"schema": _SCHEMA, "matrix": plan.matrix, "cached": cached, "cells": cells})
        return
    for name, is_there in cached.items():
        click.echo(f"kernel {name}: {'cached' if is_there else 'to build'}")
    for cell in plan.cells:
        click.echo(f"cell {cell.producer} -> {cell.consumer} {cell.scenario}")
    click.echo(f"{len(plan.cells)} cells of {len(plan.kernels)} kernels")


@matrix_group.command(name="run")
@click.argument("matrix", default=DEFAULT_MATRIX, shell_complete=complete_matrices)
@matrix_options
@series_options
@click.option("-j", "--jobs", type=click.IntRange(1), default=os.cpu_count(), help="cells at once")
@click.option("--resume", is_flag=True, help="go on with the last run, or the one of --run")
@click.option(
    "--run", "run_id", shell_complete=complete_runs, help="the run to resume, by id or path"
)
@no_sandbox_option
@json_option
@click.pass_context
def run_command(
    context: click.Context,
    matrix: str,
    kernels: list[str],
    scenarios: list[str],
    pairs: str | None,
    accel: str | None,
    series: str | None,
    jobs: int,
    run_id: str | None,
    *,
    each_patch: bool,
    resume: bool,
    no_sandbox: bool,
    as_json: bool,
) -> None:
    """Run the cells of MATRIX and print the compatibility table.

    MATRIX is a file, or the name of one in matrix/: default, releases, distributions. The results
    go to runs/<id>/, one JSON file a cell.

    With --series the cells are those of the series and of its base, each with itself and with all
    kernels of MATRIX both ways; those with the revision before; and what the series changes is
    told first. A break of the base is none of the series.

    The JSON is that of `khoci report --format json`.

    Example: khoci matrix run releases --series kho-fixes --scenarios memfd
    """
    folder = None
    if resume or run_id:
        _only_resume(context)
        folder = open_run(RUNS, run_id) if run_id else latest_run(RUNS)
        plan = plan_of(folder)
        _check_series(plan)
        _, known, policy = load(plan.matrix)
    else:
        config, known, policy = load(matrix)
        plan = make_plan(
            config, known, names=kernels, scenarios=scenarios, pairs=pairs, accelerator=accel
        )
        plan = _around(plan, known, series, each_patch=each_patch)
    folder = _run(plan, known.trusted() if no_sandbox else known, folder, jobs)
    report = report_of(folder, plan, policy)
    if as_json:
        click.echo(plain.render(report), nl=False)
    else:
        _tell(report, silent_patterns(plan, report.results))
        click.echo(f"results: {folder.path}/")
    made_of = plan.series.bases if plan.series else {}
    context.exit(judge(report.results, policy, plan.kernels, made_of))


def _tell(report: Report, silent: Sequence[str]) -> None:
    click.echo(f"{recall(cache_dir())}\n")
    if report.series:
        show(told(report.results, report.series, report.order))
    show(table(report.results, report.order, report.known))
    for name in silent:
        click.echo(f"no cell showed the log pattern '{name}' (matrix/loglines.toml)")


def _only_resume(context: click.Context) -> None:
    """A resumed run goes on as it began: refuse what would ask for another one."""
    for name in ("matrix", "kernels", "scenarios", "pairs", "accel", "series", "each_patch"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"a run is resumed as it began: leave out {name}")


def _check_series(plan: Plan) -> None:
    """Refuse to mix results of two kernels that have the same name."""
    if plan.series and not is_as_in_run(plan.series, Cache(cache_dir()).series):
        raise UsageError(
            f"{plan.series.label} was applied again or removed since: this run cannot go on, "
            f"begin another: khoci matrix run --series {plan.series.label}"
        )


def _around(plan: Plan, known: Kernels, series: str | None, *, each_patch: bool) -> Plan:
    """The plan of what a series changes, if there is one."""
    if series is None:
        if each_patch:
            raise UsageError("--each-patch: of which series? name it by --series")
        return plan
    root = Cache(cache_dir()).series
    return plan_around(plan, in_run(series, known, root, each_patch=each_patch))


def _run(plan: Plan, known: Kernels, folder: RunFolder | None, jobs: int) -> RunFolder:
    """Run what has no result yet; a new run has its folder when its kernels are there."""
    wanted = remaining(plan, folder) if folder else plan.cells
    bench = prepare(plan, known, wanted, cache_dir(), progress_for(), tell) if wanted else None
    folder = folder or new_run(RUNS, plan.to_json())
    if bench is not None:
        keep(folder, bench.releases.patched.values())
        run_matrix(bench, wanted, folder, jobs, watcher_for())
    return folder
