"""The rules for what is inside of LUO, and for what travels in it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.compat.facts import Facts, PageCounts
from khoci.compat.verdict import cell_verdict, judge
from khoci.scenario.base import Checked, Outcome
from khoci.verdicts import Verdict
from tests.compat.cells import ALL, FINE, HANDED, REGIONS, RESET, dead, region, rule, without

INSIDE = ("session", "memfd", "flb", "vmalloc", "block")
KINDS = ("session", "memfd", "flb")
MEMORY = tuple(region(owner) for owner in ("luo blob", *KINDS))
UNSEALED_DATA = {"unsealed": True}
EIO = "open: EIO"


def with_sessions(*checked: Checked, facts: Facts = FINE) -> Facts:
    """A handover with a session, as a consumer's user space found it."""
    assert facts.consumer is not None
    return replace(
        facts,
        handed=replace(HANDED, components=(*ALL, *INSIDE), luo_sessions=1),
        consumer=replace(facts.consumer, checked=checked),
        regions=(*REGIONS, *MEMORY),
    )


def found(outcome: Outcome, *components: str, detail: str = "") -> tuple[Checked, ...]:
    return tuple(Checked(name, f"one {name}", outcome, detail) for name in components)


def changed(facts: Facts, owner: str, **changes: object) -> Facts:
    regions = tuple(
        replace(item, **changes) if item.owner == owner else item  # type: ignore[arg-type]
        for item in facts.regions
    )
    assert regions != facts.regions
    return replace(facts, regions=regions)


SAME = with_sessions(*found(Outcome.SAME, *KINDS))


@pytest.mark.parametrize("component", INSIDE)
def test_what_user_space_found_equal_is_restored(component: str) -> None:
    verdict, proof = rule(component, SAME)
    assert verdict is Verdict.RESTORED
    assert ": same" in proof
    assert "equal to what was handed over" in proof


@pytest.mark.parametrize("component", KINDS)
def test_user_space_alone_is_proof_where_khoci_cannot_decode_the_memory(component: str) -> None:
    assert rule(component, replace(SAME, regions=REGIONS))[0] is Verdict.RESTORED


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Outcome.DIFFERENT, Verdict.CORRUPT),
        (Outcome.MISSING, Verdict.DROPPED),
        (Outcome.REFUSED, Verdict.REFUSED),
    ],
)
@pytest.mark.parametrize("component", KINDS)
def test_one_that_is_not_the_same_decides(
    component: str, outcome: Outcome, verdict: Verdict
) -> None:
    checked = (*found(Outcome.SAME, *KINDS), *found(outcome, component, detail="size 1, not 2"))
    judged, proof = rule(component, with_sessions(*checked))
    assert judged is verdict
    assert f"one {component}: size 1, not 2" in proof
    others = [name for name in KINDS if name != component]
    assert {rule(name, with_sessions(*checked))[0] for name in others} == {Verdict.RESTORED}


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        ("memfd-v1", Verdict.RESTORED),
        ("memfd-v2", Verdict.CORRUPT),
        ("memfd-v3", Verdict.CORRUPT),
    ],
)
def test_seals_may_be_lost_only_where_the_format_has_none(version: str, verdict: Verdict) -> None:
    seals = Checked("memfd", "file 1", Outcome.SAME, "seals: 0x1 instead of 0x6", UNSEALED_DATA)
    facts = with_sessions(*found(Outcome.SAME, *KINDS), seals)
    assert facts.handed is not None
    facts = replace(facts, handed=replace(facts.handed, versions={"memfd": version}))
    judged, proof = rule("memfd", facts)
    assert judged is verdict
    assert "file 1: seals: 0x1 instead of 0x6" in proof


def test_the_worst_of_what_was_found_comes_first() -> None:
    checked = [item for outcome in Outcome for item in found(outcome, "memfd")]
    assert rule("memfd", with_sessions(*checked))[0] is Verdict.CORRUPT
    checked = [item for item in checked if item.outcome is not Outcome.DIFFERENT]
    assert rule("memfd", with_sessions(*checked))[0] is Verdict.DROPPED


def test_a_refusal_is_proven_by_its_line() -> None:
    line = "luo: No registered handler for compatible 'memfd-v1'"
    facts = with_sessions(*found(Outcome.REFUSED, "session", "memfd", detail=EIO))
    facts = replace(facts, consumer_log=f"{facts.consumer_log}{line}\n")
    for component in ("session", "memfd"):
        verdict, proof = rule(component, facts)
        assert verdict is Verdict.REFUSED
        assert line in proof


def test_of_many_a_few_are_named() -> None:
    many = [Checked("memfd", f"file {number}", Outcome.MISSING, "ENOENT") for number in range(9)]
    _, proof = rule("memfd", with_sessions(*many))
    assert proof.splitlines()[0].endswith("file 3: ENOENT; and 5 more")


@pytest.mark.parametrize("component", KINDS)
@pytest.mark.parametrize(
    "changes", [{"arrived": "bb"}, {"pages": PageCounts(2, 1)}, {"pages": PageCounts(2, 2)}]
)
def test_memory_that_was_not_kept_contradicts_user_space_and_wins(
    component: str, changes: dict[str, object]
) -> None:
    verdict, proof = rule(component, changed(SAME, component, **changes))
    assert verdict is Verdict.CORRUPT
    assert f"one {component}: same" in proof
    assert f"{component} at 0x24a000" in proof


