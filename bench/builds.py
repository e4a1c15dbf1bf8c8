"""What a kernel from nothing costs: by config, two at once, and by tuxmake and virtme-ng.

Each part compares in one run, without ccache and with no objects to begin with:

configs     the lean config against the distribution-like one, each unpacked and built by khoci
together    two kernels one after the other, and at once: as two khoci do it, who take turns where
            they use all cores, and without turns; -j and --target are not for this
tools       make as khoci calls it, ``tuxmake`` and ``vng --build``: the same tree, config and jobs

CPU seconds are those of all processes that took part; they tell more than wall time where something
else runs too. Rounds alternate, of each thing the median is shown, and its ratio to the first.
Run ``python -m bench.builds configs --rounds 1`` from the top of the repository.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from bench.others import installed
from khoci.cli.options import load
from khoci.config.kernels import DebianSource, KernelSpec, known_kernels
from khoci.errors import HarnessError
from khoci.kernel import store
from khoci.kernel.build import How
from khoci.kernel.cache import LOG, Cache
from khoci.kernel.configure import configure, request_of
from khoci.kernel.make import OBJECTS, Make
from khoci.kernel.source import fill_tree
from khoci.kernel.unpack import lean
from khoci.paths import cache_dir
from khoci.progress import NoProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_LIKE = "distribution-like"
_OTHERS = ("7.2", "7.3")
_ALL = ("bzImage",)
_OBJECT = re.compile(r"^  (?:CC|AS) ", re.MULTILINE)


@dataclass(frozen=True)
class Cost:
    """Seconds of all processes together and of the clock, and what was compiled."""

    cpu: float
    wall: float
    objects: int


@dataclass(frozen=True)
class Asked:
    """What is built: the kernel, the jobs of make, its targets."""

    spec: KernelSpec
    jobs: int
    targets: tuple[str, ...]


Costs = dict[str, Cost]


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(("configs", "together", "tools")))
@click.option(
    "--kernel",
    default="7.3",
    help="which; its source package, and that of 7.2 or 7.3, have to be downloaded",
)
@click.option("--rounds", type=click.IntRange(1), default=3)
@click.option("-j", "--jobs", type=click.IntRange(1), default=len(os.sched_getaffinity(0)))
@click.option("--target", "targets", multiple=True, help="of make, such as mm/, for less than all")
def main(
    parts: tuple[str, ...], kernel: str, rounds: int, jobs: int, targets: tuple[str, ...]
) -> None:
    """Build, and print a table for each of PARTS, or for all."""
    os.environ["CCACHE_DISABLE"] = "1"
    asked = Asked(known_kernels().select(kernel), jobs, targets or _ALL)
    for part in parts or _PARTS:
        found = [_PARTS[part](asked) for _ in range(rounds)]
        click.echo(f"{part}: {asked.spec.name}, -j {jobs}, medians of {rounds}")
        medians = {name: _median([costs[name] for costs in found]) for name in found[0]}
        first = next(iter(medians.values()))
        for name, cost in medians.items():
            click.echo(
                f"  {name:<28} {cost.objects:5} objects {cost.cpu:7.0f} s of CPU {cost.wall:6.0f} s"
                f"  ratio {cost.cpu / first.cpu:.2f}, {cost.wall / first.wall:.2f}"
            )


def _configs(asked: Asked) -> Costs:
    like = load(_LIKE)[1].select(asked.spec.name)
    how = How(asked.jobs)
    return {_LIKE: _obtained([like], how), "lean": _obtained([asked.spec], how)}


def _together(asked: Asked) -> Costs:
    cores = len(os.sched_getaffinity(0))
    others = map(known_kernels().select, _OTHERS)
    pair = [asked.spec, next(each for each in others if each != asked.spec)]
    return {
        "one after the other": _obtained(pair, How()),
        "at once": _obtained(pair, How(), at_once=2),
        "at once, without turns": _obtained(pair, How(cores), at_once=2),
    }


def _obtained(specs: Sequence[KernelSpec], how: How, at_once: int = 1) -> Cost:
    """Have khoci build kernels into a cache that has only what was downloaded."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=cache_dir()) as folder:
        cache = Cache(Path(folder))
        cache.downloads.symlink_to(cache_dir() / "downloads")
        logs: list[Path] = []

        def obtain(spec: KernelSpec) -> None:
            artifact = store.obtain(spec, cache=cache, how=how)
            logs.append(cache.folder(artifact.key) / LOG)

        def work() -> None:
            with ThreadPoolExecutor(at_once) as pool:
                list(pool.map(obtain, specs))

        return _cost(work, logs)


