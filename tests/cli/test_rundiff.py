from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from khoci.cli.rundiff import diff_command
from khoci.compat.plan import Cell
from khoci.errors import UsageError
from khoci.results import CellResult, Judgement
from khoci.run.folder import RUNS, RunFolder, new_run
from khoci.verdicts import Verdict

ORDER = ("v6.17.13", "v7.3.4")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*verdicts: Verdict) -> RunFolder:
    """A stored run with a cell for each of the verdicts, each of its own scenario."""
    folder = new_run(RUNS, {"kernels": list(ORDER)})
    for number, verdict in enumerate(verdicts):
        cell = Cell(*ORDER, f"memfd:size={number}M")
        judged = {"memfd": Judgement(verdict)}
        folder.store(cell.name, CellResult(*ORDER, cell.scenario, verdict, judged))
    return folder


def diff(first: RunFolder, second: RunFolder, *options: str) -> Result:
    arguments = [first.id, str(second.path), *options]
    return CliRunner().invoke(diff_command, arguments, catch_exceptions=False)


def test_a_regression_is_told_and_ends_with_1() -> None:
    done = diff(run(Verdict.RESTORED, Verdict.PANIC), run(Verdict.CORRUPT, Verdict.PANIC))
    assert done.exit_code == 1
    assert "v6.17.13 -> v7.3.4 memfd:size=0M: restored -> corrupt\n" in done.output
    assert "size=1M" not in done.output


@pytest.mark.parametrize(
    ("before", "after", "last"),
    [
        ([Verdict.RESTORED], [Verdict.RESTORED], "nothing changed"),
        ([Verdict.CORRUPT], [Verdict.RESTORED], "1 fixed"),
        ([Verdict.RESTORED], [Verdict.RESTORED, Verdict.PANIC], "1 new"),
        ([Verdict.RESTORED], [Verdict.ERROR], "1 gone"),
    ],
)
def test_all_else_ends_with_0(before: list[Verdict], after: list[Verdict], last: str) -> None:
    done = diff(run(*before), run(*after))
    assert done.exit_code == 0
    assert done.output.endswith(f"{last}\n")


def test_for_programs() -> None:
    first, second = run(Verdict.RESTORED), run(Verdict.PANIC)
    done = diff(first, second, "--json")
    data = json.loads(done.output)
    assert done.exit_code == 1
    assert (data["before"], data["after"], data["schema"]) == (first.id, second.id, 1)
    assert [(change["kind"], change["after"]) for change in data["changes"]] == [
        ("regressed", "panic")
    ]


@pytest.mark.parametrize("content", ["{}", "[]", '{"kernels": 5}', '{"kernels": [5]}'])
def test_a_run_whose_request_is_damaged_is_none(content: str) -> None:
    first, second = run(Verdict.RESTORED), run(Verdict.RESTORED)
    (second.path / "meta" / "run.json").write_text(content)
    with pytest.raises(UsageError, match="is not the folder of a run"):
        diff(first, second)


def test_a_cell_of_a_kernel_that_the_run_does_not_name_comes_last() -> None:
    first, second = run(Verdict.RESTORED), run(Verdict.PANIC)
    stranger = Cell("v6.17.13", "mine", "memfd")
    second.store(stranger.name, CellResult("v6.17.13", "mine", "memfd", Verdict.PANIC, {}))
    assert "1 regressed, 1 new" in diff(first, second).output


def test_results_of_chains_are_no_cells() -> None:
    first, second = run(Verdict.RESTORED), run(Verdict.RESTORED)
    (second.path / "chain..memfd.json").write_text("{}")
    assert diff(first, second).output == "nothing changed\n"


def test_a_result_that_cannot_be_read_is_not_left_out() -> None:
    first, second = run(Verdict.RESTORED), run(Verdict.RESTORED)
    (second.path / "v1..v2..memfd.json").write_text("{}")
    with pytest.raises(
        UsageError, match=r"v1\.\.v2\.\.memfd\.json: is no result that this khoci can"
    ):
        diff(first, second)


def test_a_run_without_results() -> None:
    with pytest.raises(UsageError, match="no cell of it has a result"):
        diff(run(Verdict.RESTORED), run())


def test_no_such_run() -> None:
    with pytest.raises(UsageError, match="no run 'nope'"):
        CliRunner().invoke(diff_command, ["nope", "nope"], catch_exceptions=False)
