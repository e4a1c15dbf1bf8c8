from __future__ import annotations

from dataclasses import replace

from khoci.report.rundiff import WIDTH, render
from khoci.results import CellResult, Evidence, Judgement
from khoci.rundiff import compare
from khoci.verdicts import Verdict

ORDER = ("v6.17.13", "v6.18.15", "v7.3.4")


def cell(
    verdict: Verdict, consumer: str = "v6.18.15", scenario: str = "memfd", proof: str = "it did"
) -> CellResult:
    components = {
        "root": Judgement(Verdict.RESTORED, (Evidence("log", "KHO: found"),)),
        "memfd": Judgement(verdict, (Evidence("digest", proof), Evidence("log", "and so on"))),
    }
    command = f"khoci cell run v6.17.13 {consumer} {scenario}"
    return CellResult("v6.17.13", consumer, scenario, verdict, components, reproduce=command)


def told(before: list[CellResult], after: list[CellResult]) -> str:
    return render(compare(before, after, ORDER))


def test_nothing_that_stayed_the_same_is_told() -> None:
    same = cell(Verdict.PANIC, "v7.3.4")
    assert told([same], [same]) == "nothing changed\n"
    assert "v7.3.4" not in told([same, cell(Verdict.RESTORED)], [same, cell(Verdict.PANIC)])


def test_a_regression_with_its_proof_and_command() -> None:
    after = replace(cell(Verdict.CORRUPT), splats=("consumer: WARNING: x",))
    assert (
        told([cell(Verdict.RESTORED)], [after])
        == """\
REGRESSED

v6.17.13 -> v6.18.15 memfd: restored -> corrupt
  memfd: restored -> corrupt
  new in the log of the consumer: WARNING: x
  memfd: it did
  memfd: and so on
  khoci cell run v6.17.13 v6.18.15 memfd

1 regressed
"""
    )


def test_a_fix_needs_no_proof() -> None:
    text = told([cell(Verdict.CORRUPT)], [cell(Verdict.RESTORED)])
    assert text.startswith("FIXED\n\nv6.17.13 -> v6.18.15 memfd: corrupt -> restored\n")
    assert "it did" not in text
    assert text.endswith("\n1 fixed\n")


def test_what_changed_below_the_same_verdict() -> None:
    before = cell(Verdict.PANIC)
    worse = Judgement(Verdict.CORRUPT, (Evidence("digest", "other bytes"),))
    after = replace(before, components={**before.components, "root": worse})
    text = told([before], [after])
    assert "memfd: still panic\n  root: restored -> corrupt\n  root: other bytes\n" in text
    assert "it did" not in text


def test_new_and_gone_cells_are_counted_but_for_what_is_wrong() -> None:
    consumers = ORDER
    new = [cell(Verdict.RESTORED, name, "empty") for name in consumers]
    gone = [cell(Verdict.PANIC, name, "crash") for name in consumers[:1]]
    bad = cell(Verdict.HANG, scenario="kaslr", proof="it hangs")
    assert (
        told(gone, [*new, bad])
        == """\
NEW

v6.17.13 -> v6.18.15 kaslr: not run -> hang
  memfd: it hangs
  memfd: and so on
  khoci cell run v6.17.13 v6.18.15 kaslr

empty: 3 cells not run -> restored

GONE

crash: 1 cell panic -> not run

4 new, 1 gone
"""
    )


def test_a_cell_that_is_absent_now_is_gone() -> None:
    absent = replace(cell(Verdict.ABSENT), components={"memfd": Judgement(Verdict.ABSENT)})
    assert "GONE\n\nmemfd: 1 cell restored -> absent\n" in told([cell(Verdict.RESTORED)], [absent])


def test_a_fault_is_named() -> None:
    before, after = (replace(cell(word), fault="cut") for word in (Verdict.REFUSED, Verdict.PANIC))
    assert "v6.17.13 -> v6.18.15 memfd with cut: refused -> panic\n" in told([before], [after])


def test_no_line_is_too_long() -> None:
    names = ("memory-shape:memory=1G:nodes=2", "reserve-mem:regions=8:size=2M:order=18:extra=1")
    before = [cell(Verdict.RESTORED, "v7.3.4", name) for name in names]
    after = [cell(Verdict.PANIC, "v7.3.4", name, proof="word " * 40) for name in names]
    lines = [line for line in told(before, after).splitlines() if "khoci cell run" not in line]
    assert max(map(len, lines)) <= WIDTH == 75
