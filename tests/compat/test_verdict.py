from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.compat.facts import ConsumerFacts, Facts, PageCounts, RegionFact
from khoci.compat.verdict import cell_verdict, death, judge
from khoci.scenario.base import Checked, Outcome
from khoci.verdicts import Verdict
from khoci.vm.guest import Ended
from tests.compat import logs
from tests.compat.cells import (
    ALL,
    DEATHS,
    FINE,
    FIRST,
    HALTED,
    HANDED,
    NO_TEST,
    RESET,
    SCRATCH,
    dead,
    handing,
    region,
    rule,
    saying,
    text,
    with_region,
    without,
)

AT = (0x24A000, 0x2000)
"""Where `cells.region` is."""


def test_all_is_well() -> None:
    judgements = judge(FINE)
    assert tuple(judgements) == ALL
    assert {judgement.verdict for judgement in judgements.values()} == {Verdict.RESTORED}
    assert cell_verdict(judgements) is Verdict.RESTORED


@pytest.mark.parametrize("end", [None, RESET, HALTED])
@pytest.mark.parametrize("log", ["", FINE.consumer_log, logs.REFUSED["7.3"], logs.PANIC_6_18])
@pytest.mark.parametrize("consumer", [None, FINE.consumer])
def test_every_verdict_has_evidence(
    end: Ended | None, log: str, consumer: ConsumerFacts | None
) -> None:
    facts = replace(FINE, end=end, consumer_log=log, consumer=consumer)
    for handed in (HANDED, replace(HANDED, luo_number=None, release=None, reserve_mem=()), None):
        for name, judgement in judge(replace(facts, handed=handed)).items():
            assert judgement.evidence, name
            assert all(item.text and "\n" not in item.text for item in judgement.evidence), name


# how the consumer died


@pytest.mark.parametrize(("how", "log", "verdict"), DEATHS)
def test_death(how: Ended, log: str, verdict: Verdict) -> None:
    judgement = death(dead(how, log))
    assert judgement is not None
    assert judgement.verdict is verdict


def test_one_that_lives_did_not_die_even_if_its_log_speaks_of_panic() -> None:
    assert death(saying("Kernel panic - not syncing: x")) is None


def test_a_panic_is_proven_by_its_lines() -> None:
    judgement = death(dead(RESET, logs.PANIC_6_18))
    assert judgement is not None
    assert text(judgement).splitlines() == [
        "BUG: unable to handle page fault for address: ffd4000001010c28",
        "RIP: 0010:kho_memory_init+0x20f/0x45e",
        "Kernel panic - not syncing: Attempted to kill the idle task!",
    ]


def test_a_reset_is_proven_by_the_machine_and_the_last_line() -> None:
    last = death(dead(RESET, "one\ntwo\n"))
    silent = death(dead(RESET, ""))
    assert last is not None
    assert silent is not None
    assert text(last) == "the guest reset the machine\nthe last line was: two"
    assert "its console said nothing" in text(silent)


@pytest.mark.parametrize("component", [name for name in ALL if name not in ("root", "kho_test")])
@pytest.mark.parametrize(("how", "log", "verdict"), DEATHS)
def test_death_is_attributed_to_every_component(
    component: str, how: Ended, log: str, verdict: Verdict
) -> None:
    facts = dead(how, logs.FOUND["7.3"] + "\n" + log)
    assert rule(component, facts)[0] is verdict


# nothing handed over, root


def test_nothing_was_handed_over() -> None:
    judgements = judge(replace(FINE, handed=None, consumer_log=""))
    assert list(judgements) == ["root"]
    assert judgements["root"].verdict is Verdict.ABSENT
    assert cell_verdict(judgements) is Verdict.ABSENT


def test_nothing_was_handed_over_and_the_consumer_died() -> None:
    assert cell_verdict(judge(dead(RESET, "", replace(FINE, handed=None)))) is Verdict.RESET


