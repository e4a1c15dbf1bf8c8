from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kcidb_io import schema

from khoci.report import kcidb
from khoci.report.model import Report
from khoci.verdicts import Verdict
from tests.report import example


def submission(report: Report) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(kcidb.render(report))
    schema.LATEST.validate(data)
    return data


def test_it_is_valid_and_of_the_newest_version() -> None:
    data = submission(example.report())
    assert data["version"] == {"major": schema.LATEST.major, "minor": schema.LATEST.minor}
    assert len(data["tests"]) == 15
    assert len(data["builds"]) == len(data["checkouts"]) == 3


def test_a_test_is_of_the_consumer_and_names_its_producer() -> None:
    data = submission(example.report())
    found = next(each for each in data["tests"] if each["status"] == "FAIL")
    assert found["comment"] == "kho-test: v7.3.4 -> kho-words-v1"
    assert found["build_id"] == "khoci:cc"
    assert found["misc"]["producer_build_id"] == "khoci:bb"
    assert found["path"] == "khoci.kho-test.v7_3_4"
    assert found["misc"]["components"] == {"root": "restored", "kho_test": "corrupt"}
    assert "corrupt must never happen" in found["log_excerpt"]


def test_the_checkout_of_a_series_has_its_mail() -> None:
    checkouts = {each["id"]: each for each in submission(example.report())["checkouts"]}
    assert checkouts["khoci:cc"]["message_id"] == example.SERIES.msgid
    assert checkouts["khoci:cc"]["git_commit_name"] == example.BASE
    assert "message_id" not in checkouts["khoci:bb"]


def test_what_the_harness_missed_is_a_miss() -> None:
    found = [
        each["comment"]
        for each in submission(example.report())["tests"]
        if each["status"] == "MISS"
    ]
    assert found == ["memfd: v6.18.15 -> v6.18.15", "memfd: v6.18.15 -> v7.3.4"]


def test_ids_are_those_of_the_same_report_again() -> None:
    assert kcidb.render(example.report()) == kcidb.render(example.report())
    ids = [each["id"] for each in submission(example.report())["tests"]]
    assert len(set(ids)) == len(ids)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_is_valid(text: str) -> None:
    submission(example.report([example.cell(example.OLD, example.BASE, Verdict.PANIC, text=text)]))
