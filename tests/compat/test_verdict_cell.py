"""What is judged in a cell, what a warning does to it, and a panic on purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.compat.facts import Facts, PageCounts
from khoci.compat.verdict import RULES, cell_verdict, judge
from khoci.config.loglines import Pattern
from khoci.scenario.base import Checked, Outcome
from khoci.verdicts import Verdict
from tests.compat import logs
from tests.compat.cells import (
    ALL,
    FINE,
    FIRST,
    HANDED,
    RESET,
    dead,
    handing,
    rule,
    saying,
    text,
    with_region,
    without,
)

WARNING = "WARNING: CPU: 0 PID: 1 at kernel/kexec_handover.c:243 kho_restore_page+0x1c/0x90"
CRASHED = "khoci: panic on purpose\nKernel panic - not syncing: Attempted to kill init!\n"


def verdicts(facts: Facts, *components: str) -> dict[str, Verdict]:
    return {name: item.verdict for name, item in judge(facts, components).items()}


# which components


def test_the_common_ones_are_judged_and_those_of_the_scenario() -> None:
    common = ("root", "memory map", "scratch", "luo", "kexec-metadata")
    assert tuple(judge(FINE, ())) == common
    assert tuple(judge(FINE, ("reserve_mem",))) == (*common, "reserve_mem")
    assert tuple(judge(FINE, ("luo",))) == common


def test_without_luo_nothing_is_said_of_it() -> None:
    assert tuple(judge(handing(components=FIRST), ())) == FIRST


def test_parts_of_others_are_judged_where_they_are_asked_for() -> None:
    facts = handing(components=(*ALL, "vmalloc", "block"))
    assert tuple(judge(facts)) == ALL
    assert "vmalloc" in judge(facts, ("vmalloc",))


def test_what_the_producer_does_not_have_is_absent() -> None:
    facts = handing(components=FIRST)
    assert verdicts(facts, "kho_test")["kho_test"] is Verdict.ABSENT
    assert cell_verdict(judge(facts, ("kho_test",))) is Verdict.RESTORED


def test_what_was_asked_for_is_judged_though_khoci_did_not_decode_it() -> None:
    checked = (Checked("memfd", "file 1", Outcome.MISSING, "ENOENT"),)
    assert FINE.consumer is not None
    facts = replace(FINE, consumer=replace(FINE.consumer, checked=checked))
    assert verdicts(facts, "memfd")["memfd"] is Verdict.DROPPED


def test_a_root_that_cannot_be_decoded_leaves_nothing_absent() -> None:
    facts = handing(
        replace(FINE, consumer_log=logs.REFUSED["6.17"]), version="unknown", components=FIRST
    )
    assert set(verdicts(facts, "reserve_mem").values()) == {Verdict.REFUSED}


def test_nothing_handed_over_leaves_the_scenario_absent() -> None:
    nothing = replace(FINE, handed=None, consumer_log="")
    assert verdicts(nothing, "reserve_mem") == {
        "root": Verdict.ABSENT,
        "reserve_mem": Verdict.ABSENT,
    }
    assert set(verdicts(dead(RESET, "", nothing), "reserve_mem").values()) == {Verdict.RESET}


def test_every_component_of_the_report_has_rules() -> None:
    named = {
        *("root", "memory map", "scratch", "reserve_mem", "kho_test", "luo", "session", "memfd"),
        *("flb", "vmalloc", "block", "kexec-metadata"),
    }
    assert set(RULES) == named
    assert set(HANDED.components) < named


def test_other_patterns_can_be_given() -> None:
    patterns: tuple[Pattern, ...] = ()
    assert judge(FINE, (), patterns)["root"].verdict is Verdict.DROPPED


# what nobody knows


def unknown(*lost: str, facts: Facts = FINE) -> Facts:
    """A handover with an unknown subtree in the place of ``lost``."""
    components = (*(name for name in ALL if name not in lost), "memblk")
    return replace(facts, handed=replace(HANDED, components=components, reserve_mem=()))


def test_a_subtree_that_nobody_knows_is_accepted_at_best() -> None:
    judgements = judge(unknown(), ())
    assert judgements["memblk"].verdict is Verdict.ACCEPTED
    assert cell_verdict(judgements) is Verdict.ACCEPTED


def test_what_may_be_in_an_unknown_subtree_is_dropped_if_nobody_reads_it() -> None:
    silent = unknown("reserve_mem", "kho_test", facts=without("test_kho:", without("Revived")))
    judgements = judge(silent, ("reserve_mem", "kho_test"))
    assert {judgements[name].verdict for name in ("reserve_mem", "kho_test")} == {Verdict.DROPPED}
    lost = unknown("kexec-metadata", facts=without("exec from"))
    assert judge(lost, ("kexec-metadata",))["kexec-metadata"].verdict is Verdict.DROPPED


def test_who_reads_it_though_khoci_does_not_know_it_is_believed() -> None:
    judgements = judge(unknown("reserve_mem", "kho_test"), ("reserve_mem", "kho_test"))
    assert judgements["reserve_mem"].verdict is Verdict.ACCEPTED
    assert judgements["kho_test"].verdict is Verdict.RESTORED


# two proofs


def test_success_in_the_log_needs_the_list_of_the_producer() -> None:
    verdict, proof = rule("kho_test", with_region("kho_test blob", arrived="bb"))
    assert verdict is Verdict.CORRUPT
    assert "KHO restore succeeded" in proof
    assert "kho_test blob at" in proof
    freed = with_region("kho_test blob", pages=PageCounts(2, 2))
    assert rule("kho_test", freed)[0] is Verdict.RESTORED


def test_a_test_that_is_silent_over_other_content_is_corrupt() -> None:
    facts = replace(
        with_region("kho_test", arrived="bb"), consumer_log=without("test_kho:").consumer_log
    )
    verdict, proof = rule("kho_test", facts)
    assert verdict is Verdict.CORRUPT
    assert "says neither" in proof
    assert "1 of 2 region(s) have another content" in proof


@pytest.mark.parametrize("component", ["kexec-metadata", "luo"])
def test_a_page_that_changed_is_corrupt_though_its_reader_is_content(component: str) -> None:
    assert FINE.regions[-1].owner == "luo"
    broken = replace(FINE.regions[-1], owner=component, arrived="bb")
    verdict, proof = rule(component, replace(FINE, regions=(*FINE.regions[:-1], broken)))
    assert verdict is Verdict.CORRUPT
    assert "overwritten" in proof


def test_a_region_that_is_lost_later_is_corrupt_too() -> None:
    for changes in ({"after": "bb"}, {"left": PageCounts(2, 2)}):
        facts = with_region("reserve_mem khoci-small", **changes)
        assert rule("reserve_mem", facts)[0] is rule("memory map", facts)[0] is Verdict.CORRUPT


def test_evidence_has_the_bytes_as_data() -> None:
    lost = judge(with_region("root", arrived="bb", pages=PageCounts(2, 2)))["root"].evidence
    assert lost[1].kind == "pages"
    assert lost[1].data["owner"] == "root"
    assert lost[1].data["lost"] == 8192
    kept = judge(FINE)["root"].evidence
    assert kept[1].data == {"owners": ["root"], "kept": 8192}


def test_what_is_leaked_is_told_and_lowers_nothing() -> None:
    facts = with_region("kho_test blob", left=PageCounts(2, 0, reserved=2))
    judgement = judge(facts)["kho_test"]
    assert judgement.verdict is Verdict.RESTORED
    assert judgement.evidence[-1].data == {"owner": "kho_test", "leaked": 8192}
    assert "8192 bytes are neither free nor used by anybody" in text(judgement)


def test_memblock_of_another_version_is_refused_though_its_regions_are_unknown() -> None:
    line = "FDT 'memblock' is incompatible with 'memblock-v1': 1"
    facts = saying(line, facts=handing(reserve_mem=()))
    assert rule("reserve_mem", facts) == (Verdict.REFUSED, line)


# warnings


def test_a_warning_of_the_consumer_lowers_the_component_it_is_of() -> None:
    judgements = judge(saying(WARNING), ("reserve_mem",))
    assert judgements["memory map"].verdict is Verdict.ACCEPTED
    assert judgements["memory map"].evidence[0].kind == "splat"
    assert judgements["memory map"].evidence[0].text == f"consumer: {WARNING}"
    others = {item.verdict for name, item in judgements.items() if name != "memory map"}
    assert others == {Verdict.RESTORED}


def test_a_warning_of_nobody_is_the_scenarios() -> None:
    line = "WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:1 free_pages+0x1/0x2"
    assert verdicts(saying(line), "reserve_mem")["reserve_mem"] is Verdict.ACCEPTED
    assert verdicts(saying(line))["memory map"] is Verdict.ACCEPTED


def test_a_warning_of_what_is_not_judged_is_the_scenarios() -> None:
    line = "WARNING: CPU: 0 PID: 1 at mm/memfd_luo.c:1 memfd_luo_retrieve+0x1/0x2"
    assert verdicts(saying(line), "reserve_mem")["reserve_mem"] is Verdict.ACCEPTED


def test_other_verdicts_keep_theirs() -> None:
    facts = saying(WARNING, facts=with_region("root", arrived="bb"))
    judgement = judge(facts)["memory map"]
    assert judgement.verdict is Verdict.CORRUPT
    assert judgement.evidence[0].kind == "splat"


def test_a_warning_that_both_sides_give_is_not_of_the_handover() -> None:
    other = WARNING.replace("CPU: 0 PID: 1", "CPU: 3 PID: 77")
    facts = replace(saying(WARNING), producer_log=f"{other}\nRun /init as init process\n")
    judgement = judge(facts)["memory map"]
    assert judgement.verdict is Verdict.RESTORED
    assert judgement.evidence[-1].text.endswith(
        "the other side says the same: not of the handover)"
    )


def test_a_warning_of_the_producer_counts_from_its_user_space_on() -> None:
    boots = replace(FINE, producer_log=f"{WARNING}\nRun /init as init process\n")
    assert judge(boots)["memory map"].verdict is Verdict.RESTORED
    preserves = replace(FINE, producer_log=f"Run /init as init process\n{WARNING}\n")
    judgement = judge(preserves)["memory map"]
    assert judgement.verdict is Verdict.ACCEPTED
    assert judgement.evidence[0].text.startswith("producer: WARNING")


def test_what_kills_the_consumer_is_no_mere_warning() -> None:
    facts = dead(RESET, f"{logs.SELF_6_17}{logs.PANIC_6_18}")
    kinds = {item.kind for judgement in judge(facts).values() for item in judgement.evidence}
    assert "splat" not in kinds
    assert judge(facts)["kho_test"].verdict is Verdict.RESTORED


# a panic on purpose


def crashed(facts: Facts = FINE, log: str = CRASHED) -> Facts:
    unseen = tuple(replace(item, after=None, left=None) for item in facts.regions)
    return replace(
        facts,
        crash=True,
        end=RESET,
        consumer_log=facts.consumer_log + log,
        regions=unseen,
    )


def test_a_panic_on_purpose_is_told_with_what_was_seen_before() -> None:
    judgements = judge(crashed(), ("reserve_mem",))
    assert {judgement.verdict for judgement in judgements.values()} == {Verdict.PANIC}
    proof = text(judgements["reserve_mem"]).splitlines()
    assert proof[:3] == [
        "khoci made the consumer panic: this is no fault of its own",
        "Kernel panic - not syncing: Attempted to kill init!",
        "until then it was restored",
    ]
    assert any("equal to what was handed over" in line for line in proof)


def test_what_was_wrong_before_is_told_too() -> None:
    judgements = judge(crashed(with_region("root", arrived="bb")))
    assert judgements["root"].verdict is Verdict.PANIC
    assert judgements["root"].evidence[2].data == {"before": "corrupt"}
    assert "content changed, aa became bb" in text(judgements["root"])


def test_what_is_absent_does_not_panic() -> None:
    assert verdicts(crashed(), "memfd")["memfd"] is Verdict.ABSENT


def test_one_that_dies_without_a_panic_is_not_reported_as_one() -> None:
    assert set(verdicts(crashed(log=""), "reserve_mem").values()) == {
        Verdict.ACCEPTED,
        Verdict.RESET,
        Verdict.RESTORED,
    }