@pytest.mark.parametrize("release", logs.REFUSED)
def test_a_refused_root_refuses_all(release: str) -> None:
    log = logs.REFUSED[release] + logs.SELF_7_3.replace("KHO: found", "found")
    judgements = judge(replace(FINE, consumer_log=log))
    assert tuple(judgements) == ALL
    assert {judgement.verdict for judgement in judgements.values()} == {Verdict.REFUSED}
    assert "is incompatible with 'kho-v" in text(judgements["luo"])


def test_refused_because_the_consumer_has_no_kho() -> None:
    line = "Passed KHO data, but CONFIG_KEXEC_HANDOVER not set. Ignoring."
    assert cell_verdict(judge(replace(FINE, consumer_log=line))) is Verdict.REFUSED


def test_a_capture_without_what_the_consumer_saw_is_no_verdict_on_a_kernel() -> None:
    for facts in (replace(FINE, consumer_log=logs.SELF_7_3), dead(RESET, logs.SELF_7_3)):
        assert cell_verdict(judge(replace(facts, handed=None))) is Verdict.ERROR


def test_a_refusal_is_one_whatever_khoci_saw() -> None:
    log = logs.REFUSED["6.17"]
    facts = replace(FINE, consumer_log=log, handed=None)
    judgements = judge(facts, ("memfd",))
    assert {judgement.verdict for judgement in judgements.values()} == {Verdict.REFUSED}
    assert set(judgements) == {"root", "memory map", "scratch", "memfd"}
    died = judge(replace(dead(RESET, log), handed=None))
    assert cell_verdict(died) is Verdict.RESET


def test_a_refusal_does_not_excuse_a_death() -> None:
    judgements = judge(dead(RESET, logs.REFUSED["7.3"] + "Kernel panic - not syncing: x"))
    assert judgements["root"].verdict is Verdict.REFUSED
    assert judgements["kho_test"].verdict is Verdict.PANIC
    assert cell_verdict(judgements) is Verdict.PANIC


def test_a_root_that_nobody_mentions_drops_all() -> None:
    judgements = judge(replace(FINE, consumer_log=logs.OTHER_LINES))
    assert {judgement.verdict for judgement in judgements.values()} == {Verdict.DROPPED}


def test_a_consumer_that_dies_before_it_says_anything() -> None:
    judgements = judge(dead(RESET, ""))
    assert {judgement.verdict for judgement in judgements.values()} == {Verdict.RESET}


def test_a_root_that_was_found_before_the_death_was_accepted() -> None:
    verdict, proof = rule("root", dead(RESET, logs.PANIC_6_18))
    assert verdict is Verdict.ACCEPTED
    assert proof == logs.FOUND["6.18"]


@pytest.mark.parametrize(
    ("changes", "verdict", "proof"),
    [
        ({"arrived": "bb"}, Verdict.CORRUPT, "content changed"),
        ({"pages": PageCounts(1, 1)}, Verdict.CORRUPT, "1 of 1 pages are free memory"),
        ({"arrived": None}, Verdict.ACCEPTED, "could not be checked"),
        ({"pages": None}, Verdict.RESTORED, "equal to what was handed over"),
    ],
)
def test_root_content(changes: dict[str, object], verdict: Verdict, proof: str) -> None:
    found, evidence = rule("root", with_region("root", **changes))
    assert found is verdict
    assert proof in evidence
    assert logs.FOUND["7.3"] in evidence


def test_found_alone_never_restores() -> None:
    facts = replace(FINE, regions=())
    for component in ("root", "memory map", "reserve_mem"):
        assert rule(component, facts)[0] is Verdict.ACCEPTED
    assert cell_verdict(judge(facts)) is Verdict.ACCEPTED


# memory map


def test_the_proof_names_a_few_digests_only() -> None:
    regions = tuple(region(f"reserve_mem r{number}") for number in range(9))
    verdict, proof = rule("memory map", replace(FINE, regions=regions))
    assert verdict is Verdict.RESTORED
    assert proof.endswith("reserve_mem r3 aa, and 5 more")


