"""The decoded blocks are those that a real consumer reserves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.cli.options import load
from khoci.compat.bench import Bench
from khoci.compat.cell import run_cell
from khoci.compat.plan import Cell
from khoci.format import capture
from khoci.format.blocks import Blocks
from khoci.format.errors import Place
from khoci.format.handover import decode
from khoci.format.reading import Reader, read_as
from khoci.kernel.cache import Artifact
from khoci.paths import cache_dir
from khoci.progress import NoProgress
from khoci.run.matrix import make_plan, prepare
from tests.vm.reserved import reserved

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

SCENARIOS = ["kho-test", "reserve-mem"]


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("kernel", ["6.17", "6.18", "7.3"])
def test_a_kernel_reserves_what_its_own_kind_of_map_lists(
    kernels: dict[str, Artifact], tmp_path: Path, kernel: str, scenario: str
) -> None:
    log = run(tmp_path, kernel, kernel, scenario)
    kept = capture.load(tmp_path / "handover.khocap")
    handover = decode(kept.pages, kept.fdt_addr, scratch=kept.scratch)
    assert sorted(reserved(log)) == extents(handover.map.blocks)
    assert len(handover.map.blocks) > 3


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_kernel_reserves_what_it_reads_in_a_map_of_the_other_layout(
    kernels: dict[str, Artifact], tmp_path: Path, scenario: str
) -> None:
    log = run(tmp_path, "6.18", "6.17", scenario)
    kept = capture.load(tmp_path / "handover.khocap")
    handover = decode(kept.pages, kept.fdt_addr, scratch=kept.scratch)
    pointer = handover.root.memory_map
    assert pointer
    reading = read_as(kept.pages, pointer, Reader.A, Place("map", pointer), int_sizes=True)
    assert sorted(reserved(log)) == extents(reading.blocks)
    lost = len(handover.map.blocks) - len(reading.blocks)
    assert lost > 0 if scenario == "reserve-mem" else lost >= 0  # chance places the test's folios
    assert len(reading.blocks) > 0


def run(folder: Path, producer: str, consumer: str, scenario: str) -> str:
    """The consumer's log of one cell; the capture is left in ``folder``."""
    config, known, _ = load("releases")
    cell = Cell(known.select(producer).name, known.select(consumer).name, scenario)
    names = sorted({cell.producer, cell.consumer})
    plan = make_plan(config, known, names=names, scenarios=[scenario])
    bench = prepare(plan, known, [cell], cache_dir(), NoProgress(), print)
    asyncio.run(run_cell(telling(bench, scenario), cell, folder))
    return (folder / "consumer.log").read_text()


def telling(bench: Bench, name: str) -> Bench:
    """The same, but kernels tell each reservation."""
    scenario = bench.scenarios[name]
    told = replace(scenario, cmdline=f"{scenario.cmdline} memblock=debug")
    return replace(bench, scenarios={name: told})


def extents(blocks: Blocks) -> list[tuple[int, int]]:
    return list(zip(blocks.phys.tolist(), blocks.last.tolist(), strict=True))
