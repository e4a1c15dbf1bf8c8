from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from khoci.report import ktap
from khoci.verdicts import Verdict
from tests.report import example


def test_each_scenario_is_a_subtest() -> None:
    lines = ktap.render(example.report()).splitlines()
    assert lines[:6] == [
        "KTAP version 1",
        "1..2",
        "  KTAP version 1",
        "  # Subtest: kho-test",
        "  1..9",
        "  ok 1 v6.18.15 -> v6.18.15 # SKIP",
    ]
    assert [line for line in lines if not line.startswith(" ")][2:] == [
        "not ok 1 kho-test",
        "not ok 2 memfd",
    ]


def test_reasons_stand_before_what_failed() -> None:
    lines = ktap.render(example.report()).splitlines()
    at = lines.index("  not ok 5 kho-words-v1 -> v6.18.15")
    assert lines[at - 3 : at] == [
        "  # panic must never happen",
        "  # kho_test is panic: Kernel panic - not syncing",
        "  # khoci cell run kho-words-v1 v6.18.15 memfd",
    ]


def test_a_known_break_is_said_before_what_is_ok() -> None:
    report = replace(example.report(), violations=())
    ((reason, (broken, *_)),) = report.known.items()
    lines = ktap.render(report).splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("  # ") and "known: " in line)
    assert lines[at] == f"  # {broken.verdict} is known: {reason}"
    assert lines[at + 1].startswith("  ok ")
    assert lines[at + 1].endswith(f"{broken.producer} -> {broken.consumer}")


@given(st.text())
def test_no_text_makes_a_line_or_a_directive(text: str) -> None:
    cells = [example.cell(example.OLD, example.PATCHED, Verdict.PANIC, text=text)]
    lines = ktap.render(example.report(cells)).splitlines()
    assert sum("ok " in line.split("#")[0] for line in lines) == 4
    assert not any(line.endswith("# SKIP") for line in lines if line.startswith("  "))