@pytest.mark.parametrize(
    "line",
    ["KHO: failed to get preserved memory bitmaps", "KHO: failed to get preserved memory map"],
)
def test_map_that_could_not_be_read(line: str) -> None:
    assert rule("memory map", saying(line)) == (Verdict.CORRUPT, line)
    assert rule("memory map", dead(RESET, f"{logs.SELF_6_17}{line}"))[0] is Verdict.RESET


@pytest.mark.parametrize("owner", ["root", "reserve_mem khoci-small"])
def test_map_lost_a_region(owner: str) -> None:
    verdict, proof = rule("memory map", with_region(owner, pages=PageCounts(2, 1)))
    assert verdict is Verdict.CORRUPT
    assert f"{owner} at 0x24a000 (8192 bytes): 1 of 2 pages are free memory" in proof


def test_memory_that_its_reader_frees_is_not_judged_by_the_map() -> None:
    facts = with_region("kho_test", pages=PageCounts(2, 2), arrived="bb")
    assert rule("memory map", facts)[0] is Verdict.RESTORED


def test_memory_of_the_test_is_judged_where_nobody_reads_it() -> None:
    facts = replace(with_region("kho_test", arrived="bb"), consumer_has=NO_TEST)
    assert rule("memory map", facts)[0] is Verdict.CORRUPT


def misread(*counts: PageCounts | None) -> Facts:
    gained = tuple(RegionFact("misread", 0x1000, 0x1000, "", pages=count) for count in counts)
    return replace(FINE, misread=gained)


def test_a_misread_map_is_corrupt() -> None:
    verdict, proof = rule("memory map", misread(PageCounts(64, 0), PageCounts(8, 0)))
    assert verdict is Verdict.CORRUPT
    assert proof.startswith("72 pages that nobody preserved are not free")
    assert cell_verdict(judge(misread(PageCounts(64, 0)))) is Verdict.CORRUPT


@pytest.mark.parametrize(
    "counts",
    [(), (None,), (PageCounts(0, 0),), (PageCounts(64, 0), PageCounts(8, 1))],
)
def test_a_map_that_was_not_misread(counts: tuple[PageCounts | None, ...]) -> None:
    assert rule("memory map", misread(*counts))[0] is Verdict.RESTORED


# scratch


def test_same_scratch() -> None:
    verdict, proof = rule("scratch", FINE)
    assert verdict is Verdict.RESTORED
    assert "0x1000000+0x1000000, 0x2000000+0x1000000" in proof


def test_other_scratch() -> None:
    consumer = ConsumerFacts("7.3.4", kho=True, scratch=SCRATCH[:1])
    assert rule("scratch", replace(FINE, consumer=consumer))[0] is Verdict.CORRUPT


def test_scratch_that_is_not_shown() -> None:
    consumer = ConsumerFacts("7.3.4", kho=False)
    for facts in (replace(FINE, consumer=consumer), handing(scratch=None)):
        assert rule("scratch", facts)[0] is Verdict.ACCEPTED


# reserve_mem


def test_both_regions_are_proven() -> None:
    verdict, proof = rule("reserve_mem", FINE)
    assert verdict is Verdict.RESTORED
    assert "Revived memory reservation 'khoci-large' from KHO" in proof
    assert "reserve_mem khoci-small: 1 region(s), 8192 bytes, equal" in proof


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"arrived": "bb"}, Verdict.CORRUPT),
        ({"pages": PageCounts(2, 2)}, Verdict.CORRUPT),
        ({"arrived": None}, Verdict.ACCEPTED),
    ],
)
def test_the_worst_region_decides(changes: dict[str, object], verdict: Verdict) -> None:
    assert rule("reserve_mem", with_region("reserve_mem khoci-small", **changes))[0] is verdict


def test_a_region_that_is_not_revived_is_dropped_though_its_content_is_there() -> None:
    verdict, proof = rule("reserve_mem", without("'khoci-small'"))
    assert verdict is Verdict.DROPPED
    assert "no line says that 'khoci-small' was revived" in proof


