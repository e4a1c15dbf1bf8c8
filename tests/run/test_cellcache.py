from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from khoci.compat.bench import Bench
from khoci.compat.plan import Cell
from khoci.config.kernels import load_kernels
from khoci.config.matrix import GuestConfig
from khoci.kernel.cache import Cache, remove
from khoci.progress import NoProgress
from khoci.results import CellResult, Evidence, Judgement
from khoci.run import cellkey
from khoci.run.cellcache import CellCache
from khoci.run.cellkey import CellKeys, cell_keys
from khoci.run.folder import RunFolder
from khoci.run.matrix import Plan, prepare
from khoci.run.reuse import Reused, compared, take
from khoci.scenario import select
from khoci.verdicts import Verdict
from khoci.vm.machine import KVM

NAMES = ("v1.0", "v2.0")
PLAN = Plan(NAMES, "all", ("kho-test", "kho-off", "kaslr"), GuestConfig(), "mine", "tcg")
CELL = Cell("v1.0", "v2.0", "kho-test")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("kernels")
    tables = [f'[kernel."{name}"]\nsources = [{{ image = "{name}" }}]\n' for name in NAMES]
    (folder / "kernels.toml").write_text("".join(tables))
    for name in NAMES:
        (folder / name).write_bytes(name.encode())
    kernels = load_kernels(folder / "kernels.toml")
    return prepare(PLAN, kernels, PLAN.cells, folder / "cache", NoProgress(), print)


@pytest.fixture
def cells(tmp_path: Path) -> CellCache:
    return CellCache(Cache(tmp_path / "cache"))


@pytest.fixture
def keys(bench: Bench) -> CellKeys:
    return cell_keys(bench)


def ran(folder: RunFolder, cell: Cell, verdict: Verdict = Verdict.RESTORED) -> CellResult:
    """A cell as it is when it has run."""
    evidence = folder.evidence(cell.name)
    for name in ("consumer.log", "handover.khocap"):
        (evidence / name).write_text(f"{name} of {cell}")
    files = {path.name: f"evidence/{cell.name}/{path.name}" for path in evidence.iterdir()}
    judgement = Judgement(verdict, (Evidence("log", "ö"),))
    result = CellResult(
        *cell.pair, cell.scenario, verdict, {"root": judgement}, files=files, seconds=1.25
    )
    folder.store(cell.name, result)
    return result


def run_all(folder: RunFolder, keys: CellKeys, cells: CellCache, plan: Plan = PLAN) -> None:
    for cell in plan.cells:
        cells.keep(keys.key(cell), cell, ran(folder, cell), folder)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def nothing(_groups: Sequence[tuple[Cell, ...]], _count: int) -> list[tuple[Cell, ...]]:
    return []


def test_a_cached_cell_is_as_one_that_ran(tmp_path: Path, keys: CellKeys, cells: CellCache) -> None:
    first, second = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")
    run_all(first, keys, cells)
    reused = take(keys, cells, PLAN.cells, second, nothing)
    assert reused.left == [cell for cell in PLAN.cells if cell.scenario == "kaslr"]
    found = content(second.path)
    note = json.loads(found.pop("meta/cells.json"))
    assert note["cached"] == sorted(cell.name for cell in reused.cached)
    assert found == {
        name: data for name, data in content(first.path).items() if "kaslr" not in name
    }


def test_what_decides_a_result_is_in_its_key(bench: Bench, keys: CellKeys) -> None:
    key = keys.key(CELL)
    other_kernel = replace(bench.kernels["v2.0"], key="0" * 64)
    kernels = {**bench.kernels, "v2.0": other_kernel}
    told = {**bench.kernels, "v2.0": replace(bench.kernels["v2.0"], cmdline="quiet")}
    others = [
        replace(keys, bench=replace(bench, kernels=kernels)),
        replace(keys, bench=replace(bench, kernels=told)),
        replace(keys, bench=replace(bench, guest=GuestConfig(cpus=2))),
        replace(keys, bench=replace(bench, accelerator=KVM)),
        replace(keys, bench=replace(bench, matrix="theirs")),
        *(replace(keys, host={**keys.host, name: "other"}) for name in keys.host),
    ]
    found = [key, *(each.key(CELL) for each in others)]
    found += [keys.key(replace(CELL, scenario="kho-off")), keys.key(replace(CELL, consumer="v1.0"))]
    assert len({*found}) == len(found)
    assert {*keys.host} == {"schema", "khoci", "agent", "qemu"}
    assert cell_keys(bench).key(CELL) == key


