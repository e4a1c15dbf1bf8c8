from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.errors import UsageError
from khoci.run.folder import RunFolder, new_run
from khoci.run.keys import keep_keys, keys_of
from khoci.run.matrix import Plan
from khoci.run.merged import Merged, merge, missing_shards, source_of, whole_plan
from khoci.verdicts import Verdict
from tests.run.stored import NEW, OLD, PLAN, result, store

KEYS = {OLD: f"key of {OLD}", NEW: f"key of {NEW}"}


def shard(
    parent: Path, number: int, of: int = 3, verdict: Verdict = Verdict.RESTORED, name: str = ""
) -> RunFolder:
    """A shard that ran, with logs that say which."""
    plan = replace(PLAN, shard=f"{number}/{of}")
    run = new_run(parent, plan.to_json(), name or f"shard-{number}")
    keep_keys(run, KEYS)
    for cell in plan.cells:
        store(run, result(*cell.pair, verdict), log=f"log of {run.id} {cell.name}\n")
    return run


def into(target: RunFolder, runs: Iterable[RunFolder]) -> Merged:
    return merge([source_of(run) for run in runs], target)


def empty(parent: Path, name: str = "all", plan: Plan = PLAN) -> RunFolder:
    return new_run(parent, plan.to_json(), name)


def content(run: RunFolder) -> Mapping[str, bytes]:
    return {
        str(path.relative_to(run.path)): path.read_bytes()
        for path in sorted(run.path.rglob("*"))
        if path.is_file()
    }


def test_all_shards_are_the_run(tmp_path: Path) -> None:
    runs = [shard(tmp_path, number) for number in (1, 2, 3)]
    target = empty(tmp_path)
    merged = into(target, runs)
    assert merged == Merged()
    whole = {name: data for run in runs for name, data in content(run).items()}
    found = content(target)
    assert {name for name in found if not name.startswith("meta/")} == {
        name for name in whole if not name.startswith("meta/")
    }
    assert all(found[name] == whole[name] for name in found if not name.startswith("meta/"))
    assert keys_of(target) == KEYS
    assert not list(target.path.rglob(".*"))


def test_neither_the_order_nor_a_second_time_changes_anything(tmp_path: Path) -> None:
    runs = [shard(tmp_path, number) for number in (1, 2, 3)]
    runs.append(shard(tmp_path, 1, verdict=Verdict.PANIC, name="again"))
    found = []
    for index, order in enumerate(itertools.permutations(runs)):
        target = empty(tmp_path, f"all-{index}")
        into(target, order)
        found.append(content(target))
        into(target, reversed(order))
        into(target, [*order, target])
        found.append(content(target))
    assert all(each == found[0] for each in found)


def test_one_after_the_other(tmp_path: Path) -> None:
    first, second, third = (shard(tmp_path, number) for number in (1, 2, 3))
    target, at_once = empty(tmp_path), empty(tmp_path, "at-once")
    merged = into(target, [second])
    lacking = [cell for cell in PLAN.cells if cell not in replace(PLAN, shard="2/3").cells]
    assert merged.missing == lacking
    assert missing_shards(lacking, PLAN, [3, 3]) == {"1/3": 2, "3/3": 1}
    assert into(target, [third]).missing == replace(PLAN, shard="1/3").cells
    assert into(target, [first]).missing == []
    into(at_once, [first, second, third])
    assert content(target) == content(at_once)


def test_half_a_result_is_missing(tmp_path: Path) -> None:
    run = shard(tmp_path, 1, 1)
    broken = run.result_file(PLAN.cells[0].name)
    broken.write_bytes(broken.read_bytes()[:100])
    assert into(empty(tmp_path), [run]).missing == PLAN.cells[:1]


def test_runs_that_disagree(tmp_path: Path) -> None:
    well = shard(tmp_path, 1, 1, name="well")
    worse = shard(tmp_path, 1, 1, Verdict.CORRUPT, name="worse")
    target = empty(tmp_path)
    differing = into(target, [well, worse]).differing
    assert [each.cell for each in differing] == PLAN.cells
    line = f"{OLD} -> {OLD} kho-test: restored in well, corrupt in worse"
    assert str(differing[0]) == line
    for cell in PLAN.cells:
        assert target.result_file(cell.name).read_bytes() == (
            worse.result_file(cell.name).read_bytes()
        )
        log = target.path / "evidence" / cell.name / "consumer.log"
        assert log.read_text() == f"log of worse {cell.name}\n"


