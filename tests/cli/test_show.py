from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from khoci.cli import cli
from khoci.errors import UsageError
from khoci.report import plain
from khoci.run.folder import RunFolder, new_run
from khoci.verdicts import Verdict
from tests.run import stored
from tests.run.stored import NEW, OLD, REFUSAL


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run with all its cells, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return stored.whole(tmp_path)


def khoci(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def said(*arguments: str) -> str:
    done = khoci(*arguments)
    assert done.exit_code == 0, done.exception
    return done.stdout


def test_a_run_at_a_glance(run: RunFolder) -> None:
    heading, counts, *rest = said("show", "last").splitlines()
    assert heading == f"run {run.id} of default, khoci 0.1.0 (tcg)"
    assert counts == "3 restored, 1 refused"
    assert f"{OLD} -> {NEW}   refused kho-test" in rest
    assert f"{NEW} -> {NEW}    restored kho-test" in rest
    assert sum(line.startswith((f"{OLD}  ", f"{NEW}   ")) for line in rest) == 2


@pytest.mark.parametrize("pair", [f"{OLD}..{NEW}", "6.18..7.2", "v6.18..7.2.12..kho-test"])
def test_a_pair_is_shown_with_its_evidence(pair: str, run: RunFolder) -> None:
    text = said("show", run.id, pair)
    assert text.startswith(f"{OLD} -> {NEW} kho-test: refused\n")
    assert f"log: {REFUSAL}" in text
    assert f"kept: runs/{run.id}/evidence/{OLD}..{NEW}..kho-test/consumer.log" in text
    assert "meant it" not in text


def test_what_was_handed_over_is_shown_as_both_read_it() -> None:
    text = said("show", "last", "6.18..7.2", "--handover")
    meant = text.index("as the producer meant it:")
    assert "kho-v1" in text[meant:]
    assert text.index("as the consumer reads it:") > meant


def test_the_json_is_that_of_a_report_with_these_cells(run: RunFolder) -> None:
    whole = json.loads(said("show", "last", "--json"))
    assert whole == json.loads(said("report", "--format", "json"))
    data = json.loads(said("show", "last", "6.18..7.2", "--json"))
    jsonschema.validate(data, plain.schema())
    (cell,) = data["cells"]
    assert (cell["producer"], cell["consumer"]) == (OLD, NEW)
    assert data["verdicts"] == {"refused": 1}


def test_a_cell_without_a_result_is_said(run: RunFolder) -> None:
    run.result_file(f"{OLD}..{NEW}..kho-test").unlink()
    assert said("show", "last", "6.18..7.2") == f"{OLD} -> {NEW} kho-test: has no result yet\n"
    assert "1 cells have no result yet" in said("show", "last")


@pytest.mark.parametrize("command", ["show", "log"])
@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("6.18", "'6.18' is no pair, write it like 6.17..7.3 or 6.17..7.3..memfd"),
        ("6.18..", "is no pair"),
        ("a..b..c..d..e", "is no pair"),
        ("6.1..7.2", "'6.1' is no kernel of the run: it has v6.18.15, v7.2.12"),
        ("6.18..7.2..memfd", "the run has no cell 6.18..7.2..memfd: there are kho-test"),
        ("6.18..7.2..kho-test..torn", "the run has no cell"),
    ],
)
def test_wrong_pairs(command: str, pair: str, says: str) -> None:
    done = khoci(command, "last", pair)
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)


def test_wrong_use_of_show() -> None:
    for arguments in (("last", "--handover"), ("last", "6.18..7.2", "--handover", "--json")):
        assert "--handover goes with" in str(khoci("show", *arguments).exception)


def test_the_log_of_one_side_is_printed_as_it_is(run: RunFolder) -> None:
    text = said("log", "last", "6.18..7.2", "--side", "consumer")
    assert text == f"hello\n{REFUSAL}\nbye\n"


def test_several_logs_have_headings(run: RunFolder) -> None:
    lines = said("log", "last", "6.18..7.2").splitlines()
    folder = f"runs/{run.id}/evidence/{OLD}..{NEW}..kho-test"
    assert lines[0] == f"==> producer of {OLD} -> {NEW} kho-test: {folder}/producer.log <=="
    assert lines[4:6] == ["", f"==> consumer of {OLD} -> {NEW} kho-test: {folder}/consumer.log <=="]


def test_the_lines_that_decided_are_marked() -> None:
    text = said("log", "last", "6.18..7.2", "--side", "consumer", "--excerpt")
    assert text.splitlines() == ["  1  hello", f"> 2  {REFUSAL}", "  3  bye"]


def test_cells_of_one_boot_have_one_log(tmp_path: Path) -> None:
    plan = replace(stored.PLAN, scenarios=("kho-test", "memfd"))
    run = stored.begin(tmp_path, plan)
    first = stored.store(run, stored.result(OLD, NEW, Verdict.RESTORED), log="hello\n")
    second = replace(first, scenario="memfd")
    run.store(f"{OLD}..{NEW}..memfd", second)
    text = said("log", run.id, "6.18..7.2", "--side", "producer")
    assert text == "hello\n"
    headings = [
        line for line in said("log", run.id, "6.18..7.2").splitlines() if line.startswith("==>")
    ]
    assert [heading.split(": ")[0] for heading in headings] == [
        f"==> producer of {OLD} -> {NEW} kho-test, memfd",
        f"==> consumer of {OLD} -> {NEW} kho-test, memfd",
    ]


def test_no_log_is_kept(run: RunFolder) -> None:
    stored.store(run, stored.result(OLD, NEW, Verdict.ABSENT))
    done = khoci("log", "last", "6.18..7.2")
    assert str(done.exception).startswith("no log is kept of 6.18..7.2 in runs/")


def test_a_chain_is_no_run_of_a_matrix(tmp_path: Path) -> None:
    request = {**stored.PLAN.to_json(), "chain": [OLD, NEW]}
    chain = new_run(tmp_path / "runs", request)
    done = khoci("show", chain.id)
    assert "was made by khoci chain run" in str(done.exception)
    assert said("show", "last")


def test_runs_and_matrices_are_listed(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "matrix").mkdir()
    (tmp_path / "matrix" / "mine.toml").write_text(
        'kernels = ["6.17"]\nscenarios = ["memfd"]\npairs = "self"\n'
    )
    (tmp_path / "matrix" / "wrong.toml").write_text("kernels = 1\n")
    new_run(tmp_path / "runs", {**stored.PLAN.to_json(), "chain": [OLD, NEW]})
    (tmp_path / "runs" / "x" / "meta").mkdir(parents=True)
    (tmp_path / "runs" / "x" / "meta" / "run.json").write_text("{")
    text = said("matrix", "list")
    lines = text.splitlines()
    words = [line.split(maxsplit=1) for line in lines if line]
    assert ["mine", "1 kernels, pairs: self, 1 scenarios, 1 cells"] in words
    assert any(line.startswith("wrong ") and "matrix/wrong.toml: " in line for line in lines)
    assert f"{run.id}  default  4/4  3 restored, 1 refused" in lines
    assert sum(line.endswith("  default (chain)") for line in lines) == 1
    data = json.loads(said("matrix", "list", "--json"))
    assert {each["matrix"] for each in data["matrices"]} >= {"mine", "wrong", "releases"}
    listed = {each["run"]: each for each in data["runs"]}
    assert len(listed) == 2
    assert listed[run.id]["verdicts"] == {"restored": 3, "refused": 1}
    assert (listed[run.id]["cells"], listed[run.id]["done"]) == (4, 4)
