from __future__ import annotations

from khoci.report.cell import describe
from khoci.results import CellResult, Evidence, Judgement
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