def test_a_harness_that_failed_gives_way(tmp_path: Path) -> None:
    failed = shard(tmp_path, 1, 1, Verdict.ERROR, name="failed")
    well = shard(tmp_path, 1, 1, name="well")
    target = empty(tmp_path)
    assert into(target, [failed]).differing == []
    assert into(target, [well]).differing == []
    loaded = [target.load(cell.name) for cell in PLAN.cells]
    assert {each.verdict for each in loaded if each} == {Verdict.RESTORED}


def test_cells_of_one_boot_come_from_one_run(tmp_path: Path) -> None:
    """They share their evidence, so that of one must not go with the result of the other."""
    plan = replace(PLAN, scenarios=("kho-test", "memfd"), pairs="self", kernels=(NEW,))
    runs = []
    for name, verdicts in (
        ("one", (Verdict.RESTORED, Verdict.DROPPED)),
        ("two", (Verdict.REFUSED, Verdict.RESTORED)),
    ):
        run = new_run(tmp_path, plan.to_json(), name)
        evidence = run.evidence("joint")
        (evidence / "consumer.log").write_text(name)
        for scenario, verdict in zip(plan.scenarios, verdicts, strict=True):
            found = replace(
                result(NEW, NEW, verdict),
                scenario=scenario,
                joint=plan.scenarios,
                files={"consumer.log": "evidence/joint/consumer.log"},
            )
            run.store(f"{NEW}..{NEW}..{scenario}", found)
        runs.append(run)
    target = empty(tmp_path, plan=plan)
    assert len(into(target, runs).differing) == 2
    loaded = [target.load(cell.name) for cell in plan.cells]
    assert [each.verdict for each in loaded if each] == [Verdict.RESTORED, Verdict.DROPPED]
    assert (target.path / "evidence" / "joint" / "consumer.log").read_text() == "one"


def test_other_plans_and_other_kernels_are_refused(tmp_path: Path) -> None:
    first = shard(tmp_path, 1)
    other = new_run(tmp_path, replace(PLAN, pairs="self").to_json(), "other")
    with pytest.raises(UsageError, match=r"different plans: pairs 'all' and 'self'$"):
        whole_plan([source_of(first), source_of(other)])
    rebuilt = shard(tmp_path, 2, name="rebuilt")
    shutil.rmtree(rebuilt.path / "meta")
    new_run(tmp_path, replace(PLAN, shard="2/3").to_json(), "rebuilt")
    keep_keys(rebuilt, {NEW: "another key"})
    with pytest.raises(UsageError, match=f"^{NEW} is not the same kernel everywhere"):
        into(empty(tmp_path), [first, rebuilt])


def test_a_result_of_another_kernel_is_refused_though_nothing_else_says_so(tmp_path: Path) -> None:
    first = shard(tmp_path, 1, 1)
    file = first.result_file(PLAN.cells[-1].name)
    data = json.loads(file.read_text())
    data["details"]["kernels"]["consumer"]["key"] = "another"
    file.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=f"{NEW} is another kernel here than in other results"):
        into(empty(tmp_path), [first])


@pytest.mark.parametrize("file", ["../outside/x", "/etc/passwd", "evidence/../../x", "evidence/.."])
def test_evidence_from_elsewhere_is_not_taken(tmp_path: Path, file: str) -> None:
    run = shard(tmp_path / "runs", 1, 1)
    found = run.load(PLAN.cells[0].name)
    assert found is not None
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("secret")
    run.store(PLAN.cells[0].name, replace(found, files={"x": file}))
    target = empty(tmp_path / "runs")
    into(target, [run])
    assert not list((target.path / "evidence").rglob("x"))


def test_a_run_keeps_the_keys_of_its_kernels(tmp_path: Path) -> None:
    run = empty(tmp_path)
    assert keys_of(run) == {}
    keep_keys(run, {OLD: "a"})
    keep_keys(run, {NEW: "b"})
    assert keys_of(run) == {OLD: "a", NEW: "b"}
    with pytest.raises(UsageError, match=f"{OLD} is not the same kernel everywhere: its key is a"):
        keep_keys(run, {OLD: "c"})
    run.meta("kernels.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot be read by this version"):
        keys_of(run)
