"""From a planned cell and two built kernels to its result."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from khoci import __version__
from khoci.compat import loglines
from khoci.compat.cmdline import kernel_cmdline
from khoci.compat.facts import Facts
from khoci.compat.observe import CAPTURE, CellSetup, observe
from khoci.compat.outlook import ConsumerTraits
from khoci.compat.plan import Cell
from khoci.compat.predict import Prediction, predict
from khoci.compat.verdict import cell_verdict, judge
from khoci.config.abi import Releases
from khoci.config.matrix import DEFAULT_MATRIX, GuestConfig
from khoci.errors import HarnessError
from khoci.format import capture
from khoci.format.capture import Kernel
from khoci.format.handover import decode
from khoci.guest.initramfs import consumer_initramfs, producer_initramfs
from khoci.kernel.cache import Artifact
from khoci.results import CellResult, Evidence, Judgement
from khoci.scenario.base import Scenario
from khoci.verdicts import Verdict
from khoci.vm.machine import Accelerator, Machine

WATCHED = ("KEXEC_HANDOVER", "TEST_KEXEC_HANDOVER", "LIVEUPDATE")
"""Kconfig symbols of the consumer that verdicts depend on."""


@dataclass(frozen=True)
class Bench:
    """What all cells of a run share.

    Attributes:
        kernels: built kernels by name.
        broken: why a kernel is not there, by name.
        scenarios: by name.
        guest: the machine's shape.
        accelerator: how guest code is run.
        agent: the static /init.
        matrix: the matrix file, as named on the command line.
        cache: where initramfs images are kept.
        releases: what each release understands, for the prediction.
    """

    kernels: Mapping[str, Artifact]
    broken: Mapping[str, str]
    scenarios: Mapping[str, Scenario]
    guest: GuestConfig
    accelerator: Accelerator
    agent: Path
    matrix: str
    cache: Path
    releases: Releases


def machine(bench: Bench, cell: Cell) -> Machine:
    """The guest that boots the cell's producer, with the consumer in its initramfs."""
    producer, consumer = bench.kernels[cell.producer], bench.kernels[cell.consumer]
    inner = consumer_initramfs(bench.agent, bench.cache)
    initrd = producer_initramfs(bench.agent, consumer.image, inner, bench.cache)
    return booting(bench, producer, bench.scenarios[cell.scenario], initrd)


def booting(bench: Bench, kernel: Artifact, scenario: Scenario, initrd: Path) -> Machine:
    """The guest of this run that boots ``kernel`` with ``initrd``."""
    return Machine(
        kernel=kernel.image,
        initrd=initrd,
        cmdline=kernel_cmdline(bench.guest, scenario, kernel.cmdline),
        memory=bench.guest.memory,
        cpus=bench.guest.cpus,
        accelerator=bench.accelerator,
        arch=kernel.arch,
    )


def consumer_cmdline(bench: Bench, cell: Cell) -> str:
    """The kernel command line that the cell's consumer is started with."""
    scenario = bench.scenarios[cell.scenario]
    return kernel_cmdline(bench.guest, scenario, bench.kernels[cell.consumer].cmdline)


def missing_need(bench: Bench, cell: Cell) -> str | None:
    """The first kconfig symbol the scenario needs and the producer does not have."""
    producer = bench.kernels.get(cell.producer)
    if producer is None:
        return None
    needs = bench.scenarios[cell.scenario].needs
    return next((symbol for symbol in needs if producer.has(symbol) is False), None)


async def run_cell(bench: Bench, cell: Cell, folder: Path) -> CellResult:
    """Run and judge one cell; a failure of the harness is a result too.

    Args:
        bench: what all cells share.
        cell: which one.
        folder: for logs and the capture; it exists.
    """
    began = time.monotonic()
    result = await _result(bench, cell, folder)
    files = {path.name: f"evidence/{cell.name}/{path.name}" for path in sorted(folder.iterdir())}
    return replace(
        result,
        reproduce=reproduce(cell, bench.matrix),
        files=files,
        seconds=round(time.monotonic() - began, 2),
    )


def reproduce(cell: Cell, matrix: str) -> str:
    """The command that runs the cell again."""
    command = ["khoci", "cell", "run", cell.producer, cell.consumer, cell.scenario]
    return shlex.join(command if matrix == DEFAULT_MATRIX else [*command, "--matrix", matrix])