def misnamed(outcome: Outcome, orphans: int, **root: object) -> Facts:
    """A file whose list names memory that nobody preserved, and as much that nobody names."""
    facts = with_sessions(*found(Outcome.SAME, "session"), *found(outcome, "memfd"))
    free = PageCounts(2, 2)
    facts = changed(facts, "memfd", mapped=False, arrived="bb", pages=free)
    lonely = (region("orphan"),) * orphans
    return changed(replace(facts, regions=(*facts.regions, *lonely)), "root", start=0, **root)


def test_a_list_that_names_the_memory_of_others_is_refused_and_nothing_is_lost() -> None:
    facts = misnamed(Outcome.REFUSED, orphans=1)
    assert rule("memfd", facts)[0] is Verdict.REFUSED
    assert rule("memory map", facts)[0] is Verdict.RESTORED


@pytest.mark.parametrize(
    "facts",
    [
        misnamed(Outcome.SAME, orphans=1),
        misnamed(Outcome.REFUSED, orphans=0),
        misnamed(Outcome.REFUSED, orphans=1, mapped=False),
    ],
)
def test_else_what_was_not_preserved_is_lost(facts: Facts) -> None:
    assert rule("memfd", facts)[0] is Verdict.CORRUPT
    assert rule("memory map", facts)[0] is Verdict.CORRUPT


def test_user_space_proves_that_luo_was_read_though_no_line_says_so() -> None:
    silent = without("luo: Retrieved", SAME)
    assert rule("luo", silent)[0] is Verdict.ACCEPTED
    assert rule("memfd", silent)[0] is Verdict.RESTORED
    freed = changed(silent, "luo blob", arrived="bb", pages=PageCounts(2, 0, used=2))
    assert rule("memory map", freed)[0] is Verdict.RESTORED


def test_what_travels_in_a_file_is_corrupt_with_it() -> None:
    broken = changed(SAME, "memfd", arrived="bb")
    assert rule("vmalloc", broken)[0] is Verdict.CORRUPT
    assert rule("block", broken)[0] is Verdict.RESTORED
    assert rule("block", changed(SAME, "session", arrived="bb"))[0] is Verdict.CORRUPT


@pytest.mark.parametrize("owner", KINDS)
def test_a_byte_of_a_session_that_changed_is_the_maps_fault_too(owner: str) -> None:
    verdict, proof = rule("memory map", changed(SAME, owner, arrived="bb"))
    assert verdict is Verdict.CORRUPT
    assert f"{owner} at 0x24a000 (8192 bytes): content changed, aa became bb" in proof


def test_what_user_space_retrieved_may_change_afterwards() -> None:
    facts = changed(SAME, "memfd", after="bb", left=PageCounts(2, 2))
    assert rule("memfd", facts)[0] is rule("memory map", facts)[0] is Verdict.RESTORED


@pytest.mark.parametrize("component", KINDS)
def test_what_nobody_asked_for_is_accepted_at_best(component: str) -> None:
    assert rule(component, with_sessions())[0] is Verdict.ACCEPTED


@pytest.mark.parametrize("component", KINDS)
def test_what_nobody_reads_is_dropped(component: str) -> None:
    facts = with_sessions(facts=without("luo:"))
    verdict, proof = rule(component, facts)
    assert verdict is Verdict.DROPPED
    assert "does not mention live update data" in proof


@pytest.mark.parametrize("component", INSIDE)
def test_they_die_with_the_consumer(component: str) -> None:
    assert rule(component, dead(RESET, "", with_sessions()))[0] is Verdict.RESET


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [(Outcome.MISSING, Verdict.DROPPED), (Outcome.REFUSED, Verdict.REFUSED)],
)
def test_a_device_that_cannot_be_opened_is_no_skip(outcome: Outcome, verdict: Verdict) -> None:
    facts = with_sessions(*found(outcome, "luo", *KINDS, detail=EIO))
    judgements = judge(facts, ("session", "memfd", "flb"))
    assert {judgements[name].verdict for name in ("luo", *KINDS)} == {verdict}
    assert cell_verdict(judgements) is verdict


def test_the_head_of_luo_may_be_freed_once_it_was_read() -> None:
    facts = changed(SAME, "luo blob", arrived="bb", pages=PageCounts(2, 1))
    assert rule("luo", facts)[0] is rule("memory map", facts)[0] is Verdict.RESTORED
    old = replace(HANDED, versions={"luo": "luo-v1"})
    assert rule("luo", replace(facts, handed=old))[0] is Verdict.CORRUPT


def test_the_rest_of_luo_may_not() -> None:
    assert rule("luo", changed(SAME, "luo", arrived="bb"))[0] is Verdict.CORRUPT


def test_a_part_that_khoci_cannot_find_is_judged_by_what_it_travels_in() -> None:
    facts = with_sessions(*found(Outcome.SAME, "session"), *found(Outcome.REFUSED, "memfd"))
    assert facts.handed is not None
    lost = replace(facts.handed, components=(*ALL, "session", "memfd"))
    judged = judge(replace(facts, handed=lost), ("session", "memfd", "vmalloc"))
    assert judged["vmalloc"].verdict is Verdict.REFUSED
    none = judge(replace(facts, handed=replace(lost, components=ALL)), ("vmalloc",))
    assert none["vmalloc"].verdict is Verdict.ABSENT
