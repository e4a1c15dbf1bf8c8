from __future__ import annotations

from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped

from khoci.report import junit
from khoci.verdicts import Verdict
from tests.report import example


def read(text: str) -> JUnitXml:
    return JUnitXml.fromstring(text.encode())


def test_it_is_read_by_others() -> None:
    found = read(junit.render(example.report()))
    assert [suite.name for suite in found] == ["khoci kho-test", "khoci memfd"]
    assert (found.tests, found.failures, found.errors, found.skipped) == (15, 4, 2, 1)


def test_a_case_says_what_it_is_and_how_to_run_it_again() -> None:
    suite = list(read(junit.render(example.report())))[1]
    case = next(each for each in suite if each.name == "kho-words-v1 -> v6.18.15")
    (failure,) = case.result
    assert isinstance(failure, Failure)
    assert failure.message == "panic must never happen"
    assert "kho_test is panic: Kernel panic - not syncing" in failure.text
    assert "khoci cell run kho-words-v1 v6.18.15 memfd" in case.system_out
    assert (case.classname, case.time) == ("khoci.memfd", 1.25)


def test_what_was_not_run_and_what_could_not_be_run_are_errors() -> None:
    suite = list(read(junit.render(example.report())))[1]
    by_name = {case.name: case.result for case in suite}
    (failed,) = by_name["v6.18.15 -> v6.18.15"]
    assert isinstance(failed, Error)
    assert failed.message == "QEMU did not start"
    (missing,) = by_name["v6.18.15 -> v7.3.4"]
    assert isinstance(missing, Error)


def test_what_is_absent_is_skipped() -> None:
    (absent,) = next(iter(next(iter(read(junit.render(example.report())))))).result
    assert isinstance(absent, Skipped)


@given(st.text())
def test_any_text_stays_text(text: str) -> None:
    cell = example.cell(example.OLD, example.PATCHED, Verdict.PANIC, text=text)
    root = ET.fromstring(junit.render(example.report([cell])))  # noqa: S314  (our own)
    assert {each.tag for each in root.iter()} <= {
        *("testsuites", "testsuite", "testcase", "properties", "property"),
        *("failure", "error", "system-out"),
    }