async def _result(bench: Bench, cell: Cell, folder: Path) -> CellResult:
    for kernel in (cell.producer, cell.consumer):
        if kernel in bench.broken:
            return _without_run(cell, Verdict.ERROR, "harness", bench.broken[kernel])
    lost = missing_need(bench, cell)
    if lost is not None:
        text = f"{cell.producer} has no CONFIG_{lost}: it cannot do this scenario"
        return _without_run(cell, Verdict.ABSENT, "plan", text, bench)
    try:
        facts = await observe(await asyncio.to_thread(_setup, bench, cell, folder))
    except HarnessError as error:
        return _without_run(cell, Verdict.ERROR, "harness", str(error))
    prediction = await asyncio.to_thread(_prediction, bench, cell, folder / CAPTURE)
    return replace(_judged(bench, cell, facts), prediction=prediction)


def _prediction(bench: Bench, cell: Cell, file: Path) -> Prediction | None:
    """What was to be expected by the capture alone; None where nobody can tell."""
    consumer = bench.kernels[cell.consumer]
    abi = bench.releases.find_for(consumer.name, consumer.release)
    if abi is None or not file.exists():
        return None
    kept = capture.load(file)
    handover = decode(kept.pages, kept.fdt_addr, scratch=kept.scratch, page_shift=kept.page_shift)
    return predict(kept.pages, handover, abi, ConsumerTraits(_watched(consumer)))


def _watched(kernel: Artifact) -> dict[str, bool]:
    """Which of `WATCHED` it has, as far as its configuration is known."""
    known = {symbol: kernel.has(symbol) for symbol in WATCHED}
    return {symbol: value for symbol, value in known.items() if value is not None}


def _without_run(
    cell: Cell, verdict: Verdict, kind: str, text: str, bench: Bench | None = None
) -> CellResult:
    component = bench.scenarios[cell.scenario].component if bench else "root"
    judgement = Judgement(verdict, (Evidence(kind, text),))
    return CellResult(cell.producer, cell.consumer, cell.scenario, verdict, {component: judgement})


def _setup(bench: Bench, cell: Cell, folder: Path) -> CellSetup:
    producer, consumer = bench.kernels[cell.producer], bench.kernels[cell.consumer]
    scenario = bench.scenarios[cell.scenario]
    if producer.system_map is None:
        raise HarnessError(f"{cell.producer}: has no System.map, the jump cannot be found")
    return CellSetup(
        producer=cell.producer,
        consumer=cell.consumer,
        consumer_release=consumer.release,
        machine=machine(bench, cell),
        system_map=producer.system_map,
        consumer_cmdline=consumer_cmdline(bench, cell),
        consumer_has=_watched(consumer),
        scenario=scenario,
        folder=folder,
        kernel=Kernel(cell.producer, producer.release, producer.key),
    )


def _judged(bench: Bench, cell: Cell, facts: Facts) -> CellResult:
    judgements = judge(facts)
    sides = (("producer", facts.producer_log), ("consumer", facts.consumer_log))
    return CellResult(
        producer=cell.producer,
        consumer=cell.consumer,
        scenario=cell.scenario,
        verdict=cell_verdict(judgements),
        components=judgements,
        splats=tuple(f"{side}: {line}" for side, log in sides for line in loglines.splats(log)),
        details=_details(bench, cell, facts),
    )


def _details(bench: Bench, cell: Cell, facts: Facts) -> dict[str, Any]:
    kernels = {"producer": bench.kernels[cell.producer], "consumer": bench.kernels[cell.consumer]}
    return {
        "khoci": __version__,
        "kernels": {
            side: {"release": kernel.release, "key": kernel.key} for side, kernel in kernels.items()
        },
        "accelerator": bench.accelerator.name,
        "guest": asdict(bench.guest),
        "handover": asdict(facts.handed) if facts.handed else None,
        "consumer": asdict(facts.consumer) if facts.consumer else None,
        "end": {"how": facts.end.how, "detail": facts.end.detail} if facts.end else None,
        "regions": [asdict(region) for region in facts.regions],
        "misread": [asdict(region) for region in facts.misread],
    }
