"""The commands: parse, call one function, print."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from khoci import __version__
from khoci.compat.cell import Bench, consumer_cmdline, machine, run_cell
from khoci.compat.plan import Cell
from khoci.compat.policy import violations
from khoci.config.kernels import Kernels, load_kernels
from khoci.config.matrix import DEFAULT_MATRIX, PAIRS, MatrixConfig, find_matrix_file, load_matrix
from khoci.config.policy import Policy, load_policy
from khoci.doctor import doctor
from khoci.errors import EXIT_DISAGREE, EXIT_HARNESS, EXIT_OK, KhociError, UsageError
from khoci.kernel.commands import kernel
from khoci.kernel.store import is_cached
from khoci.paths import cache_dir, data_dir
from khoci.progress import NoProgress, progress_for
from khoci.report.cell import describe
from khoci.report.text import table
from khoci.results import CellResult
from khoci.run.folder import (
    RUNS,
    RunFolder,
    latest_run,
    load_all,
    new_run,
    open_run,
)
from khoci.run.matrix import Plan, make_plan, prepare, remaining, run_matrix
from khoci.scenario import scenarios
from khoci.verdicts import Verdict
from khoci.vm.interactive import run_interactive
from khoci.vm.machine import ACCELERATORS, bare_command, shell_line

_HERE = Path("matrix")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Which kernels understand what others hand over (KHO, LUO)?

    Exit codes: 0 as expected, 1 the kernels disagree with the policy, 2 wrong use, 3 the harness
    or the host failed.
    """


cli.add_command(kernel)
cli.add_command(doctor)


@cli.group(name="matrix")
def matrix_group() -> None:
    """Plan and run a matrix of kernels."""


@cli.group(name="cell")
def cell_group() -> None:
    """Run one cell: a pair of kernels and a scenario."""


