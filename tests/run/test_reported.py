from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.config.policy import Policy, load_policy
from khoci.errors import UsageError
from khoci.paths import data_dir
from khoci.run.folder import RunFolder
from khoci.run.reported import plan_of, report_of, results_of
from khoci.rundiff import Kind
from khoci.scenario import definitions
from khoci.verdicts import Verdict
from tests.run import stored


@pytest.fixture
def policy() -> Policy:
    return load_policy(data_dir("matrix") / "policy.toml", definitions())


def test_a_report_says_what_the_run_was(tmp_path: Path, policy: Policy) -> None:
    run = stored.whole(tmp_path)
    report = report_of(run, plan_of(run), policy)
    assert report.run == run.id
    assert report.began[:4] == run.id[:4]
    assert report.began.endswith("Z")
    assert (report.matrix, report.khoci, report.accelerator) == ("default", "0.1.0", "tcg")
    assert report.order == (stored.OLD, stored.NEW)
    assert [kernel.release for kernel in report.kernels] == ["6.18.15", "7.2.12"]
    assert report.kernels[1].key == "key of v7.2.12"
    assert len(report.results) == 4
    assert (report.missing, report.violations, report.changes) == ((), (), ())
    assert report.series is None


def test_cells_without_a_result_are_missing(tmp_path: Path, policy: Policy) -> None:
    run = stored.begin(tmp_path)
    done = stored.store(run, stored.result(stored.OLD, stored.OLD, Verdict.RESTORED))
    report = report_of(run, plan_of(run), policy)
    assert report.results == (done,)
    assert len(report.missing) == 3
    assert (stored.OLD, stored.OLD, stored.SCENARIO, "") not in report.missing


def test_the_policy_is_held_against_it(tmp_path: Path, policy: Policy) -> None:
    run = stored.begin(tmp_path)
    stored.store(run, stored.result(stored.NEW, stored.NEW, Verdict.PANIC))
    (line,) = report_of(run, plan_of(run), policy).violations
    assert line.cell == (stored.NEW, stored.NEW, stored.SCENARIO, "")
    assert str(line).startswith("v7.2.12 -> v7.2.12 kho-test: panic")


def test_a_series_is_held_against_its_base(tmp_path: Path, policy: Policy) -> None:
    plan = stored.around_series()
    run = stored.begin(tmp_path, plan)
    stored.store(run, stored.result(stored.NEW, stored.OLD, Verdict.RESTORED))
    stored.store(run, stored.result("kho-words-v1", stored.OLD, Verdict.CORRUPT))
    report = report_of(run, plan_of(run), policy)
    (change,) = report.changes
    assert change.kind is Kind.REGRESSED
    assert report.kernels[-1].base == stored.NEW
    assert report.kernels[-1].patch == "1/1 kho: say it better"


def test_a_run_is_held_against_another(tmp_path: Path, policy: Policy) -> None:
    before, after = stored.whole(tmp_path), stored.whole(tmp_path)
    stored.store(after, stored.result(stored.OLD, stored.NEW, Verdict.PANIC))
    report = report_of(after, plan_of(after), policy, before)
    assert report.against == before.id
    (change,) = report.changes
    assert (change.kind, change.cell.verdict) == (Kind.REGRESSED, Verdict.PANIC)


def test_a_result_of_another_cell_is_refused(tmp_path: Path) -> None:
    run = stored.whole(tmp_path)
    wrong = replace(stored.result(stored.OLD, stored.NEW, Verdict.RESTORED), producer="v9")
    run.store(f"{stored.OLD}..{stored.NEW}..{stored.SCENARIO}", wrong)
    with pytest.raises(UsageError, match="is the result of another cell"):
        results_of(run, plan_of(run))


def test_a_run_of_another_khoci_is_refused(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    (tmp_path / "meta").mkdir()
    run.meta("run.json").write_text(json.dumps({"kernels": ["v7.3.4"], "hello": 1}))
    with pytest.raises(UsageError, match="another version of khoci"):
        plan_of(run)
