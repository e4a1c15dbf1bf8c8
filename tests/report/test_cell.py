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


def test_what_else_is_worth_knowing() -> None:
    fate = {"kept": 4096, "overwritten": 0, "not_protected": 8192}
    more = replace(
        RESULT,
        fault="zero-map",
        memory={"root": fate, "memfd": {"kept": 0}},
        matched=("kho-found", "panic"),
        joint=("memfd", "empty"),
        retries=("QEMU did not start",),
    )
    text = describe(more, ["the bitmaps grew (docs/findings.md#grew)"])
    lines = text.splitlines()
    assert lines[0] == "v6.17.13 -> v6.18.15 kho-test with zero-map: reset"
    assert lines[1] == "known: the bitmaps grew (docs/findings.md#grew)"
    end = """\
  splat in the log of the consumer: BUG: x
  memory, in bytes:
    root: 4096 kept, 8192 not protected
  lines of the log that were known: kho-found, panic
  in one boot with: memfd, empty
  run once more, because the harness had failed: QEMU did not start

run it again: khoci cell run v6.17.13 v6.18.15 kho-test
"""
    assert text.endswith(end)


def test_memory_of_which_nothing_is_known_is_not_told() -> None:
    assert "memory" not in describe(replace(RESULT, memory={"root": {"kept": 0}}))
