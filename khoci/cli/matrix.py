"""``khoci matrix``: plan and run a matrix of kernels."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import click
from click.core import ParameterSource

from khoci.cli.completing import complete_matrices, complete_runs
from khoci.cli.distributing import ENGINES, LOCAL, asked, run_elsewhere
from khoci.cli.listing import list_command
from khoci.cli.merge import merge_command
from khoci.cli.options import (
    jobs_option,
    json_option,
    judge,
    load,
    matrix_options,
    no_cell_cache_option,
    no_policy_option,
    no_sandbox_option,
    series_options,
    store_option,
    tell,
)
from khoci.cli.planned import planned
from khoci.cli.planning import plan_command, said
from khoci.cli.rundiff import diff_command
from khoci.cli.running import HowToRun, run_here, tell_otherwise, way_back
from khoci.cli.telling import tell_report
from khoci.config.matrix import DEFAULT_MATRIX
from khoci.errors import EXIT_GIVEN_BACK, UnfitError, UsageError
from khoci.kernel.cache import Cache
from khoci.kernel.shared import Shared
from khoci.paths import cache_dir
from khoci.report import plain
from khoci.run.cellcache import CellCache
from khoci.run.elsewhere import asked_of, bring_together
from khoci.run.folder import RUNS, RunFolder, latest_run, open_run, run_named
from khoci.run.matrix import Plan, silent_patterns
from khoci.run.reported import plan_of, report_of
from khoci.run.reuse import Otherwise
from khoci.run.shards import parsed
from khoci.series.known import is_as_in_run

_OF_THE_PLAN = (
    *("matrix", "kernels", "scenarios", "pairs", "accel", "series", "each_patch"),
    *("shard", "run_id", "output", "shards"),
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
@jobs_option
@click.option("--shard", metavar="I/N", callback=_shard, help="only this part of N, from 1/N on")
@click.option("--run-id", metavar="ID", help="of the run; if it is there, go on with it")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="its folder, instead of runs/<id>"
)
@click.option("--on", type=click.Choice(ENGINES), help="on other machines, by this engine")
@click.option("--image", envvar="KHOCI_IMAGE", help="of the containers of --on kubernetes")
@click.option("--publish", metavar="RUN", help="a shard goes into the store, as a part of this run")
@click.option("--shards", type=click.IntRange(1, 100_000), metavar="N", help="parts for --on")
@click.option(
    "--give-back",
    is_flag=True,
    help="end with 75, and nothing run, where no guest comes up: another machine may do it",
)
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
    jobs: int | None,
    shard: str,
    run_id: str | None,
    run: str | None,
    output: Path | None,
    on: str | None,
    image: str | None,
    publish: str | None,
    shards: int | None,
    store: Shared | None,
    *,
    each_patch: bool,
    give_back: bool,
    resume: bool,
    no_policy: bool,
    no_cell_cache: bool,
    no_sandbox: bool,
    as_json: bool,
) -> None:
    """Run the cells of MATRIX and print the compatibility table.

    MATRIX is a file, or the name of one in matrix/: default, releases, distributions,
    distribution-like. The results go to runs/<id>/, one JSON file a cell.

    With --series the cells are those of the series and of its base, each with itself and with all
    kernels of MATRIX both ways; those with the revision before; and what the series changes is
    told first. A break of the base is none of the series.

    With --shard only a part is run, the same everywhere for the same N; `khoci matrix merge` makes
    one run of all parts. With --no-policy it is left to that to judge them: the exit code is 0
    then, whatever the kernels do, and 3 if the harness failed.

    With --on slurm the shards are the tasks of an array job that sbatch submits from here, with
    --on kubernetes the indexes of a Job; they are followed, merged and judged as a run of here.
    ^C cancels the job; if khoci is killed the job goes on, and --resume follows it and submits
    what is missing. Pods need an --image with khoci, and a --store.

    The JSON is that of `khoci report --format json`.

    Example: khoci matrix run releases --series kho-fixes --scenarios memfd
    """
    way = None
    if resume or run:
        _only_resume(context)
        there = open_run(RUNS, run) if run else latest_run(RUNS)
        folder: RunFolder | None = there
        plan = plan_of(there)
        _check_series(plan)
        _, known, policy = load(plan.matrix)
    else:
        config, known, policy = load(matrix)
        plan = planned(
            (config, known), kernels, scenarios, pairs, accel, series, each_patch=each_patch
        )
        plan = replace(plan, shard=shard)
        way = way_back(store, publish, plan, output)
        folder = _begun(plan, run_id, output)
    known = known.trusted() if no_sandbox else known
    cells = None if no_cell_cache else CellCache(Cache(cache_dir()))
    how = HowToRun(jobs, run_id, cells, store, output, checked=give_back)
    otherwise: list[Otherwise] = []
    before = asked_of(folder) if folder else None
    if on in (None, LOCAL) and (before is None or on == LOCAL):
        if folder and before:
            bring_together(folder)
        try:
            with way or nullcontext():
                folder, otherwise = run_here(plan, known, folder, how)
        except UnfitError as error:
            if not give_back:
                raise
            tell(error)
            context.exit(EXIT_GIVEN_BACK)
    else:
        words = (*said(context), *_passed_on(context))
        request = before or asked((on or "", image or ""), plan, words, shards, jobs or 1)
        folder = folder or how.begin(plan)
        run_elsewhere(plan, known, folder, request, store)
    report = report_of(folder, plan, policy, brief=not as_json)
    if as_json:
        click.echo(plain.render(report), nl=False)
    else:
        tell_report(report, silent_patterns(plan, report.results))
        click.echo(f"results: {folder.path}/")
    tell_otherwise(otherwise)
    made_of = plan.series.bases if plan.series else {}
    context.exit(judge(report.results, None if no_policy else policy, plan.kernels, made_of))


def _begun(plan: Plan, run_id: str | None, output: Path | None) -> RunFolder | None:
    """The run of this id or in this folder, if it has begun.

    Raises:
        UsageError: it is a run of something else.
    """
    if output is not None and run_id is not None:
        raise UsageError("--run-id names a run in runs/, -o a folder: give one of them")
    there = RunFolder(output) if output else None
    if there is not None and not there.meta("run.json").is_file():
        return None
    folder = run_named(RUNS, run_id) if run_id is not None else there
    if folder is not None and plan_of(folder) != plan:
        raise UsageError(f"{folder.path} was begun for something else: give another --run-id")
    return folder


def _passed_on(context: click.Context) -> list[str]:
    """Options that shards have to be run with too, wherever they run."""
    store = context.params["store"]
    found = [] if store is None else ["--store", store.url]
    flags = [name for name in ("no_cell_cache", "no_sandbox") if context.params[name]]
    return [*found, *(f"--{name.replace('_', '-')}" for name in flags)]


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