def _words(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
    return [word.strip() for word in (value or "").split(",") if word.strip()]


def _matrix_options(command: click.decorators.FC) -> click.decorators.FC:
    options = [
        click.option(
            "--kernels", callback=_words, help="kernels instead of the file's: 6.17,v7.3.4"
        ),
        click.option("--scenarios", callback=_words, help="scenarios instead of the file's"),
        click.option("--pairs", type=click.Choice(PAIRS), help="which pairs instead of the file's"),
        _accelerator_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


_accelerator_option = click.option(
    "--accel",
    type=click.Choice(tuple(ACCELERATORS)),
    envvar="KHOCI_ACCEL",
    help="accelerator; by default what works here, found by booting with it once",
)


def _load(name: str) -> tuple[MatrixConfig, Kernels, Policy]:
    """The matrix file, and the ``kernels.toml`` and ``policy.toml`` beside it or else shipped."""
    matrix = load_matrix(find_matrix_file(name, (_HERE, data_dir("matrix"))), name)
    kernels = load_kernels(_beside(matrix.file, "kernels.toml"))
    return matrix, kernels, load_policy(_beside(matrix.file, "policy.toml"))


def _beside(file: Path, name: str) -> Path:
    near = file.parent / name
    return near if near.is_file() else data_dir("matrix") / name


@matrix_group.command(name="plan")
@click.argument("matrix", default=DEFAULT_MATRIX)
@_matrix_options
def plan_command(
    matrix: str, kernels: list[str], scenarios: list[str], pairs: str | None, accel: str | None
) -> None:
    """Show all cells of MATRIX, and which kernels are cached, before anything runs."""
    config, known, _ = _load(matrix)
    plan = make_plan(
        config, known, names=kernels, scenarios=scenarios, pairs=pairs, accelerator=accel
    )
    for name in plan.kernels:
        state = "cached" if is_cached(known.select(name)) else "to build"
        click.echo(f"kernel {name}: {state}")
    for cell in plan.cells:
        click.echo(f"cell {cell.producer} -> {cell.consumer} {cell.scenario}")
    click.echo(f"{len(plan.cells)} cells of {len(plan.kernels)} kernels")


@matrix_group.command(name="run")
@click.argument("matrix", default=DEFAULT_MATRIX)
@_matrix_options
@click.option("-j", "--jobs", type=click.IntRange(1), default=os.cpu_count(), help="cells at once")
@click.option("--resume", is_flag=True, help="go on with the last run, or the one of --run")
@click.option("--run", "run_id", help="the run to resume, by id or path")
@click.pass_context
def run_command(
    context: click.Context,
    matrix: str,
    kernels: list[str],
    scenarios: list[str],
    pairs: str | None,
    accel: str | None,
    jobs: int,
    resume: bool,
    run_id: str | None,
) -> None:
    """Run the cells of MATRIX and print the compatibility table.

    MATRIX is a file, or the name of one in matrix/: default, releases. The results go to
    runs/<id>/, one JSON file a cell.
    """
    folder = None
    if resume or run_id:
        _only_resume(context)
        folder = open_run(RUNS, run_id) if run_id else latest_run(RUNS)
        plan = Plan.from_json(folder.request())
        _, known, policy = _load(plan.matrix)
    else:
        config, known, policy = _load(matrix)
        plan = make_plan(
            config, known, names=kernels, scenarios=scenarios, pairs=pairs, accelerator=accel
        )
    folder = _run(plan, known, folder, jobs)
    results = list(load_all(folder, [cell.name for cell in plan.cells]).values())
    click.echo(table(results, plan.kernels), nl=False)
    click.echo(f"results: {folder.path}/")
    context.exit(_judge(results, policy))


def _only_resume(context: click.Context) -> None:
    """A resumed run goes on as it began: refuse what would ask for another one."""
    for name in ("matrix", "kernels", "scenarios", "pairs", "accel"):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"a run is resumed as it began: leave out {name}")


def _run(plan: Plan, known: Kernels, folder: RunFolder | None, jobs: int) -> RunFolder:
    """Run what has no result yet; a new run has its folder when its kernels are there."""
    wanted = remaining(plan, folder) if folder else plan.cells
    progress = progress_for()
    bench = prepare(plan, known, wanted, cache_dir(), progress, _tell) if wanted else None
    folder = folder or new_run(RUNS, plan.to_json())
    if bench is not None:
        run_matrix(bench, wanted, folder, jobs, progress)
    return folder


def _tell(error: KhociError) -> None:
    click.echo(error.report, err=True)


def _judge(results: Sequence[CellResult], policy: Policy) -> int:
    """Say what the policy forbids, and return the exit code."""
    if any(result.verdict is Verdict.ERROR for result in results):
        click.echo("khoci: some cells could not be run: see ERROR above", err=True)
        return EXIT_HARNESS
    lines = violations(results, policy)
    for line in lines:
        click.echo(f"policy: {line}", err=True)
    return EXIT_DISAGREE if lines else EXIT_OK


@cell_group.command(name="run")
@click.argument("producer")
@click.argument("consumer")
@click.argument("scenario", type=click.Choice(sorted(scenarios())))
@click.option("--matrix", default=DEFAULT_MATRIX, help="matrix file whose [guest] table is used")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="keep logs and capture in this folder"
)
@click.option("--print-qemu", is_flag=True, help="only print the QEMU command that boots the guest")
@click.option(
    "--interactive", is_flag=True, help="watch the handover on a console, with the monitor"
)
@_accelerator_option
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
) -> None:
    """Run one cell: PRODUCER hands over to CONSUMER, SCENARIO says what."""
    config, known, policy = _load(matrix)
    cell = Cell(known.select(producer).name, known.select(consumer).name, scenario)
    plan = make_plan(
        config,
        known,
        names=[cell.producer, cell.consumer],
        scenarios=[scenario],
        accelerator=accel,
    )
    progress = NoProgress() if print_qemu else progress_for()
    bench = prepare(plan, known, [cell], cache_dir(), progress, _tell)
    if print_qemu:
        click.echo(shell_line(bare_command(machine(bench, cell))))
    elif interactive:
        run_interactive(machine(bench, cell), consumer_cmdline(bench, cell))
    else:
        result = _run_one(bench, cell, keep)
        click.echo(describe(result), nl=False)
        context.exit(_judge([result], policy))


def _run_one(bench: Bench, cell: Cell, keep: Path | None) -> CellResult:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        return asyncio.run(run_cell(bench, cell, keep))
    with tempfile.TemporaryDirectory(prefix="khoci-") as folder:
        return asyncio.run(run_cell(bench, cell, Path(folder)))
