"""A matrix in parts by the real command, on images that do not boot, and runs that have ended."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from khoci.cli import cli
from khoci.results import CellResult, Evidence, Judgement
from khoci.run.folder import RunFolder, new_run, open_run
from khoci.run.matrix import Plan
from khoci.run.reported import plan_of
from khoci.verdicts import Verdict

MATRIX = 'kernels = ["v1.0", "v2.0"]\nscenarios = ["kho-test", "kho-off"]\n'
KERNELS = "".join(
    f'[kernel."{name}"]\nsources = [{{ image = "{name}" }}]\n' for name in ("v1.0", "v2.0")
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def home(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "matrix"
    folder.mkdir()
    (folder / "mine.toml").write_text(MATRIX)
    (folder / "kernels.toml").write_text(KERNELS)
    (folder / "policy.toml").write_text('never = ["panic"]\n')
    for name in ("v1.0", "v2.0"):
        (folder / name).write_bytes(name.encode() * 4096)
    monkeypatch.setenv("KHOCI_CACHE", str(cache))
    monkeypatch.setenv("KHOCI_ACCEL", "tcg")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def shard(home: Path, label: str, verdict: Verdict, name: str) -> RunFolder:
    """A shard whose cells have ended so."""
    asked = invoke("matrix", "plan", "mine", "--json")
    assert asked.exit_code == 0, asked.output
    run = new_run(home / "runs", replace(whole(home), shard=label).to_json(), name)
    for cell in plan_of(run).cells:
        judgement = Judgement(verdict, (Evidence("log", "a line"),))
        run.store(cell.name, CellResult(*cell.pair, cell.scenario, verdict, {"root": judgement}))
    return run


def whole(home: Path) -> Plan:
    from khoci.cli.options import load  # noqa: PLC0415  (reads the current folder)
    from khoci.run.matrix import make_plan  # noqa: PLC0415

    config, known, _ = load("mine")
    return make_plan(config, known, accelerator="tcg")


def test_a_shard_runs_its_part_and_is_not_judged(home: Path) -> None:
    done = invoke("matrix", "run", "mine", "--shard", "2/3", "--run-id", "part", "--no-policy")
    assert done.exit_code == 3, "these images do not boot"
    assert "some cells could not be run" in done.stderr
    run = open_run(home / "runs", "part")
    plan = plan_of(run)
    assert plan.shard == "2/3"
    assert {path.stem for path in run.path.glob("*.json")} == {cell.name for cell in plan.cells}
    assert 0 < len(plan.cells) < len(plan.whole.cells) == 8


@pytest.mark.parametrize(("options", "code"), [((), 1), (("--no-policy",), 0)])
def test_the_policy_is_left_to_others_where_asked_for(
    home: Path, options: tuple[str, ...], code: int
) -> None:
    shard(home, "1/2", Verdict.PANIC, "part")
    again = ("matrix", "run", "mine", "--shard", "1/2", "--run-id", "part")
    assert invoke(*again, *options).exit_code == code


def test_an_id_is_for_one_thing(home: Path) -> None:
    shard(home, "1/2", Verdict.RESTORED, "part")
    done = invoke("matrix", "run", "mine", "--shard", "2/2", "--run-id", "part")
    assert "was begun for something else: give another --run-id" in str(done.exception)
    for name in ("../x", ".hidden", "a b", ""):
        done = invoke("matrix", "run", "mine", "--run-id", name)
        assert done.exit_code != 0
    assert [path.name for path in (home / "runs").iterdir()] == ["part"]


def test_merged_and_judged(home: Path) -> None:
    shard(home, "1/2", Verdict.RESTORED, "one")
    shard(home, "2/2", Verdict.PANIC, "two")
    done = invoke("matrix", "merge", "one", "runs/two", "--run-id", "all")
    assert done.exit_code == 1
    assert "panic must never happen" in done.stderr
    assert done.stdout.endswith("results: runs/all/\n")
    assert "4 restored, 4 panic" in done.stdout
    assert invoke("matrix", "merge", "one", "two", "--run-id", "all", "--no-policy").exit_code == 0
    assert invoke("report", "all").stdout.count("PANIC") > 0
    assert invoke("matrix", "run", "--run", "all").exit_code == 1


def test_what_is_missing_is_said_and_can_be_run(home: Path) -> None:
    first = shard(home, "1/3", Verdict.RESTORED, "one")
    done = invoke("matrix", "merge", "one", "-o", "here/all", "--json")
    assert done.exit_code == 3
    lacking = 8 - len(plan_of(first).cells)
    assert f"{lacking} of 8 cells have no result: shard 2/3 (" in done.stderr
    assert "khoci matrix run --run here/all runs them" in done.stderr
    assert len(json.loads(done.stdout)["missing"]) == lacking
    done = invoke("matrix", "run", "--run", "here/all")
    assert len(list((home / "here" / "all").glob("*.json"))) == 8


def test_runs_that_disagree_are_told(home: Path) -> None:
    shard(home, "1/1", Verdict.RESTORED, "one")
    shard(home, "1/1", Verdict.REFUSED, "two")
    done = invoke("matrix", "merge", "one", "two")
    assert done.stderr.count("runs disagree: ") == 8
    assert "v1.0 -> v2.0 kho-test: restored in one, refused in two" in done.stderr


def test_what_does_not_belong_together(home: Path) -> None:
    shard(home, "1/2", Verdict.RESTORED, "one")
    other = replace(whole(home), pairs="self")
    new_run(home / "runs", other.to_json(), "other")
    done = invoke("matrix", "merge", "one", "other")
    assert "are runs of different plans: pairs 'all' and 'self'" in str(done.exception)
    done = invoke("matrix", "merge", "one", "--run-id", "one")
    assert "is a shard itself" in str(done.exception)
    done = invoke("matrix", "merge", "one", "--run-id", "a", "-o", "b")
    assert "give one of them" in str(done.exception)


def test_what_engines_read_names_the_same_shards(home: Path) -> None:
    words = ("matrix", "plan", "mine", "--scenarios", "kho-test", "--shards", "2")
    data = json.loads(invoke(*words, "--format", "github").stdout)
    assert [each["kernel"] for each in data["kernels"]["include"]] == ["v1.0", "v2.0"]
    plain = json.loads(invoke(*words, "--json").stdout)
    assert [each["shard"] for each in plain["shards"]] == ["1/2", "2/2"]
    assert plain["shards"][0]["command"] == (
        "khoci matrix run mine --scenarios kho-test --accel tcg --shard 1/2 --no-policy"
    )
    assert "shard 1/2: 2 cells, about " in invoke(*words).stdout
