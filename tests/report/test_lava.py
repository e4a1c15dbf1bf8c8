from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from khoci.report import lava
from khoci.verdicts import Verdict
from tests.report import example

LINE = re.compile(
    r"<LAVA_SIGNAL_TESTSET START [\w.+:-]+>|<LAVA_SIGNAL_TESTSET STOP>|"
    r"<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=[\w.+:-]+ RESULT=(pass|fail|skip|unknown)>",
    re.ASCII,
)


def test_each_scenario_is_a_set() -> None:
    lines = lava.render(example.report()).splitlines()
    assert len(lines) == 15 + 4
    assert lines[0] == "<LAVA_SIGNAL_TESTSET START kho-test>"
    assert lines[1] == "<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=v6.18.15_to_v6.18.15 RESULT=skip>"
    assert lines[10:12] == ["<LAVA_SIGNAL_TESTSET STOP>", "<LAVA_SIGNAL_TESTSET START memfd>"]
    assert lines[-2].endswith("ID=v6.18.15_to_v7.3.4 RESULT=unknown>")


@given(st.text(min_size=1))
def test_every_line_is_one_signal(name: str) -> None:
    cell = example.cell(name, name, Verdict.RESTORED)
    for line in lava.render(example.report([cell])).splitlines():
        assert LINE.fullmatch(line)


def test_a_scenario_with_parameters_is_no_parameter_of_a_signal() -> None:
    cell = example.cell(
        example.OLD, example.PATCHED, Verdict.RESTORED, scenario="memfd:size=64M:holes=3"
    )
    report = replace(example.report([cell]), scenarios=(cell.scenario,))
    first, *_ = lava.render(report).splitlines()
    assert first == "<LAVA_SIGNAL_TESTSET START memfd:size_64M:holes_3>"
