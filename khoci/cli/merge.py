"""``khoci matrix merge``: one run of shards."""

from __future__ import annotations

from pathlib import Path

import click

from khoci.cli.completing import complete_runs
from khoci.cli.options import json_option, judge, load, no_policy_option
from khoci.cli.telling import tell_report
from khoci.errors import EXIT_HARNESS, UsageError
from khoci.progress import progress_for
from khoci.report import plain
from khoci.run.folder import RUNS, RunFolder, new_run, open_run, run_named
from khoci.run.matrix import Plan, silent_patterns
from khoci.run.merged import Merged, Source, merge, missing_shards, source_of, whole_plan
from khoci.run.reported import report_of
from khoci.run.shards import parsed

_NAMED = 8
"""Shards that lack cells."""


@click.command(name="merge")
@click.argument("runs", nargs=-1, required=True, shell_complete=complete_runs)
@click.option("--run-id", metavar="ID", help="of the merged run; made of the time if not given")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="its folder, instead of runs/<id>"
)
@no_policy_option
@json_option
@click.pass_context
def merge_command(
    context: click.Context,
    runs: tuple[str, ...],
    run_id: str | None,
    output: Path | None,
    *,
    no_policy: bool,
    as_json: bool,
) -> None:
    """Make one run of RUNS, that are shards of one plan, and print its table.

    RUNS are ids or paths, in any order. Merging again changes nothing; more shards can be merged
    into the same run later, and `khoci matrix run --run ID` runs what is missing. A cell that
    several of them have is taken from one of them, and told if they disagree.

    Exit code 3 if a cell has no result, else as of `khoci matrix run`.

    Example: khoci matrix merge runs/shard-1 runs/shard-2 --run-id merged
    """
    sources = [source_of(open_run(RUNS, run)) for run in runs]
    plan = whole_plan(sources)
    folder = _target(plan, run_id, output)
    merged = _merge(sources, folder, plan)
    _, _, policy = load(plan.matrix)
    report = report_of(folder, plan, policy, brief=not as_json)
    if as_json:
        click.echo(plain.render(report), nl=False)
    else:
        tell_report(report, [] if merged.missing else silent_patterns(plan, report.results))
        click.echo(f"results: {folder.path}/")
    for each in merged.differing:
        click.echo(f"khoci: runs disagree: {each}", err=True)
    made_of = plan.series.bases if plan.series else {}
    status = judge(report.results, None if no_policy else policy, plan.kernels, made_of)
    if merged.missing:
        click.echo(f"khoci: {_lacking(merged, plan, sources, folder)}", err=True)
        status = EXIT_HARNESS
    context.exit(status)


def _target(plan: Plan, run_id: str | None, output: Path | None) -> RunFolder:
    """The run to merge into: one that is there, or a new one."""
    if output is None:
        there = None if run_id is None else run_named(RUNS, run_id)
        return there or new_run(RUNS, plan.to_json(), run_id)
    if run_id is not None:
        raise UsageError("--run-id names a run in runs/, -o a folder: give one of them")
    there = RunFolder(output)
    known = there.meta("run.json").is_file()
    return there if known else new_run(output.parent, plan.to_json(), output.name)


def _merge(sources: list[Source], folder: RunFolder, plan: Plan) -> Merged:
    if source_of(folder).plan.shard:
        raise UsageError(f"{folder.path} is a shard itself: name another run to merge into")
    progress = progress_for()
    progress.start(f"merging {len(sources)} runs", len(plan.cells))
    try:
        return merge(sources, folder, progress.advance)
    finally:
        progress.done()


def _lacking(merged: Merged, plan: Plan, sources: list[Source], folder: RunFolder) -> str:
    counts = [parsed(source.plan.shard)[1] for source in sources if source.plan.shard]
    by_shard = missing_shards(merged.missing, plan, counts)
    named = [f"shard {shard} ({lacks})" for shard, lacks in by_shard.items()]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    where = f": {', '.join(named[:_NAMED])}{more}" if named else ""
    return (
        f"{len(merged.missing)} of {len(plan.cells)} cells have no result{where}; "
        f"khoci matrix run --run {folder.path} runs them"
    )
