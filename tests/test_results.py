from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.results import CellResult, Evidence, Expected, Judgement
from khoci.verdicts import MEANING, Verdict, worst

EVIDENCE = st.builds(Evidence, st.sampled_from(["log", "guest"]), st.text())
JUDGEMENTS = st.builds(
    Judgement, st.sampled_from(Verdict), st.lists(EVIDENCE, max_size=3).map(tuple)
)
EXPECTED = st.builds(Expected, st.sampled_from(Verdict), st.text())
RESULTS = st.builds(
    CellResult,
    producer=st.text(),
    consumer=st.text(),
    scenario=st.text(),
    verdict=st.sampled_from(Verdict),
    components=st.dictionaries(st.text(), JUDGEMENTS, max_size=4),
    splats=st.lists(st.text(), max_size=2).map(tuple),
    details=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(), max_size=3),
    reproduce=st.text(),
    files=st.dictionaries(st.text(), st.text(), max_size=2),
    seconds=st.floats(0, 1e6),
    prediction=st.none() | st.dictionaries(st.text(), EXPECTED, max_size=4),
)
GOOD = CellResult(
    "a", "b", "c", Verdict.PANIC, {"root": Judgement(Verdict.PANIC, (Evidence("log", "x"),))}
).to_json()


@given(RESULTS)
def test_the_same_through_json(result: CellResult) -> None:
    assert CellResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_what_scripts_read() -> None:
    data = json.loads(json.dumps(GOOD))
    assert data["verdict"] == "panic"
    assert data["components"]["root"]["verdict"] == "panic"
    assert {"schema", "producer", "consumer", "scenario"} < set(data)


def test_new_keys_alone_do_not_matter() -> None:
    assert CellResult.from_json({**GOOD, "chain": []}) == CellResult.from_json(GOOD)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": "1"},
        {"verdict": "fine"},
        {"components": []  , "splats": None},
        {"components": {"root": {"verdict": "fine", "evidence": []}}},
        {"components": {"root": {"verdict": "panic"}}},
        {"components": ["root"]},
        {"prediction": ["root"]},
        {"prediction": {"root": {"verdict": "fine", "reason": "x"}}},
        {"prediction": {"root": {"verdict": "panic"}}},
    ],
)  # fmt: skip
def test_other_things_are_rejected(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        CellResult.from_json({**GOOD, **change})


def test_a_result_from_before_predictions() -> None:
    old = {name: value for name, value in GOOD.items() if name != "prediction"}
    assert CellResult.from_json(old).prediction is None


def test_agreement_is_told_by_component() -> None:
    seen = {"root": Judgement(Verdict.ACCEPTED), "luo": Judgement(Verdict.PANIC)}
    result = CellResult("a", "b", "c", Verdict.PANIC, {**seen, "new": Judgement(Verdict.PANIC)})
    expected = {name: Expected(Verdict.PANIC, "x") for name in ("root", "luo", "session")}
    assert result.agreement == {}
    predicted = replace(result, prediction=expected)
    assert predicted.agreement == {"root": False, "luo": True, "new": False}


def test_where_the_harness_failed_nothing_was_predicted_wrongly() -> None:
    failed = CellResult("a", "b", "c", Verdict.ERROR, {"root": Judgement(Verdict.ERROR)})
    assert replace(failed, prediction={}).agreement == {}


@pytest.mark.parametrize("key", ["schema", "producer", "verdict", "components", "splats"])
def test_a_missing_key_is_rejected(key: str) -> None:
    with pytest.raises((KeyError, TypeError)):
        CellResult.from_json({name: value for name, value in GOOD.items() if name != key})


def test_the_worst_verdict() -> None:
    assert [verdict.rank for verdict in Verdict] == list(range(10))
    assert worst([]) is Verdict.ABSENT
    assert worst([Verdict.RESTORED, Verdict.ACCEPTED]) is Verdict.ACCEPTED
    assert worst([Verdict.PANIC, Verdict.CORRUPT]) is Verdict.PANIC
    assert set(MEANING) == set(Verdict)


@given(st.lists(st.sampled_from(Verdict), min_size=1))
def test_nothing_is_worse_than_the_worst(verdicts: list[Verdict]) -> None:
    found = worst(verdicts)
    assert found in verdicts
    assert all(verdict.rank <= found.rank for verdict in verdicts)
