"""JUnit XML, as GitHub, GitLab and Jenkins show it: a suite for each scenario. Pure."""

from __future__ import annotations

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from khoci.report.model import CellKey, Report, key_of
from khoci.report.outcome import Outcome, complaints, outcome, title, why
from khoci.results import CellResult


def render(report: Report) -> str:
    """The whole report as one document, in UTF-8."""
    document = JUnitXml(_legal(f"khoci {report.run}"))
    for scenario in report.scenarios:
        suite = TestSuite(_legal(f"khoci {scenario}"))
        suite.add_property("run", _legal(report.run))
        suite.add_property("matrix", _legal(report.matrix))
        cases = [_case(report, each) for each in report.results if each.scenario == scenario]
        cases += [_not_run(cell) for cell in report.missing if cell[2] == scenario]
        suite.add_testcases(cases)
        document.add_testsuite(suite)
    document.update_statistics()
    content: bytes = document.tostring()
    return content.decode() + "\n"


def _case(report: Report, result: CellResult) -> TestCase:
    case = _named(key_of(result), result.seconds)
    found = outcome(report, result)
    lines = why(result)
    if found is Outcome.SKIP:
        case.result = [Skipped(_legal(result.reason))]
    elif found is Outcome.ERROR:
        case.result = [_with_text(Error(_legal(result.reason)), lines)]
    elif found is Outcome.FAIL:
        case.result = [
            _with_text(Failure("; ".join(map(_legal, complaints(report, result)))), lines)
        ]
    case.system_out = _legal("\n".join([str(result.verdict), *lines, result.reproduce]))
    return case


def _not_run(cell: CellKey) -> TestCase:
    case = _named(cell, 0.0)
    case.result = [Error("it has no result yet")]
    return case


def _named(cell: CellKey, seconds: float) -> TestCase:
    return TestCase(_legal(title(cell)), f"khoci.{_legal(cell[2])}", seconds)


def _with_text(result: Error | Failure, lines: list[str]) -> Error | Failure:
    result.text = _legal("\n".join(lines))
    return result


def _legal(text: str) -> str:
    """The text without what XML 1.0 cannot hold, however it is written."""
    return "".join(char if _is_legal(char) else "?" for char in text)


def _is_legal(char: str) -> bool:
    return (
        char in "\t\n"
        or (" " <= char <= "\ud7ff")
        or ("\ue000" <= char <= "\ufffd")
        or char > "\uffff"
    )
