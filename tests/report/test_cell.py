from __future__ import annotations

from dataclasses import replace

from khoci.report.cell import describe
from khoci.results import CellResult, Evidence, Expected, Judgement
from khoci.verdicts import Verdict

RESULT = CellResult(
    "v6.17.13",
    "v6.18.15",
    "kho-test",
    Verdict.RESET,
    {
        "root": Judgement(Verdict.ACCEPTED, (Evidence("log", "KHO: found"),)),
        "kho_test": Judgement(Verdict.RESET, (Evidence("guest", "reset"), Evidence("log", "last"))),
    },
    splats=("consumer: BUG: x",),
    reproduce="khoci cell run v6.17.13 v6.18.15 kho-test",
)


def test_a_cell_in_words() -> None:
    assert (
        describe(RESULT)
        == """\
v6.17.13 -> v6.18.15 kho-test: reset

  root: accepted
    log: KHO: found
  kho_test: reset
    guest: reset
    log: last
  splat in the log of the consumer: BUG: x

run it again: khoci cell run v6.17.13 v6.18.15 kho-test
"""
    )


def test_the_prediction_stands_beside_the_observation() -> None:
    prediction = {"root": Expected(Verdict.ACCEPTED, "equal strings")}
    lines = describe(replace(RESULT, prediction=prediction)).splitlines()
    assert lines[lines.index("  root: accepted") + 2] == "    predicted: accepted: equal strings"
    assert lines[lines.index("  kho_test: reset") + 3] == "    PREDICTED OTHERWISE: nothing"


def test_a_wrong_prediction_cannot_be_overlooked() -> None:
    prediction = {
        "root": Expected(Verdict.ACCEPTED, "x"),
        "kho_test": Expected(Verdict.RESTORED, "all is well"),
    }
    text = describe(replace(RESULT, prediction=prediction))
    assert text.count("PREDICTED OTHERWISE") == 1
    assert "    PREDICTED OTHERWISE: restored: all is well\n" in text
