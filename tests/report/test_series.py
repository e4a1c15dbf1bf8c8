from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from khoci.report.b4check import of_run
from khoci.report.causes import between, causes
from khoci.report.series import cells_with, changes_of, told
from khoci.results import CellResult, Evidence, Judgement, SeriesInRun
from khoci.verdicts import Verdict

ORDER = ("v6.17", "v6.18", "s-v1", "s-v2-1of2", "s-v2")
WHOLE = SeriesInRun(
    label="s:v2",
    title="kho: a change",
    msgid="cover@example.org",
    kernel="s-v2",
    base="v6.18",
    changed={"s-v2": "v6.18"},
    patches={"s-v2": "patch 2/2: kho: break it"},
    previous={"s-v1": "v6.18"},
)
STEPS = SeriesInRun(
    **{
        **vars(WHOLE),
        "changed": {"s-v2-1of2": "v6.18", "s-v2": "s-v2-1of2"},
        "patches": {"s-v2-1of2": "patch 1/2: kho: prepare", "s-v2": "patch 2/2: kho: break it"},
    }
)


def cell(producer: str, consumer: str, verdict: Verdict = Verdict.RESTORED) -> CellResult:
    components = {
        "root": Judgement(Verdict.RESTORED, (Evidence("log", "KHO: found"),)),
        "memfd": Judgement(verdict, (Evidence("digest", "64 KiB became another"),)),
    }
    command = f"khoci cell run {producer} {consumer} memfd"
    return CellResult(producer, consumer, "memfd", verdict, components, reproduce=command)


BROKEN = [
    cell("v6.17", "v6.18", Verdict.REFUSED),
    cell("v6.17", "s-v2", Verdict.REFUSED),
    cell("v6.18", "v6.18"),
    cell("v6.18", "s-v2", Verdict.CORRUPT),
    cell("s-v2", "v6.18", Verdict.PANIC),
    cell("s-v2", "s-v2"),
]


def test_what_it_changes_worst_first_and_what_it_does_not() -> None:
    assert (
        told(BROKEN, WHOLE, ORDER)
        == """\
s-v2 on v6.18: kho: a change
what it changes against its base:

REGRESSED

s-v2 -> v6.18 memfd: restored -> panic
  memfd: restored -> panic
  memfd: 64 KiB became another
  khoci cell run s-v2 v6.18 memfd

v6.18 -> s-v2 memfd: restored -> corrupt
  memfd: restored -> corrupt
  memfd: 64 KiB became another
  khoci cell run v6.18 s-v2 memfd

2 regressed
as on the base: 2 of 4 cells

"""
    )


def test_the_patch_that_brought_it_is_named() -> None:
    between = [
        cell("v6.18", "s-v2-1of2"),
        cell("s-v2-1of2", "v6.18"),
        cell("s-v2-1of2", "s-v2-1of2"),
        cell("s-v2-1of2", "s-v2", Verdict.CORRUPT),
    ]
    text = told([*BROKEN, *between], STEPS, ORDER)
    assert text.count("  since patch 2/2: kho: break it\n") == 2
    assert "1of2" not in text
    early = [cell("s-v2-1of2", "v6.18", Verdict.PANIC), *between]
    assert "  since patch 1/2: kho: prepare\n" in told([*BROKEN, *early[:1]], STEPS, ORDER)
    assert len(cells_with([*BROKEN, *between], STEPS)) == 4


THREE = SeriesInRun(
    **{
        **vars(WHOLE),
        "changed": {"s-v2-1of3": "v6.18", "s-v2-2of3": "s-v2-1of3", "s-v2": "s-v2-2of3"},
        "patches": {"s-v2-1of3": "patch 1/3", "s-v2-2of3": "patch 2/3", "s-v2": "patch 3/3"},
    }
)
GOOD, BAD = Verdict.RESTORED, Verdict.CORRUPT


@pytest.mark.parametrize(
    ("verdicts", "cause"),
    [
        ((GOOD, GOOD, BAD, BAD), "since patch 2/3"),
        ((GOOD, BAD, GOOD, BAD), "since patch 3/3"),
        ((GOOD, BAD, BAD, BAD), "since patch 1/3"),
        ((GOOD, GOOD, Verdict.ERROR, BAD), "since one of patch 2/3; patch 3/3"),
        ((GOOD, GOOD, None, BAD), "since one of patch 2/3; patch 3/3"),
        ((GOOD, Verdict.DROPPED, Verdict.PANIC, BAD), "since patch 3/3"),
    ],
)
def test_the_patch_is_the_one_after_the_last_that_is_otherwise(
    verdicts: Sequence[Verdict | None], cause: str
) -> None:
    names = ("v6.18", "s-v2-1of3", "s-v2-2of3", "s-v2")
    pairs = zip(names, verdicts, strict=True)
    cells = [cell("v6.17", name, verdict) for name, verdict in pairs if verdict]
    (change,) = changes_of(cells, THREE, ORDER)
    assert causes(cells, THREE, [change]) == {("v6.17", "s-v2", "memfd"): (cause,)}


