from __future__ import annotations

from khoci.bisection import Bisection, Candidate, Change, Mark, Reverted
from khoci.report.bisection import render
from khoci.results import CellResult, Evidence, Judgement
from khoci.verdicts import Verdict

CHANGES = (
    Change("0123abcd", "commit", "kho: x", "A <a@b>", "Mon Sep 1", "https://example.org/x"),
    Change("4567abcd", "commit", "kho: y"),
)


def candidate(mark: Mark, verdict: Verdict, kernel: str, *splats: str) -> Candidate:
    components = {
        "root": Judgement(Verdict.RESTORED, (Evidence("log", "found"),)),
        "memfd": Judgement(verdict, (Evidence("guest", f"is {verdict}"),)),
    }
    result = CellResult("v1", kernel, "memfd", verdict, components, splats)
    return Candidate(kernel, kernel, mark, result)


GOOD = candidate(Mark.GOOD, Verdict.RESTORED, "g1")
BAD = candidate(Mark.BAD, Verdict.CORRUPT, "g2", "consumer: BUG: x")
SKIPPED = candidate(Mark.SKIP, Verdict.ERROR, "g3")


def test_a_change_in_words() -> None:
    again = candidate(Mark.GOOD, Verdict.RESTORED, "g2-without-g2")
    assert (
        render(Bisection(CHANGES[:1], (GOOD, BAD), Reverted(again)))
        == """\
0123abcd is the first bad commit
Author: A <a@b>
Date:   Mon Sep 1

    kho: x

    Link: https://example.org/x

good: v1 -> g1 memfd: restored
  memfd: restored
    guest: is restored

bad: v1 -> g2 memfd: corrupt
  memfd: corrupt
    guest: is corrupt
  splat in the log of the consumer: BUG: x

Verified: with it reverted from the bad end, the cell is good again.
reverted: v1 -> g2-without-g2 memfd: restored
  memfd: restored
    guest: is restored
"""
    )


def test_reverting_does_not_help() -> None:
    still = candidate(Mark.BAD, Verdict.PANIC, "g2-without-g2")
    told = render(Bisection(CHANGES[:1], (GOOD, BAD), Reverted(still)))
    assert "\nStill bad with it reverted from the bad end: another change" in told
    assert "reverted: v1 -> g2-without-g2 memfd: panic\n" in told


def test_what_was_not_reverted_is_not_verified() -> None:
    for reverted in (Reverted(None, "it is a merge"), Reverted(SKIPPED, "it is a merge")):
        told = render(Bisection(CHANGES[:1], (GOOD, BAD), reverted))
        assert told.endswith("\nNot verified by reverting it: it is a merge\n")
        assert "Verified" not in told


def test_several_changes_in_words() -> None:
    told = render(Bisection(CHANGES, (GOOD, BAD, SKIPPED)))
    assert told.startswith(
        "There are only 'skip'ped commits left to test.\n"
        "The first bad commit could be any of:\n"
        "  0123abcd kho: x\n"
        "  4567abcd kho: y\n"
        "\n"
        "skipped g3: is error\n"
        "\n"
        "good: v1 -> g1 memfd: restored\n"
    )
    assert "first bad commit\n" not in told


def test_a_component_that_only_one_side_has() -> None:
    components = {"root": Judgement(Verdict.PANIC, (Evidence("log", "Kernel panic"),))}
    dead = Candidate(
        "g2", "g2", Mark.BAD, CellResult("v1", "g2", "memfd", Verdict.PANIC, components)
    )
    told = render(Bisection(CHANGES[:1], (GOOD, dead)))
    assert "  memfd: not handed over\n" in told
    assert "  root: panic\n    log: Kernel panic\n" in told


def test_the_nearest_of_both_sides_is_shown() -> None:
    good = candidate(Mark.GOOD, Verdict.RESTORED, "g7")
    bad = candidate(Mark.BAD, Verdict.RESET, "g8")
    told = render(Bisection(CHANGES[:1], (GOOD, BAD, good, bad, SKIPPED)))
    assert "good: v1 -> g7 memfd: restored" in told
    assert "bad: v1 -> g8 memfd: reset" in told
