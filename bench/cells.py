"""How long the pairs of a matrix take with producers that are kept, against a boot for each pair.

``python -m bench.cells [--kernels A,B] [--rounds N]``: all pairs of the kernels, in them all
scenarios that can share a boot. The rounds of both ways alternate; what is printed is their
median, and the ratio. Verdicts that differ end it. With ``--words`` kept producers are a third way,
where all guests have these words more on their command lines.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import click

from khoci.cli.options import load, tell
from khoci.compat.bench import Bench
from khoci.compat.cell import groups, run_cells_of_a_pair
from khoci.compat.plan import Cell
from khoci.compat.ready import Producers
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.results import CellResult
from khoci.run.local import run_cells
from khoci.run.matrix import make_plan, prepare
from khoci.verdicts import Verdict

Verdicts = Mapping[Cell, Mapping[str, Verdict]]


def main() -> None:
    """Run both ways in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", type=lambda text: text.split(","), default=())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--words", default="", help="more of the kernel command lines")
    chosen = parser.parse_args()
    config, known, _ = load("releases")
    plan = make_plan(config, known, names=chosen.kernels)
    bench = prepare(plan, known, plan.cells, cache_dir(), progress_for(), tell)
    joint = [name for name, scenario in bench.scenarios.items() if scenario.joint]
    cells = replace(plan, scenarios=tuple(joint)).cells
    pairs = len({cell.pair for cell in cells})
    click.echo(f"{pairs} pairs with {', '.join(joint)}; -j {chosen.jobs}, {bench.accelerator.name}")
    ways = {"a boot for each": (bench, False), "producers kept": (bench, True)}
    if chosen.words:
        cmdline = f"{bench.guest.cmdline} {chosen.words}"
        longer = replace(bench, guest=replace(bench.guest, cmdline=cmdline))
        ways[f"and with {chosen.words}"] = (longer, True)
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    seen: list[Verdicts] = []
    for _ in range(chosen.rounds):
        for way, found in seconds.items():
            (guests, kept), began = ways[way], time.monotonic()
            seen.append(asyncio.run(_run(guests, cells, chosen.jobs, kept=kept)))
            found.append(time.monotonic() - began)
            click.echo(f"  {way}: {found[-1]:.1f} s")
    if any(verdicts != seen[0] for verdicts in seen):
        raise SystemExit("the verdicts are not the same in all rounds")
    medians = {way: median(found) for way, found in seconds.items()}
    naive = next(iter(medians.values()))
    for way, taken in medians.items():
        click.echo(f"{way}: {taken:.1f} s, {taken / pairs:.2f} s a pair, {naive / taken:.2f}")
    click.echo("the last is how many times as fast; verdicts are the same")


async def _run(bench: Bench, cells: Sequence[Cell], jobs: int, *, kept: bool) -> Verdicts:
    producers = Producers(jobs + 1) if kept else None
    shared = replace(bench, producers=producers)
    verdicts: dict[Cell, Mapping[str, Verdict]] = {}
    with tempfile.TemporaryDirectory(prefix="khoci-bench-") as folder:

        def evidence(name: str) -> Path:
            path = Path(folder) / name
            path.mkdir(exist_ok=True)
            return path

        async def run(group: Sequence[Cell]) -> Sequence[CellResult]:
            return await run_cells_of_a_pair(shared, group, evidence)

        def done(group: Sequence[Cell], results: Sequence[CellResult]) -> None:
            for cell, result in zip(group, results, strict=True):
                components = result.components.items()
                verdicts[cell] = {name: judgement.verdict for name, judgement in components}

        try:
            await run_cells(groups(cells, bench.scenarios), run, jobs, done)
        finally:
            if producers is not None:
                producers.close()
    return verdicts


if __name__ == "__main__":
    main()