def test_two_patches_that_changed_two_components() -> None:
    words = {
        "v6.18": (GOOD, GOOD),
        "s-v2-1of3": (Verdict.DROPPED, GOOD),
        "s-v2-2of3": (Verdict.DROPPED, GOOD),
        "s-v2": (Verdict.DROPPED, Verdict.DROPPED),
    }
    cells = [
        replace(
            cell("v6.17", name),
            verdict=max(found, key=lambda verdict: verdict.rank),
            components={n: Judgement(v) for n, v in zip(("luo", "memfd"), found, strict=True)},
        )
        for name, found in words.items()
    ]
    text = told(cells, THREE, ORDER)
    assert "  luo: since patch 1/3\n  memfd: since patch 3/3\n" in text


def test_what_is_broken_in_between_only() -> None:
    cells = [
        cell("v6.17", "v6.18"),
        cell("v6.17", "s-v2-1of3"),
        cell("v6.17", "s-v2-2of3", Verdict.PANIC),
        cell("v6.17", "s-v2"),
    ]
    text = told(cells, THREE, ORDER)
    assert "nothing changed\nas on the base: 1 of 1 cells\n" in text
    assert (
        "worse with a part of it only:\n\nv6.17 -> s-v2-2of3 memfd: panic, up to patch 2/3" in text
    )
    assert between([*cells[:2], *cells[3:]], THREE) == []


def test_what_is_lost_is_worse_and_what_failed_is_counted_apart() -> None:
    cells = [
        cell("v6.18", "v6.18"),
        replace(cell("s-v2", "s-v2"), verdict=Verdict.ABSENT, components={}),
        cell("v6.17", "v6.18"),
        cell("v6.17", "s-v2", Verdict.ERROR),
    ]
    text = told(cells, WHOLE, ORDER)
    assert "REGRESSED\n\ns-v2 -> s-v2 memfd: restored -> absent\n" in text
    assert "as on the base: 0 of 2 cells; 1 could not be run\n" in text


def test_the_revision_before_has_no_cell_with_the_base() -> None:
    cells = [
        cell("v6.18", "v6.18"),
        cell("s-v2", "s-v2"),
        cell("s-v1", "s-v2", Verdict.REFUSED),
        cell("s-v2", "s-v1", Verdict.PANIC),
    ]
    text = told(cells, WHOLE, ORDER)
    assert "nothing changed\nas on the base: 1 of 1 cells\n" in text
    wanted = "with the revision before it:\n\ns-v1 -> s-v2: 1 refused\ns-v2 -> s-v1: 1 panic\n"
    assert wanted in text


def test_nothing_changed() -> None:
    text = told([cell("v6.18", "v6.18"), cell("v6.18", "s-v2")], WHOLE, ORDER)
    assert "nothing changed\nas on the base: 1 of 1 cells" in text


def test_what_b4_is_told() -> None:
    found = of_run(BROKEN, WHOLE, ORDER, ["v6.18 -> s-v2 memfd: corrupt must never happen"])
    assert (found["tool"], found["status"]) == ("khoci", "fail")
    assert found["summary"] == "2 of 4 cells are worse than on v6.18: panic"
    assert found["details"].endswith("policy: v6.18 -> s-v2 memfd: corrupt must never happen")
    excused = of_run(BROKEN, WHOLE, ORDER, [])
    assert excused["status"] == "warn"
    good = [cell("v6.18", "v6.18"), cell("s-v2", "s-v2")]
    fine = of_run(good, WHOLE, ORDER, [])
    assert (fine["status"], fine["summary"]) == (
        "pass",
        "none of 1 cells is worse than on v6.18",
    )
    failed = of_run([*good, cell("v6.17", "s-v2", Verdict.ERROR)], WHOLE, ORDER, [])
    assert failed["status"] == "warn"
    assert failed["summary"].endswith("; 1 cells could not be run")
