"""Plan, shards, merge and report of very many simulated cells: time and memory for each of them.

Two sizes are taken in one run, and what a cell costs in the larger is held against the smaller: 1.0
is linear. Times are of the CPU: what else runs does not count. Each step runs in a process of its
own, so that its peak of memory is its own. Results are as large as real ones (10 KB) unless
``--small``; evidence is left out, khoci only copies it.

    python -m bench.many_cells --kernels 100 200     # 120,000 and 480,000 cells
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from khoci.config.matrix import GuestConfig
from khoci.config.policy import load_policy
from khoci.engine import slurm
from khoci.engine.work import Work, to_json
from khoci.paths import data_dir
from khoci.report import junit, plain
from khoci.report.text import table
from khoci.results import CellResult, Evidence, Judgement
from khoci.run.folder import RunFolder, new_run
from khoci.run.matrix import Plan
from khoci.run.merged import merge, source_of
from khoci.run.reported import report_of
from khoci.scenario import definitions
from khoci.verdicts import Verdict

SHARDS = 1000
_SCENARIOS = 12
_SMALL = "small"
_SIMULATED = ("PRODUCER", "CONSUMER", "SCENARIO")
_MB = 1 << 20


def plan_of(kernels: int) -> Plan:
    """Each kernel with each, in twelve scenarios."""
    names = tuple(f"v{7 + number // 20}.{number % 20}.1" for number in range(kernels))
    return Plan(names, "all", _scenarios(), GuestConfig(), "bench")


def _scenarios() -> tuple[str, ...]:
    return tuple(sorted(definitions()))[:_SCENARIOS]


def _template(regions: int) -> str:
    """A result with words in place of the names; ten regions make it as large as a real one."""
    proof = (Evidence("log", "KHO: found kexec handover data, as it should be"),)
    region = {
        "owner": "kho_test",
        "start": 1 << 30,
        "size": 1 << 20,
        "before": "0" * 64,
        "arrived": "0" * 64,
        "after": "0" * 64,
        "pages": {"total": 256, "free": 0, "reserved": 256, "plain": 0, "used": 0, "nopage": 0},
        "left": {"total": 256, "free": 0, "reserved": 256, "plain": 0, "used": 0, "nopage": 0},
        "fate": {"kept": 1 << 20},
    }
    components = {name: Judgement(Verdict.RESTORED, proof) for name in ("root", "memory map")}
    details = {
        "khoci": "0.1.0",
        "accelerator": "tcg",
        "regions": [region] * regions,
        "phases": [{"name": "boot", "start": 0.0, "seconds": 1.5}] * 6,
    }
    result = CellResult(*_SIMULATED, Verdict.RESTORED, components, details=details)
    return json.dumps(result.to_json(), indent=2) + "\n"


def plan_step(kernels: int, _folder: Path) -> None:
    """From names to what an engine is told."""
    plan = plan_of(kernels)
    keys = dict.fromkeys(plan.kernels, "0" * 64)
    work = Work("bench", ("bench",), keys, plan.shards(SHARDS))
    json.dumps(to_json(work))
    slurm.render(work)


def simulate(kernels: int, folder: Path) -> None:
    """The shards, as if they had run; not of khoci."""
    plan, text = plan_of(kernels), _template(0 if folder.name == _SMALL else 10)
    for shard in plan.shards(SHARDS):
        asked = replace(plan, shard=shard.label).to_json()
        run = new_run(folder / "shards", asked, str(shard.number))
        for cell in shard.cells:
            content = text
            names = (cell.producer, cell.consumer, cell.scenario)
            for word, name in zip(_SIMULATED, names, strict=True):
                content = content.replace(word, name)
            run.result_file(cell.name).write_text(content)


def merge_step(kernels: int, folder: Path) -> None:
    """One run of all shards."""
    target = new_run(folder, plan_of(kernels).to_json(), "all")
    sources = [source_of(RunFolder(path)) for path in sorted((folder / "shards").iterdir())]
    if merge(sources, target).missing:
        raise SystemExit("the merge lost cells")


def table_step(kernels: int, folder: Path) -> None:
    """What `khoci matrix merge` prints and judges."""
    policy = load_policy(data_dir("matrix") / "policy.toml", definitions())
    report = report_of(RunFolder(folder / "all"), plan_of(kernels), policy, brief=True)
    if len(report.results) != len(plan_of(kernels).cells):
        raise SystemExit("the report lost cells")
    (folder / "table.txt").write_text(table(report.results, report.order, report.known))
    (folder / "junit.xml").write_text(junit.render(report))


def json_step(kernels: int, folder: Path) -> None:
    """All details as one JSON document."""
    policy = load_policy(data_dir("matrix") / "policy.toml", definitions())
    report = report_of(RunFolder(folder / "all"), plan_of(kernels), policy)
    (folder / "report.json").write_text(plain.render(report))


STEPS: dict[str, Callable[[int, Path], None]] = {
    "plan": plan_step,
    "(simulate)": simulate,
    "merge": merge_step,
    "table": table_step,
    "json": json_step,
}


def measured(step: Callable[[int, Path], None], kernels: int, folder: Path) -> tuple[float, float]:
    """Seconds of CPU, and the peak of memory in megabytes, of a process of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(step, kernels, folder, sender))
    process.start()
    sender.close()
    try:
        seconds, peak = receiver.recv()
    except EOFError:
        raise SystemExit(f"{step.__name__} failed") from None
    finally:
        process.join()
    return seconds, peak


def _measure(
    step: Callable[[int, Path], None],
    kernels: int,
    folder: Path,
    sender: multiprocessing.connection.Connection,
) -> None:
    began = time.process_time()
    step(kernels, folder)
    seconds = time.process_time() - began
    sender.send((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kernels", type=int, nargs=2, default=(20, 40))
    parser.add_argument("--small", action="store_true", help="results of 2 KB: less disk")
    parser.add_argument("--steps", default=",".join(STEPS))
    arguments = parser.parse_args()
    size = _SMALL if arguments.small else "usual"
    found: dict[str, list[tuple[int, float, float]]] = {}
    for kernels in arguments.kernels:
        cells = kernels * kernels * _SCENARIOS
        folder = Path(tempfile.mkdtemp(prefix="khoci-bench-"))
        (folder / size).mkdir()
        try:
            for name in arguments.steps.split(","):
                seconds, peak = measured(STEPS[name], kernels, folder / size)
                found.setdefault(name, []).append((cells, seconds, peak))
                click.echo(
                    f"{cells:>7} cells  {name:<10}  {seconds:8.1f} s"
                    f"  {seconds / cells * 1e6:6.0f} us a cell"
                    f"  {peak:7.0f} MB  {peak * 1024 / cells:6.1f} KB a cell"
                )
            total = sum(path.stat().st_size for path in (folder / size / "all").glob("*.json"))
            click.echo(f"{cells:>7} cells  results     {total / _MB:8.0f} MB")
        finally:
            shutil.rmtree(folder)
    for name, ((cells, seconds, _), (more, longer, _)) in found.items():
        ratio = (longer / more) / (seconds / cells)
        click.echo(f"{name}: a cell of {more} takes {ratio:.2f} times what one of {cells} does")


if __name__ == "__main__":
    main()
