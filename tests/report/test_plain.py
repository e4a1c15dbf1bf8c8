from __future__ import annotations

import json

import jsonschema
import pytest

from khoci.report import plain
from khoci.report.model import Report
from khoci.results import CellResult
from tests.report import example

VALIDATOR = jsonschema.Draft202012Validator(plain.schema())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(plain.schema())


def test_a_report_is_as_the_schema_says() -> None:
    data = json.loads(plain.render(example.report()))
    VALIDATOR.validate(data)
    assert data["changes"], "the example has a change"
    assert data["known"]
    assert data["missing"] == [
        {"producer": "v6.18.15", "consumer": "v7.3.4", "scenario": "memfd", "fault": ""}
    ]


def test_an_empty_report_is_too() -> None:
    VALIDATOR.validate(json.loads(plain.render(Report("run", "default", (), (), ()))))


@pytest.mark.parametrize("key", list(plain.schema()["required"]))
def test_the_schema_misses_what_is_not_there(key: str) -> None:
    data = plain.plain(example.report())
    del data[key]
    assert not VALIDATOR.is_valid(data)


def test_the_schema_knows_every_key() -> None:
    data = plain.plain(example.report())
    data["cells"][0]["new"] = 1
    assert not VALIDATOR.is_valid(data)


def test_a_cell_can_be_read_as_a_result_again() -> None:
    report = example.report()
    data = json.loads(plain.render(report))
    again = [
        CellResult.from_json({**each, "schema": each["result_schema"]}) for each in data["cells"]
    ]
    assert again == list(report.results)