def test_a_config_beside_an_image_is_in_the_key(
    bench: Bench, keys: CellKeys, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("CONFIG_KEXEC_HANDOVER=y\n")
    kernel = replace(bench.kernels["v1.0"], config=config)
    other = replace(keys, bench=replace(bench, kernels={**bench.kernels, "v1.0": kernel}))
    assert other.key(CELL) != keys.key(CELL)


def test_a_change_of_khoci_is_in_the_key(tmp_path: Path) -> None:
    (tmp_path / "compat").mkdir()
    rules = tmp_path / "compat" / "rules.py"
    texts = []
    for text in ("a = 1", "a = 2"):
        rules.write_text(text)
        texts.append(
            [path.read_text() for _, path in cellkey._below(tmp_path, ["compat"], {".py"})]
        )
    assert texts == [["a = 1"], ["a = 2"]]
    package = Path(cellkey.__file__).parents[1]
    named = {name for name, _ in cellkey._below(package, cellkey._CODE, {".py", ".c", ".h"})}
    assert {"compat/verdict/rules.py", "guest/init/main.c", "verdicts.py"} <= named
    assert all((package / name).exists() for name in cellkey._CODE)


def test_chance_and_missing_kernels_have_no_key(bench: Bench, keys: CellKeys) -> None:
    assert keys.key(replace(CELL, scenario="kaslr")) == ""
    without = replace(bench, kernels={"v1.0": bench.kernels["v1.0"]})
    assert replace(keys, bench=without).key(CELL) == ""
    assert all(not scenario.shape.kaslr for scenario in select(["kho-test", "crash"]))


@pytest.mark.parametrize("verdict", [Verdict.ERROR, Verdict.HANG])
def test_where_the_host_may_have_a_part_nothing_is_kept(
    tmp_path: Path, keys: CellKeys, cells: CellCache, verdict: Verdict
) -> None:
    folder = RunFolder(tmp_path / "run")
    key = keys.key(CELL)
    cells.keep(key, CELL, ran(folder, CELL, verdict), folder)
    assert cells.find(key, CELL) is None
    once_more = replace(ran(folder, CELL), retries=("QEMU did not start",))
    cells.keep(key, CELL, once_more, folder)
    assert cells.find(key, CELL) is None


def first_file(folder: Path) -> Path:
    return next(path for path in sorted(folder.iterdir()) if b"consumer.log" in path.read_bytes())


SPOILS: list[Callable[[Cache], object]] = [
    lambda cache: first_file(cache.cell_files).unlink(),
    lambda cache: first_file(cache.cell_files).write_bytes(b"other"),
    lambda cache: next(cache.cell_results.iterdir()).write_text('{"schema": 1'),
    lambda cache: next(cache.cell_results.iterdir()).write_text('{"schema": 99}'),
]


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_is_broken_in_the_cache_runs_again(
    tmp_path: Path, keys: CellKeys, cells: CellCache, spoil: Callable[[Cache], object]
) -> None:
    first, second = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")
    plan = replace(PLAN, kernels=("v1.0",), scenarios=("kho-test",))
    run_all(first, keys, cells, plan)
    spoil(Cache(tmp_path / "cache"))
    reused = take(keys, cells, plan.cells, second, nothing)
    assert reused.left == plan.cells
    assert not list(second.path.rglob("*.json"))
    run_all(second, keys, cells, plan)
    assert take(keys, cells, plan.cells, RunFolder(tmp_path / "third"), nothing).left == []


def test_a_result_of_another_cell_is_not_taken(
    tmp_path: Path, keys: CellKeys, cells: CellCache
) -> None:
    folder = RunFolder(tmp_path / "run")
    cells.keep(keys.key(CELL), CELL, ran(folder, CELL), folder)
    assert cells.find(keys.key(CELL), replace(CELL, consumer="v1.0")) is None


def sampled(tmp_path: Path, keys: CellKeys, cells: CellCache) -> tuple[RunFolder, Reused, int]:
    """A run of which the first boot is in the sample."""
    asked: list[int] = []

    def first(groups: Sequence[tuple[Cell, ...]], count: int) -> list[tuple[Cell, ...]]:
        asked.append(count)
        return [*groups[:1]]

    run_all(RunFolder(tmp_path / "first"), keys, cells)
    folder = RunFolder(tmp_path / "second")
    return folder, take(keys, cells, PLAN.cells, folder, first), asked[0]


def test_a_sample_runs_again_and_is_compared(
    tmp_path: Path, keys: CellKeys, cells: CellCache
) -> None:
    folder, reused, count = sampled(tmp_path, keys, cells)
    assert count == 1
    (cell,) = reused.again
    assert cell in reused.left
    assert cell not in reused.cached
    assert folder.load(cell.name) is None
    ran(folder, cell)
    assert compared(reused, folder) == []
    ran(folder, cell, Verdict.ERROR)
    assert compared(reused, folder) == []
    ran(folder, cell, Verdict.CORRUPT)
    (told,) = map(str, compared(reused, folder))
    pair = f"{cell.producer} -> {cell.consumer} {cell.scenario}"
    assert told == f"{pair}: restored (root restored) before, corrupt (root corrupt) now"


def test_what_a_run_says_of_its_cells_outlives_a_resume(
    tmp_path: Path, keys: CellKeys, cells: CellCache
) -> None:
    folder, reused, _ = sampled(tmp_path, keys, cells)
    (cell,) = reused.again
    take(keys, cells, [cell], folder, lambda groups, _: groups)
    note: dict[str, Any] = json.loads(folder.meta("cells.json").read_text())
    assert note["cached"] == sorted(each.name for each in reused.cached)
    assert note["again"] == [cell.name]


def test_the_cache_shows_and_frees_its_cells(
    tmp_path: Path, keys: CellKeys, cells: CellCache
) -> None:
    run_all(RunFolder(tmp_path / "first"), keys, cells)
    cache = Cache(tmp_path / "cache")
    entries = cache.entries()
    assert {entry.kind for entry in entries} == {"cell"}
    assert sum(entry.path.suffix == ".json" for entry in entries) == 8
    for entry in entries:
        remove(entry)
    assert cache.entries() == []
    assert take(keys, cells, [CELL], RunFolder(tmp_path / "second"), nothing).left == [CELL]
