"""``khoci matrix``: plan and run a matrix of kernels."""

from __future__ import annotations

import os
from dataclasses import replace

import click
from click.core import ParameterSource

from khoci.cli.completing import complete_matrices, complete_runs
from khoci.cli.listing import list_command
from khoci.cli.merge import merge_command
from khoci.cli.options import (
    json_option,
    judge,
    load,
    matrix_options,
    no_cell_cache_option,
    no_policy_option,
    no_sandbox_option,
    series_options,
    store_option,
)
from khoci.cli.planned import planned
from khoci.cli.planning import plan_command
from khoci.cli.rundiff import diff_command
from khoci.cli.running import HowToRun, run_here, tell_otherwise
from khoci.cli.telling import tell_report
from khoci.config.matrix import DEFAULT_MATRIX
from khoci.errors import UsageError
from khoci.kernel.cache import Cache
from khoci.kernel.shared import Shared
from khoci.paths import cache_dir
from khoci.report import plain
from khoci.run.cellcache import CellCache
from khoci.run.folder import RUNS, RunFolder, latest_run, open_run, run_named
from khoci.run.matrix import Plan, silent_patterns
from khoci.run.reported import plan_of, report_of
from khoci.run.shards import parsed
from khoci.series.known import is_as_in_run

_OF_THE_PLAN = (
    *("matrix", "kernels", "scenarios", "pairs", "accel", "series", "each_patch"),
    *("shard", "run_id"),
)


@click.group(name="matrix")
def matrix_group() -> None:
    """Plan and run a matrix of kernels.

    Example: khoci matrix run --kernels 6.17,7.3
    """


matrix_group.add_command(diff_command)
matrix_group.add_command(list_command)
matrix_group.add_command(merge_command)
matrix_group.add_command(plan_command)


def _shard(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    """The shard, if it is one; empty for all."""
    if value is not None:
        parsed(value)
    return value or ""


@matrix_group.command(name="run")
@click.argument("matrix", default=DEFAULT_MATRIX, shell_complete=complete_matrices)
@matrix_options
@series_options
@click.option("-j", "--jobs", type=click.IntRange(1), default=os.cpu_count(), help="cells at once")
@click.option("--shard", metavar="I/N", callback=_shard, help="only this part of N, from 1/N on")
@click.option("--run-id", metavar="ID", help="of the run; if it is there, go on with it")
@click.option("--resume", is_flag=True, help="go on with the last run, or the one of --run")
@click.option("--run", "run", shell_complete=complete_runs, help="the run to resume, by id or path")
@no_policy_option
@no_cell_cache_option
@store_option
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
    shard: str,
    run_id: str | None,
    run: str | None,
    store: Shared | None,
    *,
    each_patch: bool,
    resume: bool,
    no_policy: bool,
    no_cell_cache: bool,
    no_sandbox: bool,
    as_json: bool,
) -> None:
    """Run the cells of MATRIX and print the compatibility table.

    MATRIX is a file, or the name of one in matrix/: default, releases, distributions. The results
    go to runs/<id>/, one JSON file a cell.

    With --series the cells are those of the series and of its base, each with itself and with all
    kernels of MATRIX both ways; those with the revision before; and what the series changes is
    told first. A break of the base is none of the series.

    With --shard only a part is run, the same everywhere for the same N; `khoci matrix merge` makes
    one run of all parts. With --no-policy it is left to that to judge them: the exit code is 0
    then, whatever the kernels do, and 3 if the harness failed.

    The JSON is that of `khoci report --format json`.

    Example: khoci matrix run releases --series kho-fixes --scenarios memfd
    """
    folder = None
    if resume or run:
        _only_resume(context)
        folder = open_run(RUNS, run) if run else latest_run(RUNS)
        plan = plan_of(folder)
        _check_series(plan)
        _, known, policy = load(plan.matrix)
    else:
        config, known, policy = load(matrix)
        plan = planned(
            (config, known), kernels, scenarios, pairs, accel, series, each_patch=each_patch
        )
        plan = replace(plan, shard=shard)
        folder = _begun(plan, run_id)
    how = HowToRun(jobs, run_id, None if no_cell_cache else CellCache(Cache(cache_dir())), store)
    folder, otherwise = run_here(plan, known.trusted() if no_sandbox else known, folder, how)
    report = report_of(folder, plan, policy)
    if as_json:
        click.echo(plain.render(report), nl=False)
    else:
        tell_report(report, silent_patterns(plan, report.results))
        click.echo(f"results: {folder.path}/")
    tell_otherwise(otherwise)
    made_of = plan.series.bases if plan.series else {}
    context.exit(judge(report.results, None if no_policy else policy, plan.kernels, made_of))


def _begun(plan: Plan, run_id: str | None) -> RunFolder | None:
    """The run of this id, if it has begun.

    Raises:
        UsageError: it is a run of something else.
    """
    folder = None if run_id is None else run_named(RUNS, run_id)
    if folder is not None and plan_of(folder) != plan:
        raise UsageError(f"{folder.path} was begun for something else: give another --run-id")
    return folder


def _only_resume(context: click.Context) -> None:
    """A resumed run goes on as it began: refuse what would ask for another one."""
    for name in _OF_THE_PLAN:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"a run is resumed as it began: leave out {name}")


def _check_series(plan: Plan) -> None:
    """Refuse to mix results of two kernels that have the same name."""
    if plan.series and not is_as_in_run(plan.series, Cache(cache_dir()).series):
        raise UsageError(
            f"{plan.series.label} was applied again or removed since: this run cannot go on, "
            f"begin another: khoci matrix run --series {plan.series.label}"
        )