@pytest.mark.parametrize(
    "line",
    [
        "FDT 'memblock' has no child 'khoci-small': -1",
        "FDT 'memblock' is incompatible with 'memblock-v2': 1",
        "KHO reserve-mem 'khoci-small' has wrong size (0x10000 != 0x20000)",
    ],
)
def test_a_region_that_is_refused(line: str) -> None:
    verdict, proof = rule("reserve_mem", saying(line, facts=without("'khoci-small'")))
    assert verdict is Verdict.REFUSED
    assert line in proof


def test_what_proves_both_regions_is_said_once() -> None:
    judgement = judge(dead(RESET, logs.PANIC_6_18))["reserve_mem"]
    assert judgement.verdict is Verdict.PANIC
    assert len(judgement.evidence) > 1
    assert len({item.text for item in judgement.evidence}) == len(judgement.evidence)


def test_regions_that_could_not_be_decoded() -> None:
    verdict, proof = rule("reserve_mem", handing(reserve_mem=()))
    assert verdict is Verdict.ACCEPTED
    assert "could not decode" in proof


# kho_test


def test_kho_test_restored_before_the_death() -> None:
    facts = dead(RESET, logs.SELF_6_17)
    assert rule("kho_test", facts) == (Verdict.RESTORED, "test_kho: KHO restore succeeded")
    assert cell_verdict(judge(facts)) is Verdict.RESET


@pytest.mark.parametrize(("how", "log", "verdict"), DEATHS)
def test_kho_test_and_death(how: Ended, log: str, verdict: Verdict) -> None:
    assert rule("kho_test", dead(how, logs.FOUND["7.3"] + "\n" + log))[0] is verdict


@pytest.mark.parametrize(
    "line", ["test_kho: KHO restore failed", "test_kho: failed to retrieve kho_test FDT: -22"]
)
def test_kho_test_failed(line: str) -> None:
    facts = saying(line, facts=without("test_kho:"))
    verdict, proof = rule("kho_test", facts)
    assert (verdict, proof.splitlines()[0]) == (Verdict.CORRUPT, line)


def test_a_test_that_khoci_cannot_decode_is_refused_if_nobody_took_a_block() -> None:
    line = "test_kho: KHO restore failed"
    nobody = PageCounts(2, 0, plain=2)
    lonely = replace(with_region("kho_test", left=nobody).regions[1], owner="orphan")
    rest = tuple(item for item in FINE.regions if item.owner != "kho_test")
    facts = saying(line, facts=without("test_kho:", replace(FINE, regions=(*rest, lonely))))
    assert rule("kho_test", facts)[0] is Verdict.REFUSED


def test_kho_test_that_fails_before_it_takes_anything_has_refused() -> None:
    line = "test_kho: KHO restore failed"
    untouched = with_region("kho_test", left=PageCounts(2, 0, plain=2))
    facts = saying(line, facts=without("test_kho:", untouched))
    verdict, proof = rule("kho_test", facts)
    assert verdict is Verdict.REFUSED
    assert proof.startswith(f"{line}\nall 8192 bytes are in the end what they were")


def test_kho_test_that_says_so_and_takes_nothing_is_dropped() -> None:
    nobody = PageCounts(2, 0, plain=2)
    verdict, proof = rule("kho_test", with_region("kho_test", left=nobody))
    assert verdict is Verdict.DROPPED
    assert proof.startswith("test_kho: KHO restore succeeded\nall 8192 bytes are")
    some = PageCounts(2, 0, plain=1, used=1)
    assert rule("kho_test", with_region("kho_test", left=some))[0] is Verdict.RESTORED


@pytest.mark.parametrize("has", [{}, {"TEST_KEXEC_HANDOVER": True}])
def test_kho_test_that_says_nothing_is_dropped(has: dict[str, bool]) -> None:
    facts = replace(without("test_kho:"), consumer_has=has)
    assert rule("kho_test", facts)[0] is Verdict.DROPPED


