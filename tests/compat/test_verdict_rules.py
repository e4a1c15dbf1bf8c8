"""The table as a whole: each row decides somewhere, and whatever is seen there is a judgement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat.facts import ConsumerFacts, Facts, PageCounts, RegionFact
from khoci.compat.loglines import shipped
from khoci.compat.verdict import RULES, judge, judge_one
from khoci.compat.verdict.case import case_of
from khoci.scenario.base import Checked, Outcome
from tests.compat import logs
from tests.compat.cells import ALL, FINE, HALTED, HANDED, NO_TEST, RESET, SCRATCH, region

OWNERS = (
    *("root", "reserve_mem khoci-small", "kho_test", "kho_test blob", "luo", "luo blob"),
    *("session", "memfd", "flb", "kexec-metadata", "orphan"),
)
LOGS = (
    "",
    FINE.consumer_log,
    FINE.consumer_log.replace("number: 1", "number: 2").replace("(count 1)", "(count 2)"),
    logs.FOUND["7.3"],
    logs.REFUSED["7.3"],
    f"{logs.FOUND['7.3']}\nKHO: failed to get preserved memory map",
    f"{logs.FOUND['7.3']}\nFDT 'memblock' is incompatible with 'memblock-v1': 1",
    f"{logs.FOUND['7.3']}\ntest_kho: KHO restore failed",
    f"{logs.FOUND['7.3']}\nluo: LUO state is incompatible with 'luo-v5'",
    f"{logs.FOUND['7.3']}\nKHO: kexec-metadata version 2 not supported (expected 1)",
    f"{logs.FOUND['7.3']}\nKHO: the kernel before was 7.3.4",
)
ENDS = (
    *((log, None) for log in LOGS),
    *((log, RESET) for log in ("", FINE.consumer_log, logs.PANIC_6_18)),
    ("Kernel panic - not syncing: x", RESET),
    ("", HALTED),
)
HANDEDS = (
    replace(HANDED, components=(*ALL, *RULES), luo_sessions=1),
    replace(HANDED, luo_number=None, release=None, reserve_mem=(), scratch=None),
    replace(HANDED, luo_number=2, release="7.3.5", kexecs=2),
    replace(HANDED, luo_number=2, kexecs=2),
)
CONSUMERS = (
    ConsumerFacts("7.3.4", kho=True, scratch=SCRATCH),
    ConsumerFacts("7.3.4", kho=True, scratch=SCRATCH, revived={"khoci-small": (0, 4096)}),
    ConsumerFacts("7.3.4", kho=True, scratch=SCRATCH[:1], complaint="pressure: EIO"),
    *(
        ConsumerFacts(
            "7.3.4",
            kho=True,
            checked=tuple(
                Checked(name, "one", outcome, data=data)
                for name in ("luo", "session", "memfd", "flb")
            ),
        )
        for outcome, data in [*((each, {}) for each in Outcome), (Outcome.SAME, {"unsealed": True})]
    ),
)
MISREAD = (RegionFact("misread", 0, 4096, "", pages=PageCounts(1, 0)),)


def regions(
    arrived: str | None, pages: PageCounts | None, left: PageCounts | None = None
) -> tuple[RegionFact, ...]:
    return tuple(
        replace(region(owner), arrived=arrived, pages=pages, left=left) for owner in OWNERS
    )


MEMORIES = (
    regions("aa", PageCounts(2, 0, used=2)),
    regions("aa", PageCounts(2, 0, plain=2), PageCounts(2, 0, plain=2)),
    regions("bb", PageCounts(2, 1)),
    regions("bb", PageCounts(2, 0, plain=2)),
    regions(None, None),
    (),
)


@cache
def cases() -> tuple[Facts, ...]:
    """What may be seen, in all combinations that matter to the rules."""
    found = product(ENDS, HANDEDS, CONSUMERS, MEMORIES, (NO_TEST, {}), ((), MISREAD))
    return tuple(
        replace(
            FINE,
            consumer_log=log,
            end=end,
            handed=handed,
            consumer=consumer,
            regions=memory,
            consumer_has=has,
            misread=misread,
            producer_release=handed.release or "",
        )
        for (log, end), handed, consumer, memory, has, misread in found
    )


def deciding(component: str) -> Iterator[int]:
    """The number of the row that decides, of each case."""
    name = "khoci-small" if component == "reserve_mem" else ""
    for facts in cases():
        case = case_of(facts, component, shipped(), name)
        rows = enumerate(RULES[component])
        yield next(number for number, rule in rows if rule.when(case))


@pytest.mark.parametrize("component", RULES)
def test_each_row_decides_somewhere_and_one_always_does(component: str) -> None:
    assert set(deciding(component)) == set(range(len(RULES[component])))


@given(st.sampled_from(cases()))
def test_whatever_is_seen_there_is_a_judgement_with_evidence(facts: Facts) -> None:
    for name in (*RULES, "iommu"):
        judgement = judge_one(facts, name)
        assert judgement.evidence, name
        assert all(item.text and "\n" not in item.text for item in judgement.evidence)
    assert set(judge(facts, tuple(RULES))) == set(RULES)
