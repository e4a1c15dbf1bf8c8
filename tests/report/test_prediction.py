from __future__ import annotations

from khoci.report.prediction import describe
from khoci.results import Expected
from khoci.verdicts import Verdict

LOST = "v6.17.13 reads 512 of each bitmap's 4096 bytes: 64 of 64 KiB are free memory"
PREDICTION = {
    "root": Expected(Verdict.RESTORED, "the strings are equal"),
    "memory map": Expected(Verdict.CORRUPT, LOST),
    "reserve_mem": Expected(Verdict.CORRUPT, LOST),
}


def test_a_table_of_component_verdict_and_reason() -> None:
    assert (
        describe("v6.17.13", Verdict.CORRUPT, PREDICTION, 72)
        == """\
v6.17.13: corrupt
  root         restored  the strings are equal
  memory map   corrupt   v6.17.13 reads 512 of each bitmap's 4096 bytes:
                         64 of 64 KiB are free memory
  reserve_mem  corrupt   as above
"""
    )


def test_a_narrow_terminal_still_has_room_for_the_reason() -> None:
    lines = describe("x", Verdict.CORRUPT, PREDICTION, 10).splitlines()
    assert max(map(len, lines)) <= 25 + 24
    assert " ".join(" ".join(lines).split()).count("free memory") == 1


def test_an_empty_prediction() -> None:
    assert describe("x", Verdict.ABSENT, {}, 80) == "x: absent\n"