def _tools(asked: Asked) -> Costs:
    with tree_of(asked.spec) as tree, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        make = make_in(tree, asked.jobs)
        costs = {
            "make as khoci calls it": _cost(
                lambda: built(make, asked.spec, asked.targets), [make.log]
            )
        }
        config = Path(folder) / "config"
        shutil.copy(make.objects / ".config", config)
        shutil.rmtree(make.objects)
        for tool, command in _commands(asked, config).items():
            if tool == "vng" and asked.targets != _ALL:
                click.echo("tools: vng always builds all: left out with --target")
                continue
            found = installed(command[0])
            if found is None:
                click.echo(f"tools: {command[0]} is not installed: pip install --group bench")
                continue
            if tool == "vng":
                shutil.copy(config, tree / ".config")
            log = Path(folder) / f"{tool}.log"
            costs[tool] = _cost(partial(_run, [str(found), *command[1:]], tree, log), [log])
        return costs


def _commands(asked: Asked, config: Path) -> Mapping[str, list[str]]:
    """The command lines of the other tools; that of vng builds in the tree, so it comes last."""
    out = config.with_name("out")
    named = [word for target in asked.targets for word in ("--make-target", target)]
    wanted = ["kernel"] if asked.targets == _ALL else named
    tuxmake = ["tuxmake", "--jobs", str(asked.jobs), "--kconfig", str(config), "--verbose"]
    return {
        "tuxmake": [*tuxmake, "--output-dir", str(out), *wanted],
        "vng": ["vng", "--build", "--skip-modules", "--verbose", "--jobs", str(asked.jobs)],
    }


def _cost(work: Callable[[], None], logs: list[Path]) -> Cost:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    work()
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    objects = sum(len(_OBJECT.findall(log.read_text(errors="replace"))) for log in logs)
    return Cost(cpu, wall, objects)


def make_in(tree: Path, jobs: int) -> Make:
    """How to call make in a tree that has no objects."""
    shutil.rmtree(tree / OBJECTS, ignore_errors=True)
    log = tree.with_suffix(".log")
    log.write_text("")
    return Make(tree, log, "x86", jobs, known=True)


def built(make: Make, spec: KernelSpec, targets: Sequence[str]) -> None:
    """Configure, and compile.

    Raises:
        HarnessError: it does not build.
    """
    configure(spec.name, make, request_of(spec))
    if make.run(*targets) != 0:
        raise HarnessError(f"{spec.name}: does not build: {make.log.read_text()[-500:]}")


def _run(command: list[str], tree: Path, log: Path) -> None:
    with log.open("w") as output:
        done = subprocess.run(command, cwd=tree, stdout=output, stderr=output, check=False)
    if done.returncode != 0:
        raise HarnessError(f"{command[0]} failed: {log.read_text()[-500:]}")


@contextmanager
def tree_of(spec: KernelSpec) -> Iterator[Path]:
    """The sources of a kernel as khoci unpacks them; removed at the end."""
    source = next(each for each in spec.sources if isinstance(each, DebianSource))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        tree = Path(folder) / "linux"
        fill_tree(source, tree, Cache(cache_dir()).downloads, lean("x86"), NoProgress())
        yield tree


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        median(cost.cpu for cost in costs), median(cost.wall for cost in costs), costs[0].objects
    )


_PARTS: Mapping[str, Callable[[Asked], Costs]] = {
    "configs": _configs,
    "together": _together,
    "tools": _tools,
}

if __name__ == "__main__":
    main()
