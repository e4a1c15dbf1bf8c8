"""``khoci selftest``: whether khoci can say no, shown by kernels that are wrong on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import click

from khoci.cli.colour import show
from khoci.cli.live import watcher_for
from khoci.cli.options import accelerator_option, echo_json, jobs_option, json_option, load, tell
from khoci.cli.running import room_for
from khoci.compat.plan import Cell
from khoci.compat.selftest import Outcome, headline, judge
from khoci.config.kernels import Kernels
from khoci.config.matrix import DEFAULT_MATRIX
from khoci.config.selftest import DIRECTIONS, Mutant, default_file, load_selftest
from khoci.errors import EXIT_DISAGREE, EXIT_HARNESS, EXIT_OK
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.report.selftest import Row, table
from khoci.results import CellResult
from khoci.run.folder import RUNS, SELFTEST, RunFolder, load_all, new_run
from khoci.run.matrix import Plan, make_plan, prepare, run_matrix
from khoci.run.selftested import remember
from khoci.scenario import select
from khoci.verdicts import Verdict

_SCHEMA = 1
Wanted = Mapping[tuple[Mutant, str], Cell]
"""The cell of each mutant and direction."""


@click.command(name="selftest")
@click.argument("mutants", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="show the mutants, and run nothing")
@jobs_option
@accelerator_option
@json_option
@click.pass_context
def selftest_command(
    context: click.Context,
    mutants: tuple[str, ...],
    listing: bool,
    jobs: int | None,
    accel: str | None,
    *,
    as_json: bool,
) -> None:
    """Run kernels that are wrong on purpose, and demand of each that khoci says so.

    Each of MUTANTS, all if none is named, is one release with a bad patch. That release hands over
    to it (forward), and it hands over to that release (backward).

    Example: khoci selftest root-bumped
    """
    test = load_selftest(default_file())
    chosen = test.select(mutants)
    if listing:
        _list(chosen, as_json=as_json)
        return
    config, known, _ = load(DEFAULT_MATRIX)
    kernels = test.kernels(known, chosen)
    wanted = _cells(known.select(test.base).name, chosen)
    plan = make_plan(
        config,
        kernels,
        names=kernels.names,
        scenarios=list(dict.fromkeys(cell.scenario for cell in wanted.values())),
        accelerator=accel,
    )
    folder = _run(plan, kernels, wanted, jobs)
    results = load_all(folder, [cell.name for cell in wanted.values()])
    outcomes = [
        judge(mutant, direction, results.get(cell.name))
        for (mutant, direction), cell in wanted.items()
    ]
    rows = [_row(mutant, item) for (mutant, _), item in zip(wanted, outcomes, strict=True)]
    remember(cache_dir(), headline(outcomes), len(chosen), len(test.select(())))
    if as_json:
        echo_json({"schema": _SCHEMA, "run": folder.id, "rows": [asdict(row) for row in rows]})
    else:
        show(table(headline(outcomes), rows))
        click.echo(f"results: {folder.path}/")
    context.exit(_exit_code(outcomes, results, wanted))


def _list(mutants: Sequence[Mutant], *, as_json: bool) -> None:
    if as_json:
        keys = ("name", "component", "version", "why")
        found = [{key: getattr(mutant, key) for key in keys} for mutant in mutants]
        echo_json({"schema": _SCHEMA, "mutants": found})
        return
    for mutant in mutants:
        click.echo(f"{mutant.name}: {mutant.component}, version {mutant.version}; {mutant.why}")


def _cells(base: str, mutants: Sequence[Mutant]) -> Wanted:
    return {
        (mutant, direction): Cell(*mutant.pair(base, direction), select([mutant.scenario])[0].name)
        for mutant in mutants
        for direction in DIRECTIONS
    }


def _run(plan: Plan, kernels: Kernels, wanted: Wanted, jobs: int | None) -> RunFolder:
    cells = list(wanted.values())
    room = room_for(plan, cells, jobs)
    bench = prepare(plan, kernels, cells, cache_dir(), progress_for(), tell)
    mutants = list(dict.fromkeys(mutant.name for mutant, _ in wanted))
    folder = new_run(RUNS, {**plan.to_json(), SELFTEST: mutants})
    run_matrix(bench, cells, folder, room, watcher_for())
    return folder


def _row(mutant: Mutant, outcome: Outcome) -> Row:
    return Row(
        mutant=mutant.name,
        direction=outcome.direction,
        expected=str(mutant.expected(outcome.direction)),
        passed=outcome.passed,
        caught=outcome.caught,
        text=outcome.text,
        reproduce=f"khoci selftest {mutant.name}",
    )


def _exit_code(
    outcomes: Sequence[Outcome], results: Mapping[str, CellResult], wanted: Wanted
) -> int:
    broken = any(result.verdict is Verdict.ERROR for result in results.values())
    if broken or len(results) < len(wanted):
        return EXIT_HARNESS
    return EXIT_OK if all(outcome.passed for outcome in outcomes) else EXIT_DISAGREE