def test_kho_test_without_a_reader_is_accepted_at_best() -> None:
    facts = replace(without("test_kho:"), consumer_has=NO_TEST)
    verdict, proof = rule("kho_test", facts)
    assert verdict is Verdict.ACCEPTED
    assert "has no lib/test_kho.c" in proof


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"arrived": "bb"}, Verdict.CORRUPT),
        ({"pages": PageCounts(2, 1)}, Verdict.CORRUPT),
        ({"arrived": None}, Verdict.ACCEPTED),
    ],
)
def test_kho_test_without_a_reader_and_its_folios(
    changes: dict[str, object], verdict: Verdict
) -> None:
    facts = replace(with_region("kho_test", **changes), consumer_log=logs.FOUND["6.16"])
    assert rule("kho_test", replace(facts, consumer_has=NO_TEST))[0] is verdict


# reserve_mem


@pytest.mark.parametrize(
    ("has", "verdict", "where"),
    [
        (None, Verdict.RESTORED, ""),
        ({"khoci-large": AT, "khoci-small": AT}, Verdict.RESTORED, ""),
        (
            {"khoci-large": AT, "khoci-small": (0x24B000, 0x2000)},
            Verdict.CORRUPT,
            "0x24b000+0x2000",
        ),
        (
            {"khoci-large": AT, "khoci-small": (0x24A000, 0x1000)},
            Verdict.CORRUPT,
            "0x24a000+0x1000",
        ),
        ({"khoci-large": AT}, Verdict.CORRUPT, "no such region"),
    ],
)
def test_a_region_has_to_be_revived_where_it_was(
    has: dict[str, tuple[int, int]] | None, verdict: Verdict, where: str
) -> None:
    assert FINE.consumer is not None
    facts = replace(FINE, consumer=replace(FINE.consumer, revived=has))
    judged, proof = rule("reserve_mem", facts)
    assert judged is verdict
    said = f"'khoci-small' was handed over at 0x24a000+0x2000, the consumer has {where}"
    assert (said in proof) is bool(where)


# luo


def test_luo_of_another_number_is_corrupt() -> None:
    for number in (2, 11):
        verdict, proof = rule("luo", handing(luo_number=number))
        assert verdict is Verdict.CORRUPT
        assert f"the producer wrote number {number}" in proof
    assert rule("luo", saying(facts=handing(luo_number=1)))[0] is Verdict.RESTORED


def test_luo_number_is_compared_whole() -> None:
    log = FINE.consumer_log.replace("liveupdate number: 1", "liveupdate number: 11")
    assert rule("luo", replace(FINE, consumer_log=log))[0] is Verdict.CORRUPT


def test_luo_without_sessions_that_nobody_reads_is_absent() -> None:
    judgement = rule("luo", without("luo:"))
    assert judgement[0] is Verdict.ABSENT
    assert cell_verdict(judge(without("luo:"))) is Verdict.RESTORED


@pytest.mark.parametrize("sessions", [1, None])
def test_luo_that_nobody_mentions_is_dropped(sessions: int | None) -> None:
    assert rule("luo", handing(without("luo:"), luo_sessions=sessions))[0] is Verdict.DROPPED


def test_luo_refused() -> None:
    line = "luo: LUO state is incompatible with 'luo-v5'"
    verdict, proof = rule("luo", saying(line, facts=without("luo:")))
    assert (verdict, proof.splitlines()[0]) == (Verdict.REFUSED, line)


def test_luo_panic_names_the_refusal_and_the_panic() -> None:
    verdict, proof = rule("luo", dead(RESET, logs.LUO_PANIC_7_0))
    assert verdict is Verdict.PANIC
    assert proof.splitlines()[0] == "luo: Unable to get FLB node [luo-flb]"
    assert "[-2]" in proof.splitlines()[1]


def test_luo_that_could_not_be_decoded() -> None:
    assert rule("luo", handing(luo_number=None))[0] is Verdict.ACCEPTED


