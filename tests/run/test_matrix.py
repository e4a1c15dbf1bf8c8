from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.compat.plan import Cell
from khoci.config.kernels import Kernels, load_kernels
from khoci.config.matrix import GuestConfig, MatrixConfig
from khoci.errors import HarnessError, KhociError, UnfitError, UsageError
from khoci.paths import data_dir
from khoci.progress import NoProgress
from khoci.results import CellResult
from khoci.run.folder import RunFolder
from khoci.run.matrix import Plan, check_host, make_plan, prepare, remaining, room_here
from khoci.run.room import Room
from khoci.verdicts import Verdict

MATRIX = MatrixConfig(
    file=Path("mine.toml"),
    name="mine",
    kernels=("7.3", "6.17", "v6.17.13"),
    pairs="upgrade",
    scenarios=("kho-test", "reserve-mem"),
    guest=GuestConfig(memory=1 << 29),
)


@pytest.fixture(scope="module")
def shipped() -> Kernels:
    return load_kernels(data_dir("matrix") / "kernels.toml")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests: the agent is compiled once."""
    return tmp_path_factory.mktemp("cache")


def result(cell: Cell, verdict: Verdict) -> CellResult:
    return CellResult(cell.producer, cell.consumer, cell.scenario, verdict, {})


def test_a_plan_names_each_kernel_once_oldest_first(shipped: Kernels) -> None:
    plan = make_plan(MATRIX, shipped)
    assert plan.kernels == ("v6.17.13", "v7.3.4")
    assert [cell.name for cell in plan.cells] == [
        "v6.17.13..v7.3.4..kho-test",
        "v6.17.13..v7.3.4..reserve-mem",
    ]
    assert plan.guest == MATRIX.guest


def test_the_command_line_wins(shipped: Kernels) -> None:
    plan = make_plan(
        MATRIX,
        shipped,
        names=["6.18"],
        scenarios=["kho-test"],
        pairs="self",
        accelerator="tcg",
    )
    assert plan.cells == [Cell("v6.18.15", "v6.18.15", "kho-test")]
    assert plan.accelerator == "tcg"


def test_unknown_names(shipped: Kernels) -> None:
    with pytest.raises(UsageError, match=r"unknown kernel '6.81'"):
        make_plan(MATRIX, shipped, names=["6.81"])
    with pytest.raises(UsageError, match="unknown scenario 'kho-tset'"):
        make_plan(MATRIX, shipped, scenarios=["kho-tset"])


def test_the_same_plan_through_json(shipped: Kernels) -> None:
    plan = make_plan(MATRIX, shipped, accelerator="tcg")
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize("change", [{"guest": {"ram": 1}}, {"chains": []}, {"guest": None}])
def test_a_plan_of_another_version(shipped: Kernels, change: dict[str, object]) -> None:
    data = {**make_plan(MATRIX, shipped).to_json(), **change}
    with pytest.raises(UsageError, match="begun by another version"):
        Plan.from_json(data)
    with pytest.raises(UsageError, match="begun by another version"):
        Plan.from_json({})


def test_what_remains_is_missing_broken_or_an_error(shipped: Kernels, tmp_path: Path) -> None:
    plan = replace(make_plan(MATRIX, shipped), pairs="all")
    run = RunFolder(tmp_path)
    assert remaining(plan, run) == plan.cells
    first, second, third, *rest = plan.cells
    for verdict, cell in zip((Verdict.PANIC, Verdict.ERROR), (first, second), strict=True):
        run.store(cell.name, result(cell, verdict))
    run.result_file(third.name).write_text('{"schema": 1, "prod')
    assert remaining(plan, run) == [second, third, *rest]
    for cell in plan.cells:
        run.store(cell.name, result(cell, Verdict.ABSENT))
    assert remaining(plan, run) == []


def test_a_missing_qemu_is_told_before_anything_is_built(
    shipped: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(MATRIX, shipped)
    check_host(plan, shipped)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match=r"^qemu-system-x86_64 is not installed"):
        check_host(plan, shipped)


def images(tmp_path: Path, *there: str) -> Kernels:
    tables = []
    for name in ("v1.0", "v2.0"):
        tables.append(f'[kernel."{name}"]\nsources = [{{ image = "{name}" }}]\n')
        if name in there:
            (tmp_path / name).write_bytes(b"image")
    (tmp_path / "kernels.toml").write_text("".join(tables))
    return load_kernels(tmp_path / "kernels.toml")


def test_too_little_memory_is_told_before_anything_is_built(
    shipped: Kernels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("khoci.run.matrix.available_memory", lambda: 700 << 20)
    plan = make_plan(MATRIX, shipped)
    with pytest.raises(UnfitError, match=r"memory: a cell of kho-test takes up to 0\.8 GiB"):
        prepare(plan, shipped, plan.cells, tmp_path, NoProgress(), lambda _error: None)
    assert not list(tmp_path.iterdir())


def test_only_cells_that_are_run_need_memory(
    shipped: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("khoci.run.matrix.available_memory", lambda: 1 << 30)
    plan = make_plan(MATRIX, shipped, scenarios=["kho-test", "memory-shape:memory=5G"])
    assert room_here(plan, plan.cells[:1], 1) == (Room(1, 2), None)
    with pytest.raises(UnfitError, match="a cell of memory-shape:memory=5G takes up to"):
        room_here(plan, plan.cells, 1)


def test_a_kernel_that_cannot_be_had_is_told_and_does_not_stop_the_others(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def obtain(spec: object, *_rest: object, **_how: object) -> object:
        if "v2.0" in str(spec):
            raise HarnessError("v2.0: does not build")
        return spec

    monkeypatch.setattr("khoci.run.matrix.obtain", obtain)
    kernels = images(tmp_path, "v1.0", "v2.0")
    plan = make_plan(MATRIX, kernels, names=["v1.0", "v2.0"], pairs="all", accelerator="tcg")
    told: list[KhociError] = []
    bench = prepare(plan, kernels, plan.cells, cache, NoProgress(), told.append)
    assert [str(error) for error in told] == ["v2.0: does not build"]
    assert list(bench.kernels) == ["v1.0"]
    assert bench.broken == {"v2.0": "v2.0: does not build"}
    only = [Cell("v2.0", "v2.0", "kho-test")]
    with pytest.raises(HarnessError, match="none of the kernels can be had"):
        prepare(plan, kernels, only, cache, NoProgress(), told.append)


def test_only_wanted_kernels_are_got(tmp_path: Path, cache: Path) -> None:
    kernels = images(tmp_path, "v1.0")
    plan = make_plan(MATRIX, kernels, names=["v1.0", "v2.0"], pairs="all", accelerator="tcg")
    wanted = [Cell("v1.0", "v1.0", "kho-test")]
    bench = prepare(plan, kernels, wanted, cache, NoProgress(), print)
    assert list(bench.kernels) == ["v1.0"]
    assert bench.accelerator.name == "tcg"
    assert bench.agent.is_file()
