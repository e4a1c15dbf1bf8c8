"""Cells for the rules: one in which all is well, and how it can differ."""

from __future__ import annotations

from dataclasses import replace

from khoci.compat.facts import ConsumerFacts, Facts, Handed, PageCounts, RegionFact
from khoci.compat.verdict import judge_one
from khoci.results import Judgement
from khoci.verdicts import Verdict
from khoci.vm.guest import End, Ended
from tests.compat import logs

FIRST = ("root", "memory map", "scratch")
ALL = (*FIRST, "reserve_mem", "kho_test", "luo", "kexec-metadata")
SCRATCH = ((0x100_0000, 0x100_0000), (0x200_0000, 0x100_0000))
RESET = Ended(End.RESET, "the guest reset the machine")
HALTED = Ended(End.HALTED, "all CPUs are halted with interrupts off")
SILENT = Ended(End.SILENT, "no sign of life for 40 s (20 s of CPU time)")
NO_TEST = {"TEST_KEXEC_HANDOVER": False}
DEATHS = [
    (RESET, "", Verdict.RESET),
    (RESET, "Kernel panic - not syncing: x\n", Verdict.PANIC),
    (HALTED, "", Verdict.HANG),
    (HALTED, "PANIC: early exception 0x0e IP 10:0\n", Verdict.PANIC),
    (SILENT, "", Verdict.HANG),
    (Ended(End.POWEROFF, "the guest powered the machine off"), "", Verdict.RESET),
]


def region(owner: str) -> RegionFact:
    kept = PageCounts(2, 0, plain=2)
    left = PageCounts(2, 0, used=2) if owner in ("kho_test", "memfd") else kept
    return RegionFact(owner, 0x24A000, 0x2000, "aa", "aa", kept, "aa", left)


REGIONS = (
    region("root"),
    region("kho_test"),
    region("kho_test blob"),
    region("reserve_mem khoci-large"),
    region("reserve_mem khoci-small"),
    region("luo"),
)
HANDED = Handed(
    version="kho-v4",
    layout="radix",
    components=ALL,
    blocks=9,
    size=1 << 20,
    scratch=SCRATCH,
    reserve_mem=("khoci-large", "khoci-small"),
    luo_number=1,
    luo_sessions=0,
    release="7.3.4",
    kexecs=1,
)
FINE = Facts(
    scenario="kho-test",
    handed=HANDED,
    consumer_log=logs.SELF_7_3 + "test_kho: KHO restore succeeded\n",
    consumer=ConsumerFacts("7.3.4", kho=True, scratch=SCRATCH),
    regions=REGIONS,
    cold=True,
)


def handing(facts: Facts = FINE, **changes: object) -> Facts:
    assert facts.handed is not None
    return replace(facts, handed=replace(facts.handed, **changes))  # type: ignore[arg-type]


def without(text: str, facts: Facts = FINE) -> Facts:
    lines = [line for line in facts.consumer_log.splitlines() if text not in line]
    assert len(lines) < len(facts.consumer_log.splitlines())
    return replace(facts, consumer_log="\n".join(lines))


def saying(*lines: str, facts: Facts = FINE) -> Facts:
    return replace(facts, consumer_log="\n".join((facts.consumer_log, *lines)))


def dead(how: Ended, log: str = logs.SELF_6_17, facts: Facts = FINE) -> Facts:
    """A consumer whose agent never came up: nothing of it is known but its log."""
    unseen = tuple(
        replace(item, arrived=None, pages=None, after=None, left=None) for item in facts.regions
    )
    return replace(facts, end=how, consumer=None, consumer_log=log, regions=unseen)


def with_region(owner: str, **changes: object) -> Facts:
    regions = tuple(
        replace(item, **changes) if item.owner == owner else item  # type: ignore[arg-type]
        for item in REGIONS
    )
    assert regions != REGIONS
    return replace(FINE, regions=regions)


def rule(component: str, facts: Facts) -> tuple[Verdict, str]:
    judgement = judge_one(facts, component)
    return judgement.verdict, text(judgement)


def text(judgement: Judgement) -> str:
    return "\n".join(item.text for item in judgement.evidence)