# kexec-metadata


def test_metadata_of_another_release_is_corrupt() -> None:
    verdict, proof = rule("kexec-metadata", handing(release="7.3.40"))
    assert verdict is Verdict.CORRUPT
    assert proof == (
        "KHO: exec from: 7.3.4 (count 1)\nthe producer is 7.3.40, and wrote 7.3.40 and count 1"
    )


def test_metadata_is_held_against_the_producer_and_not_against_itself() -> None:
    liar = replace(FINE, producer_release="7.3.5")
    verdict, proof = rule("kexec-metadata", liar)
    assert verdict is Verdict.CORRUPT
    assert proof.endswith("the producer is 7.3.5, and wrote 7.3.4 and count 1")
    undecoded = replace(FINE, producer_release="7.3.4")
    assert rule("kexec-metadata", handing(undecoded, release=None))[0] is Verdict.RESTORED


def test_metadata_without_a_release_is_corrupt() -> None:
    log = FINE.consumer_log.replace("exec from: 7.3.4 ", "exec from:  ")
    facts = replace(handing(release=""), consumer_log=log, producer_release="7.3.4")
    assert rule("kexec-metadata", facts)[0] is Verdict.CORRUPT


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("KHO: previous kernel was 7.3.4, kexec 1", Verdict.ACCEPTED),
        ("kexec handover came from 7.3.4", Verdict.ACCEPTED),
        ("KHO: previous kernel was 7.3.40", Verdict.DROPPED),
        ("Linux version 7.3.4", Verdict.DROPPED),
    ],
)
def test_metadata_in_other_words_is_not_dropped(line: str, verdict: Verdict) -> None:
    facts = saying(line, facts=without("exec from", replace(FINE, producer_release="7.3.4")))
    assert rule("kexec-metadata", facts)[0] is verdict


def test_root_in_other_words_is_known_by_who_reads_its_parts() -> None:
    judged, proof = rule("root", without("found kexec handover"))
    assert judged is Verdict.RESTORED
    assert "exec from" in proof
    silent = replace(FINE, consumer_log="Linux version 7.3.4")
    assert rule("root", silent)[0] is Verdict.DROPPED
    assert FINE.consumer is not None
    got = (Checked("memfd", "file 1", Outcome.SAME),)
    told = replace(silent, consumer=replace(FINE.consumer, checked=got))
    assert rule("root", told)[0] is Verdict.RESTORED


def test_debugfs_tells_of_a_handover_that_no_line_mentions() -> None:
    assert FINE.consumer is not None
    silent = replace(FINE, consumer_log="Linux version 7.3.4")
    told = replace(silent, consumer=replace(FINE.consumer, given=True))
    assert rule("root", told)[0] is Verdict.RESTORED
    assert rule("memory map", told)[0] is Verdict.RESTORED
    assert rule("memory map", silent)[0] is Verdict.DROPPED


def test_a_region_that_its_reader_does_not_want_there_names_memory_of_others() -> None:
    line = "KHO reserve-mem 'khoci-small' has wrong size (0x3f800000 != 0x10000)"
    free = PageCounts(2, 2)
    wrong = with_region("reserve_mem khoci-small", mapped=False, arrived="bb", pages=free)
    orphan = replace(wrong.regions[0], owner="orphan")
    wrong = replace(wrong, regions=(*wrong.regions, orphan))
    assert rule("memory map", wrong)[0] is Verdict.CORRUPT
    refused = saying(line, facts=without("Revived memory reservation 'khoci-small'", wrong))
    assert rule("memory map", refused)[0] is Verdict.RESTORED
    assert rule("reserve_mem", refused)[0] is Verdict.REFUSED


