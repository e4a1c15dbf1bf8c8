from __future__ import annotations

from dataclasses import replace

from khoci.report.chain import WIDTH, table
from khoci.results import CellResult, ChainResult, Evidence, Judgement
from khoci.verdicts import Verdict


def hop(producer: str, consumer: str, **verdicts: Verdict) -> CellResult:
    components = {
        name.replace("_", " "): Judgement(verdict, (Evidence("log", f"line of {name} " * 9),))
        for name, verdict in verdicts.items()
    }
    worst = max(verdicts.values(), key=lambda verdict: verdict.rank)
    return CellResult(producer, consumer, "s", worst, components, reproduce="khoci chain run ...")


FIRST = hop("v6.17.13", "v6.17.13", root=Verdict.RESTORED, kho_test=Verdict.RESTORED)
SECOND = hop("v6.17.13", "v6.18.15", root=Verdict.ACCEPTED, memory_map=Verdict.PANIC)
CHAIN = ChainResult(
    ("v6.17.13", "v6.17.13", "v6.18.15", "v7.3.4"),
    "kho-test",
    (FIRST, SECOND),
    (1, 2),
    (None, None),
    ("hop 2: the kexec count is 2, 2 was handed over",),
)


def test_a_component_that_is_not_handed_over_any_more_is_a_dash() -> None:
    lines = table(CHAIN).splitlines()
    assert lines[0] == "kho-test: 6.17.13 -> 6.17.13 -> 6.18.15 -> 7.3.4"
    assert "kho test           restored  -" in lines
    assert "memory map         -         PANIC" in lines
    assert "kexec count        1         2" in lines
    assert "live update number -         -" in lines


def test_what_needs_words_has_them() -> None:
    text = table(CHAIN)
    assert "hop 2, PANIC:\n  memory map: line of memory_map" in text
    assert "hop 1" not in text
    assert CHAIN.problems[0] in text
    assert "hops that were not reached: 1" in text
    assert text.endswith("run it again: khoci chain run ...\n")


def test_many_hops_go_on_below_and_fit() -> None:
    names = ("v7.3.4",) * 11
    hops = tuple(hop("v7.3.4", "v7.3.4", root=Verdict.RESTORED) for _ in range(10))
    text = table(ChainResult(names, "memfd", hops, tuple(range(10)), (None,) * 10))
    assert text.startswith("memfd: 7.3.4 to itself, 10 hops\n")
    assert text.count("restored") == 10
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "not reached" not in text


def test_a_splat_is_told_with_its_hop() -> None:
    noisy = replace(CHAIN, hops=(replace(FIRST, splats=("consumer: WARNING: x",)),), problems=())
    assert "hop 1, splat in the log of the consumer: WARNING: x" in table(noisy)
