from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.compat.bench import Bench, consumer_cmdline, machine, missing_need, nested
from khoci.compat.cell import groups, run_cell, run_cells_of_a_pair
from khoci.compat.plan import Cell
from khoci.config.abi import default_folder, load_releases
from khoci.config.matrix import DEFAULT_MATRIX, GuestConfig
from khoci.kernel.cache import Artifact
from khoci.results import CellResult
from khoci.scenario import select
from khoci.scenario.base import Scenario, Shape
from khoci.verdicts import Verdict
from khoci.vm.machine import TCG

CELL = Cell("v6.16.12", "v7.3.4", "kho-test")
SCENARIOS = select(["kho-test", "reserve-mem"])
TEST, RESERVE = SCENARIOS
KHO = "CONFIG_KEXEC_HANDOVER=y\n"


def artifact(folder: Path, name: str, config: str | None) -> Artifact:
    image = folder / f"{name}.bzImage"
    image.write_bytes(name.encode())
    path = None
    if config is not None:
        path = folder / f"{name}.config"
        path.write_text(config)
    return Artifact(name, "0" * 64, "x86_64", name[1:], image, config=path, cmdline=f"of={name}")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    agent = tmp_path / "init"
    agent.write_bytes(b"agent")
    kernels = [
        artifact(tmp_path, "v6.16.12", KHO),
        artifact(tmp_path, "v7.3.4", KHO + "CONFIG_TEST_KEXEC_HANDOVER=y\n"),
        artifact(tmp_path, "unknown", None),
    ]
    return Bench(
        kernels={kernel.name: kernel for kernel in kernels},
        broken={},
        scenarios={scenario.name: scenario for scenario in SCENARIOS},
        guest=GuestConfig(),
        accelerator=TCG,
        agent=agent,
        matrix=DEFAULT_MATRIX,
        cache=tmp_path / "cache",
        releases=load_releases(default_folder()),
    )


def run(bench: Bench, cell: Cell, tmp_path: Path) -> CellResult:
    folder = tmp_path / "evidence"
    folder.mkdir()
    return asyncio.run(run_cell(bench, cell, folder))


def evidence(result: CellResult, component: str) -> str:
    (item,) = result.components[component].evidence
    return item.text


def test_a_producer_without_the_test_cannot_do_kho_test(bench: Bench, tmp_path: Path) -> None:
    result = run(bench, CELL, tmp_path)
    assert result.verdict is Verdict.ABSENT
    assert "v6.16.12 has no CONFIG_TEST_KEXEC_HANDOVER" in evidence(result, "kho_test")
    assert result.reproduce == "khoci cell run v6.16.12 v7.3.4 kho-test"


def test_a_cell_of_another_matrix_says_so(bench: Bench, tmp_path: Path) -> None:
    result = run(replace(bench, matrix="my matrix.toml"), CELL, tmp_path)
    assert result.reproduce.endswith("kho-test --matrix 'my matrix.toml'")


def test_needs_are_those_of_the_producer(bench: Bench) -> None:
    assert missing_need(bench.kernels["v6.16.12"], TEST) == "TEST_KEXEC_HANDOVER"
    assert missing_need(bench.kernels["v7.3.4"], TEST) is None
    assert missing_need(bench.kernels["v6.16.12"], RESERVE) is None
    assert missing_need(bench.kernels["unknown"], TEST) is None


@pytest.mark.parametrize("lost", ["v6.16.12", "v7.3.4"])
def test_a_kernel_that_could_not_be_built_is_an_error(
    lost: str, bench: Bench, tmp_path: Path
) -> None:
    left = {name: kernel for name, kernel in bench.kernels.items() if name != lost}
    broken = replace(bench, kernels=left, broken={lost: f"{lost}: does not build"})
    result = run(broken, CELL, tmp_path)
    assert result.verdict is Verdict.ERROR
    assert evidence(result, "root") == f"{lost}: does not build"


def test_the_machine_boots_the_producer_whoever_the_consumer_is(bench: Bench) -> None:
    made = machine(bench, "v6.16.12", [TEST])
    assert made.kernel == bench.kernels["v6.16.12"].image
    assert b"v7.3.4" not in made.initrd.read_bytes()
    assert made.cmdline.endswith("of=v6.16.12")


def test_the_machine_of_a_person_boots_the_producer_with_the_consumer_inside(bench: Bench) -> None:
    made = nested(bench, CELL.pair, [TEST])
    assert made.kernel == bench.kernels["v6.16.12"].image
    assert b"v7.3.4" in made.initrd.read_bytes()
    assert made.cmdline.endswith("of=v6.16.12")
    assert consumer_cmdline(bench, "v7.3.4", [TEST]).endswith("of=v7.3.4")


def test_a_chain_has_each_kernel_inside_of_the_one_before(bench: Bench) -> None:
    content = nested(bench, ["v6.16.12", "unknown", "v7.3.4"], [TEST]).initrd.read_bytes()
    assert 0 < content.find(b"unknown") < content.find(b"v7.3.4")
    assert content.count(b"TRAILER!!!") == 3


def test_the_shape_of_a_scenario_is_the_machine(bench: Bench) -> None:
    shape = Shape(memory=5 << 30, scratch="1M,2M,3M", nodes=2, kaslr=True)
    made = machine(bench, "v6.16.12", [replace(TEST, shape=shape)])
    assert made.memory == 5 << 30
    words = made.cmdline.split()
    assert {"kho_scratch=1M,2M,3M", "numa=fake=2"} <= set(words)
    assert "nokaslr" not in words


def test_what_breaks_a_kernel_that_is_not_there_is_told_once_for_each_cell(
    bench: Bench, tmp_path: Path
) -> None:
    broken = replace(bench, broken={"v6.16.12": "v6.16.12: does not build"})
    cells = [CELL, replace(CELL, scenario="reserve-mem")]
    results = asyncio.run(run_cells_of_a_pair(broken, cells, tmp_path.joinpath))
    assert [(item.scenario, item.verdict) for item in results] == [
        ("kho-test", Verdict.ERROR),
        ("reserve-mem", Verdict.ERROR),
    ]


def test_who_can_share_a_boot_does() -> None:
    alone = Scenario("alone", "", "root")
    small = Scenario("small", "", "root", joint=True, shape=Shape(memory=1 << 29))
    one, two = (Scenario(name, "", "root", joint=True) for name in ("one", "two"))
    known = {scenario.name: scenario for scenario in (alone, small, one, two)}
    cells = [Cell("a", consumer, name) for name in known for consumer in ("b", "c")]
    found = [[str(cell) for cell in group] for group in groups(cells, known)]
    assert found == [
        ["a → b alone"],
        ["a → c alone"],
        ["a → b small"],
        ["a → c small"],
        ["a → b one", "a → b two"],
        ["a → c one", "a → c two"],
    ]