def test_a_region_that_is_where_it_was_is_restored_whatever_the_log_says() -> None:
    assert FINE.consumer is not None
    both = {"khoci-large": AT, "khoci-small": AT}
    facts = replace(without("Revived"), consumer=replace(FINE.consumer, revived=both))
    assert rule("reserve_mem", facts)[0] is Verdict.RESTORED
    one = replace(FINE.consumer, revived=both | {"khoci-small": (0x1000, 0x2000)})
    assert rule("reserve_mem", replace(facts, consumer=one))[0] is Verdict.DROPPED


def test_regions_that_khoci_cannot_decode_are_dropped_if_nobody_revives_one() -> None:
    blind = handing(without("Revived"), reserve_mem=())
    assert rule("reserve_mem", blind)[0] is Verdict.DROPPED
    assert rule("reserve_mem", handing(reserve_mem=()))[0] is Verdict.ACCEPTED


def test_metadata_of_another_count_is_corrupt() -> None:
    verdict, proof = rule("kexec-metadata", handing(kexecs=3))
    assert verdict is Verdict.CORRUPT
    assert proof.endswith("the producer is 7.3.4, and wrote 7.3.4 and count 3")


@pytest.mark.parametrize(
    ("component", "old", "new", "field"),
    [
        ("kexec-metadata", "(count 1)", "(count 2)", {"kexecs": 2}),
        ("luo", "number: 1", "number: 2", {"luo_number": 2}),
    ],
)
def test_what_a_kernel_that_was_booted_cold_counts_is_the_first(
    component: str, old: str, new: str, field: dict[str, int]
) -> None:
    log = FINE.consumer_log.replace(old, new)
    facts = handing(replace(FINE, consumer_log=log), **field)
    verdict, proof = rule(component, facts)
    assert verdict is Verdict.CORRUPT
    assert "the producer wrote 2; it was booted cold, so this is 1" in proof
    assert rule(component, replace(facts, cold=False))[0] is Verdict.RESTORED


def test_metadata_refused() -> None:
    line = "KHO: kexec-metadata version 2 not supported (expected 1)"
    assert rule("kexec-metadata", saying(line, facts=without("exec from"))) == (
        Verdict.REFUSED,
        line,
    )


def test_metadata_that_nobody_mentions_is_dropped() -> None:
    assert rule("kexec-metadata", without("exec from"))[0] is Verdict.DROPPED


def test_metadata_read_before_the_death() -> None:
    facts = dead(RESET, logs.SELF_7_3)
    assert rule("kexec-metadata", facts)[0] is Verdict.RESTORED


def test_metadata_that_could_not_be_decoded() -> None:
    assert rule("kexec-metadata", handing(release=None))[0] is Verdict.ACCEPTED


# components of tomorrow


def test_a_component_without_a_rule_is_accepted() -> None:
    facts = handing(components=(*ALL, "hugetlb"))
    judgements = judge(facts)
    assert judgements["hugetlb"].verdict is Verdict.ACCEPTED
    assert cell_verdict(judgements) is Verdict.ACCEPTED
    died = judge(dead(RESET, logs.PANIC_6_18, facts))
    assert died["hugetlb"].verdict is Verdict.PANIC


def test_only_what_was_handed_over_is_judged() -> None:
    assert tuple(judge(handing(components=FIRST))) == FIRST


def test_real_pair_6_17_to_6_18() -> None:
    judgements = judge(dead(RESET, logs.PANIC_6_18, handing(components=(*FIRST, "kho_test"))))
    assert {name: item.verdict for name, item in judgements.items()} == {
        "root": Verdict.ACCEPTED,
        "memory map": Verdict.PANIC,
        "scratch": Verdict.PANIC,
        "kho_test": Verdict.PANIC,
    }


def test_a_consumer_that_cannot_use_its_memory_has_a_corrupt_map() -> None:
    consumer = ConsumerFacts("7.3.4", kho=True, scratch=SCRATCH, complaint="pressure: EIO")
    judgement = judge(replace(FINE, consumer=consumer))["memory map"]
    assert judgement.verdict is Verdict.CORRUPT
    assert [item.text for item in judgement.evidence] == ["pressure: EIO"]
