"""The proof works: a byte that is changed at the jump, from outside, is found in every scenario."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from khoci.cli.options import load
from khoci.compat import handed
from khoci.compat.atjump import Tamper
from khoci.compat.cell import run_cell
from khoci.compat.plan import Cell
from khoci.format.components import walk
from khoci.format.handover import Handover
from khoci.format.memfd import Memfd
from khoci.kernel.cache import Artifact
from khoci.paths import cache_dir
from khoci.progress import NoProgress
from khoci.results import CellResult
from khoci.run.matrix import make_plan, prepare
from khoci.scenario import definitions
from khoci.verdicts import Verdict
from khoci.vm.ram import GuestRam

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

Place = Callable[[Handover], int]
LAST = 4095


def of_the_root(handover: Handover) -> int:
    """The last byte of the root FDT's page, which no reader looks at."""
    assert handover.fdt_addr is not None
    return handover.fdt_addr + LAST


def of_a_region(handover: Handover) -> int:
    assert handover.reserve_mem
    return handover.reserve_mem.regions[-1].start + 12345


def of_a_folio(handover: Handover) -> int:
    assert handover.kho_test
    return handover.kho_test.folios[-1].phys + 77


def of_a_file(handover: Handover) -> int:
    files = [item.value for _, item in walk(handover.components) if isinstance(item.value, Memfd)]
    return int(files[-1].folios.phys[-1]) + 3


SCENARIOS = {
    "empty": ("7.3", of_the_root),
    "reserve-mem": ("6.17", of_a_region),
    "kho-test": ("7.3", of_a_folio),
    "memfd": ("7.3", of_a_file),
    "luo-sessions": ("7.3", of_a_file),
    "luo-flb": ("7.3", of_a_file),
    "vmalloc": ("7.3", of_a_file),
    "memory-shape": ("7.3", of_a_region),
    "kaslr": ("7.3", of_a_region),
    "unfinalized": ("7.0", of_a_region),
}
CRASH, KHO_OFF = "crash", "kho-off"


def test_every_scenario_is_tried() -> None:
    """But for kho=off, where the consumer takes nothing over: there is no content to prove."""
    assert set(definitions()) == {*SCENARIOS, CRASH, KHO_OFF}


@pytest.mark.parametrize("name", SCENARIOS)
def test_one_byte_is_found(kernels: dict[str, Artifact], tmp_path: Path, name: str) -> None:
    kernel, place = SCENARIOS[name]
    clean = run(tmp_path / "clean", kernel, name, None)
    broken = run(tmp_path / "broken", kernel, name, flipped(place))
    assert clean.verdict is Verdict.RESTORED, clean.components
    assert broken.verdict is Verdict.CORRUPT, broken.components


def test_one_byte_is_found_before_the_consumer_is_made_to_panic(
    kernels: dict[str, Artifact], tmp_path: Path
) -> None:
    clean = run(tmp_path / "clean", "7.3", CRASH, None)
    broken = run(tmp_path / "broken", "7.3", CRASH, flipped(of_a_region))
    assert clean.verdict is broken.verdict is Verdict.PANIC
    assert before(clean) == {Verdict.RESTORED}
    assert Verdict.CORRUPT in before(broken)


def before(result: CellResult) -> set[str]:
    """What the components were until the consumer was made to panic."""
    evidence = [item for found in result.components.values() for item in found.evidence]
    return {item.data["before"] for item in evidence if "before" in item.data}


def flipped(place: Place) -> Tamper:
    def flip(ram: GuestRam, handover: Handover) -> None:
        address = place(handover)
        assert any(start <= address < end for start, end in preserved(handover))
        ram.write(address, bytes([ram.read(address, 1)[0] ^ 1]))

    return Tamper(flip, secret=True)


def preserved(handover: Handover) -> list[tuple[int, int]]:
    return [(item.start, item.end) for _, item in handed.regions(handover)]


def run(folder: Path, kernel: str, scenario: str, tamper: Tamper | None) -> CellResult:
    folder.mkdir()
    config, known, _ = load("releases")
    plan = make_plan(config, known, names=[kernel], scenarios=[scenario], pairs="self")
    (cell,) = plan.cells
    bench = prepare(plan, known, [cell], cache_dir(), NoProgress(), print)
    return asyncio.run(run_cell(bench, Cell(*cell.pair, scenario), folder, tamper))
