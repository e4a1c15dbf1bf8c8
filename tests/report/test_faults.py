from __future__ import annotations

from khoci.report.faults import table
from khoci.results import CellResult
from khoci.verdicts import Verdict

SUMMARIES = {"root-cut": "the FDT ends early", "block-cycle": "a block is its own next"}


def result(kernel: str, fault: str, verdict: Verdict) -> CellResult:
    return CellResult(kernel, kernel, "memfd", verdict, {}, fault=fault)


RESULTS = [
    result("v7.3.4", "root-cut", Verdict.REFUSED),
    result("v6.17.13", "root-cut", Verdict.RESTORED),
    result("v6.17.13", "block-cycle", Verdict.ABSENT),
    result("v7.3.4", "block-cycle", Verdict.PANIC),
]


def test_rows_are_faults_and_columns_kernels_oldest_first() -> None:
    lines = table(RESULTS, ["v6.17.13", "v7.3.4", "v9.9"], SUMMARIES).splitlines()
    assert lines[:3] == [
        "fault       6.17.13 7.3.4",
        "root-cut    restor  refuse",
        "block-cycle -       PANIC",
    ]
    assert "block-cycle a block is its own next" in lines


def test_the_words_are_explained() -> None:
    text = table(RESULTS, ["v6.17.13", "v7.3.4"], SUMMARIES)
    assert "restor    taken over as if nothing were wrong" in text
    assert "-         this kernel hands over nothing that could be broken so" in text
    assert "CORRUPT" not in text
