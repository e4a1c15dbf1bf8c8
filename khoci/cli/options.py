"""Options and steps that several commands share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from khoci.cli.completing import (
    complete_kernels,
    complete_matrices,
    complete_scenarios,
    complete_series,
)
from khoci.compat.policy import violations
from khoci.config.kernels import Kernels, known_kernels
from khoci.config.matrix import (
    DEFAULT_MATRIX,
    PAIRS,
    MatrixConfig,
    find_matrix_file,
    load_matrix,
    matrix_folders,
)
from khoci.config.policy import Policy, load_policy
from khoci.errors import EXIT_DISAGREE, EXIT_HARNESS, EXIT_OK, KhociError
from khoci.kernel.cache import Cache
from khoci.kernel.shared import Shared
from khoci.paths import cache_dir, data_dir
from khoci.results import CellResult
from khoci.scenario import definitions
from khoci.series.known import all_known
from khoci.verdicts import Verdict
from khoci.vm.machine import ACCELERATORS


def words(_context: click.Context, _parameter: click.Parameter, value: str | None) -> list[str]:
    """The words of an option's value, which has commas between them; none if it is not given."""
    found = [word.strip() for word in (value or "").split(",") if word.strip()]
    if value is not None and not found:
        raise click.BadParameter("it is empty")
    return list(dict.fromkeys(found))


def matrix_options(command: click.decorators.FC) -> click.decorators.FC:
    """What narrows a matrix down."""
    options = [
        click.option(
            "--kernels",
            callback=words,
            shell_complete=complete_kernels,
            help="kernels instead of the file's: 6.17,v7.3.4",
        ),
        click.option(
            "--scenarios",
            callback=words,
            shell_complete=complete_scenarios,
            help="scenarios instead of the file's",
        ),
        click.option("--pairs", type=click.Choice(PAIRS), help="which pairs instead of the file's"),
        accelerator_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def series_options(command: click.decorators.FC) -> click.decorators.FC:
    """What makes a matrix one around a series."""
    options = [
        click.option(
            "--series",
            metavar="SLUG[:vN]|MSGID",
            shell_complete=complete_series,
            help="around a series that is applied",
        ),
        click.option("--each-patch", is_flag=True, help="its patches one by one too"),
    ]
    for option in reversed(options):
        command = option(command)
    return command


no_sandbox_option = click.option(
    "--no-sandbox",
    is_flag=True,
    envvar="KHOCI_NO_SANDBOX",
    help="Build kernels of strangers without a sandbox: their code runs with all your rights.",
)


jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    help="cells at once; by default as many as there are cores, and memory for",
)

no_policy_option = click.option(
    "--no-policy", is_flag=True, help="leave it to others to judge; a failed harness is still told"
)

no_cell_cache_option = click.option(
    "--no-cell-cache",
    is_flag=True,
    envvar="KHOCI_NO_CELL_CACHE",
    help="run all cells, also those whose result is known, and keep none of the results",
)


def opened(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> Shared | None:
    """The store of an option's value."""
    return Shared(value) if value else None


store_option = click.option(
    "--store",
    metavar="URL",
    envvar="KHOCI_STORE",
    callback=opened,
    help="kernels that machines share: a folder, s3://..., gs://...",
)

json_option = click.option("--json", "as_json", is_flag=True, help="the same for programs")

guest_option = click.option(
    "--matrix",
    default=DEFAULT_MATRIX,
    shell_complete=complete_matrices,
    help="matrix file whose [guest] table is used",
)

accelerator_option = click.option(
    "--accel",
    type=click.Choice(tuple(ACCELERATORS)),
    envvar="KHOCI_ACCEL",
    help="accelerator; by default what works here, found by booting with it once",
)


def load(name: str, *, no_sandbox: bool = False) -> tuple[MatrixConfig, Kernels, Policy]:
    """The matrix file, with the kernels of all files, and the policy beside it or else shipped."""
    matrix = named_matrix(name)
    kernels = with_stored(kernels_of_matrix(matrix))
    kernels = kernels.trusted() if no_sandbox else kernels
    return matrix, kernels, load_policy(_beside(matrix.file, "policy.toml"), definitions())


def named_matrix(name: str) -> MatrixConfig:
    """The matrix file of this name or path.

    Raises:
        UsageError: there is none, or it is wrong.
    """
    return load_matrix(find_matrix_file(name, matrix_folders()), name)


def kernels_of_matrix(matrix: MatrixConfig) -> Kernels:
    """Those of all files, as the matrix has them built; without those of series."""
    return known_kernels(matrix.file.parent / "kernels.toml").with_config(matrix.config)


def with_stored(kernels: Kernels) -> Kernels:
    """With the kernels of the series that are applied."""
    return all_known(kernels, Cache(cache_dir()).series)


def _beside(file: Path, name: str) -> Path:
    near = file.parent / name
    return near if near.is_file() else data_dir("matrix") / name


def echo_json(data: object) -> None:
    """Print for programs."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def tell(error: KhociError) -> None:
    """Say what went wrong on the way."""
    click.echo(error.report, err=True)


def judge(
    results: Sequence[CellResult],
    policy: Policy | None,
    order: Sequence[str],
    made_of: Mapping[str, str] | None = None,
) -> int:
    """Say what the policy forbids, if there is one to judge by, and return the exit code."""
    if any(result.verdict is Verdict.ERROR for result in results):
        click.echo("khoci: some cells could not be run: see ERROR above", err=True)
        return EXIT_HARNESS
    lines = violations(results, policy, order, made_of) if policy else []
    for line in lines:
        click.echo(f"policy: {line}", err=True)
    return EXIT_DISAGREE if lines else EXIT_OK
