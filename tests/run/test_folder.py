from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from khoci.errors import UsageError
from khoci.results import CellResult, Evidence, Judgement
from khoci.run.folder import RunFolder, latest_run, load_all, new_run, open_run
from khoci.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

RESULT = CellResult(
    "v6.17.13",
    "v6.18.15",
    "kho-test",
    Verdict.PANIC,
    {"root": Judgement(Verdict.PANIC, (Evidence("log", "Kernel panic \N{EM DASH} x"),))},
)
NAME = "v6.17.13..v6.18.15..kho-test"


def begin(folder: Path, run_id: str) -> RunFolder:
    (folder / run_id / "meta").mkdir(parents=True)
    (folder / run_id / "meta" / "run.json").write_text('{"kernels": []}')
    return RunFolder(folder / run_id)


def test_a_result_is_one_file(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.store(NAME, RESULT)
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.json"]
    assert "Kernel panic \N{EM DASH} x" in run.result_file(NAME).read_text(encoding="utf-8")
    assert run.load(NAME) == RESULT


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "3", "{}", '{"schema": 1}', '{"schema": 2}', '{"schema": 1', "\xff"],
)
def test_what_is_no_result_is_as_if_it_were_not_there(tmp_path: Path, content: str) -> None:
    run = RunFolder(tmp_path)
    run.result_file(NAME).write_bytes(content.encode("latin-1"))
    assert run.load(NAME) is None


@pytest.mark.parametrize("cut", [1, 10, 100, -3])
def test_a_half_written_result_is_ignored(tmp_path: Path, cut: int) -> None:
    run = RunFolder(tmp_path)
    run.store(NAME, RESULT)
    whole = run.result_file(NAME).read_bytes()
    run.result_file(NAME).write_bytes(whole[:cut])
    assert run.load(NAME) is None
    run.result_file(NAME).rename(tmp_path / f".{NAME}.json.abc")
    assert load_all(run, [NAME]) == {}


def test_only_stored_results_are_loaded_in_the_order_asked_for(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for name in ("a", "b"):
        run.store(name, RESULT)
    assert list(load_all(run, ["c", "b", "a"])) == ["b", "a"]


def test_evidence_has_a_folder_for_each_cell(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    assert run.evidence(NAME) == run.evidence(NAME) == tmp_path / "evidence" / NAME
    assert run.evidence(NAME).is_dir()


def test_a_new_run_keeps_what_was_asked_for(tmp_path: Path) -> None:
    first, second = (new_run(tmp_path / "runs", {"kernels": ["a"]}) for _ in range(2))
    assert first.id != second.id
    assert first.request() == {"kernels": ["a"]}
    assert open_run(tmp_path / "runs", first.id) == first
    assert open_run(tmp_path / "elsewhere", str(first.path)) == first


@pytest.mark.parametrize("content", ["", "{", "[1]", "3"])
def test_a_run_that_does_not_say_what_was_asked_for(tmp_path: Path, content: str) -> None:
    run = begin(tmp_path, "1")
    (run.path / "meta" / "run.json").write_text(content)
    with pytest.raises(UsageError, match="is not the folder of a run"):
        run.request()


def test_no_such_run(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for run_id in ("empty", "none"):
        with pytest.raises(UsageError, match=f"no run '{run_id}' in "):
            open_run(tmp_path, run_id)
    with pytest.raises(UsageError, match=r"there is no run in .*: khoci matrix run"):
        latest_run(tmp_path)


def test_the_latest_run_is_by_its_id(tmp_path: Path) -> None:
    for run_id in ("20260102-000000-aa", "20260103-000000-00", "20251231-235959-ff"):
        begin(tmp_path, run_id)
    (tmp_path / "zzz").mkdir()
    assert latest_run(tmp_path).id == "20260103-000000-00"
