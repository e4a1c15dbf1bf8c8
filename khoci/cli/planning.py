"""``khoci matrix plan``: what would be run, before anything is."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click
from click.core import ParameterSource

from khoci.cli.completing import complete_matrices
from khoci.cli.options import json_option, load, matrix_options, series_options
from khoci.cli.planned import planned
from khoci.config.kernels import Kernels
from khoci.config.matrix import DEFAULT_MATRIX
from khoci.engine import github, gitlab, kubernetes, slurm
from khoci.engine.work import MOST, Render, Work, to_json
from khoci.kernel import store
from khoci.run.matrix import Plan
from khoci.run.shards import MOST_SHARDS


def _render_json(work: Work) -> str:
    return json.dumps(to_json(work), indent=2, ensure_ascii=False) + "\n"


FORMATS: Mapping[str, Render] = {
    "json": _render_json,
    "github": github.render,
    "gitlab": gitlab.render,
    "slurm": slurm.render,
    "kubernetes": kubernetes.render,
}

_NAMES = ("kernels", "scenarios", "pairs", "accel", "series", "each_patch")
"""Parameters that narrow a plan down; their options are called so too."""


@click.command(name="plan")
@click.argument("matrix", default=DEFAULT_MATRIX, shell_complete=complete_matrices)
@matrix_options
@series_options
@click.option("--format", "form", type=click.Choice((*FORMATS,)), help="for what runs shards")
@click.option(
    "--shards",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="how many parts; by default as many as are worth their while",
)
@json_option
@click.pass_context
def plan_command(
    context: click.Context,
    matrix: str,
    kernels: list[str],
    scenarios: list[str],
    pairs: str | None,
    accel: str | None,
    series: str | None,
    form: str | None,
    shards: int | None,
    *,
    each_patch: bool,
    as_json: bool,
) -> None:
    """Show all cells of MATRIX, and which kernels are cached, before anything runs.

    With --format it prints what runs the matrix on many machines, in shards of about the same
    time, the longest first: github (one line of JSON with the matrices of two jobs, kernels and
    shards), gitlab (a child pipeline), slurm (a batch script), kubernetes (an Indexed Job), json
    (all cells and shards; --json is short for it).

    Example: khoci matrix plan releases --format github --shards 8
    """
    config, known, _ = load(matrix)
    plan = planned((config, known), kernels, scenarios, pairs, accel, series, each_patch=each_patch)
    form = "json" if as_json else form
    if form is not None:
        work = work_of(plan, known, said(context), shards, MOST.get(form, MOST_SHARDS))
        click.echo(FORMATS[form](work), nl=False)
        return
    for name in plan.kernels:
        cached = store.is_cached(known.select(name))
        click.echo(f"kernel {name}: {'cached' if cached else 'to build'}")
    for cell in plan.cells:
        click.echo(f"cell {cell.producer} -> {cell.consumer} {cell.scenario}")
    click.echo(f"{len(plan.cells)} cells of {len(plan.kernels)} kernels")
    if shards:
        for shard in plan.shards(shards):
            seconds = round(shard.seconds)
            click.echo(f"shard {shard.label}: {len(shard.cells)} cells, about {seconds} s")


def work_of(
    plan: Plan, known: Kernels, words: tuple[str, ...], count: int | None, most: int
) -> Work:
    """The work of a plan that a command line with these words asks for."""
    specs = {name: known.select(name) for name in plan.kernels}
    return Work(
        matrix=plan.matrix,
        words=words,
        kernels={name: store.key(spec) for name, spec in specs.items()},
        cached={name: store.is_cached(spec) for name, spec in specs.items()},
        shards=plan.shards(count, most),
    )


def said(context: click.Context) -> tuple[str, ...]:
    """The words by which this command line tells the plan from all others."""
    given = [
        name
        for name in _NAMES
        if context.get_parameter_source(name)
        in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    ]
    words = [str(context.params["matrix"])]
    for name in given:
        value = context.params[name]
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(",".join(value) if isinstance(value, list) else str(value))
    return tuple(words)
