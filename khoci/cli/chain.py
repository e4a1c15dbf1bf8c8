"""``khoci chain``: state that travels through more than two kernels."""

from __future__ import annotations

import asyncio
import json
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
    words,
)
from khoci.compat.bench import Bench
from khoci.compat.chain import run_chain
from khoci.compat.plan import Cell
from khoci.errors import EXIT_DISAGREE, EXIT_OK, UsageError
from khoci.files import write_atomic
from khoci.paths import cache_dir
from khoci.progress import Progress, progress_for
from khoci.report.chain import table
from khoci.results import ChainResult
from khoci.run.folder import CHAIN, RUNS, RunFolder, new_run
from khoci.run.matrix import make_plan, prepare

_EXAMPLES = """\b
Examples:
  khoci chain run 6.18 6.19 7.0 6.19
  khoci chain run 7.3 --hops 10 --scenarios memfd
"""
_SCHEMA = 1
_SCENARIOS = "kho-test,reserve-mem,memfd"


@click.group(name="chain")
def chain_group() -> None:
    """Hand over through more than two kernels, in one boot.

    Example: khoci chain run 6.18 6.19 7.0
    """


@chain_group.command(name="run", epilog=_EXAMPLES)
@click.argument("kernels", nargs=-1, required=True, shell_complete=complete_kernels)
@click.option("--hops", type=click.IntRange(1), help="repeat KERNELS until there are so many")
@click.option(
    "--scenarios",
    callback=words,
    shell_complete=complete_scenarios,
    default=_SCENARIOS,
    show_default=True,
)
@guest_option
@accelerator_option
@no_sandbox_option
@json_option
@click.pass_context
def run_command(
    context: click.Context,
    kernels: tuple[str, ...],
    hops: int | None,
    scenarios: list[str],
    matrix: str,
    accel: str | None,
    *,
    no_sandbox: bool,
    as_json: bool,
) -> None:
    """Hand over from the first of KERNELS to the next, and so on to the last.

    Each scenario travels in a boot of its own. The table says what became of each component at
    each hop: one that a kernel does not hand over again is absent from then on.

    Exit codes: 0 as expected, 1 the kernels disagree with the policy, 2 wrong use, 3 the harness or
    the host failed.
    """
    config, known, policy = load(matrix, no_sandbox=no_sandbox)
    names = _route([known.select(name).name for name in kernels], hops)
    plan = make_plan(
        config, known, names=names, scenarios=scenarios, pairs="self", accelerator=accel
    )
    wanted = [Cell(name, name, plan.scenarios[0]) for name in dict.fromkeys(names)]
    progress = progress_for()
    bench = prepare(plan, known, wanted, cache_dir(), progress, tell)
    folder = new_run(RUNS, {**plan.to_json(), CHAIN: names})
    found = [_run(bench, names, scenario, folder, progress) for scenario in plan.scenarios]
    if as_json:
        chains = [chain.to_json() for chain in found]
        echo_json({"schema": _SCHEMA, "run": folder.id, "chains": chains})
    else:
        show("".join(f"{table(chain)}\n" for chain in found))
        click.echo(f"results: {folder.path}/")
    status = judge([hop for chain in found for hop in chain.hops], policy, plan.kernels)
    counted = any(chain.problems for chain in found)
    context.exit(EXIT_DISAGREE if counted and status == EXIT_OK else status)


def _route(kernels: list[str], hops: int | None) -> list[str]:
    """The names of all kernels on the way."""
    if hops is None:
        if len(kernels) < 2:
            raise UsageError("a chain has two kernels or more: name them, or say --hops")
        return kernels
    return [kernels[number % len(kernels)] for number in range(hops + 1)]


def _run(
    bench: Bench, names: list[str], scenario: str, folder: RunFolder, progress: Progress
) -> ChainResult:
    hops = len(names) - 1
    progress.start(f"running a chain of {hops} hop{'s' if hops > 1 else ''}, {scenario}")
    try:
        evidence: Path = folder.evidence(f"chain..{scenario}")
        chain = asyncio.run(run_chain(bench, names, scenario, evidence))
    finally:
        progress.done()
    text = json.dumps(chain.to_json(), indent=2, ensure_ascii=False)
    write_atomic(folder.path / f"chain..{scenario}.json", text + "\n")
    return chain
