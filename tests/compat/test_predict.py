from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.compat import verdict
from khoci.compat.outlook import ConsumerTraits
from khoci.compat.predict import RULES, Prediction, cell_verdict, predict, unreadable
from khoci.config.abi import Abi, load_releases
from khoci.format import capture
from khoci.format.capture import Capture
from khoci.format.components import Component
from khoci.format.errors import DecodeError
from khoci.format.extents import Extents
from khoci.format.handover import Handover, decode
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from khoci.format.versions import Version
from khoci.paths import data_dir
from khoci.verdicts import Verdict
from tests.format.test_real_captures import FOLDER

RELEASES = load_releases(data_dir("matrix") / "abi")
GIB, SECTION = 1 << 30, 128 << 20
OBSERVED = {
    "kho-test": """
v6.17.13 accept  restor  PANIC   PANIC   PANIC   refuse  refuse  refuse
v6.18.15 accept  DROPPED restor  restor  restor  refuse  refuse  refuse
v6.19.14 accept  DROPPED restor  restor  PANIC   refuse  refuse  refuse
v7.0.13  accept  DROPPED restor  restor  restor  refuse  refuse  refuse
v7.1.13  refuse  refuse  refuse  refuse  refuse  restor  refuse  refuse
v7.2.12  refuse  refuse  refuse  refuse  refuse  refuse  restor  restor
v7.3.4   refuse  refuse  refuse  refuse  refuse  refuse  restor  restor
""",
    "reserve-mem": """
v6.16.12 restor  restor  PANIC   PANIC   PANIC   refuse  refuse  refuse
v6.17.13 restor  restor  PANIC   PANIC   PANIC   refuse  refuse  refuse
v6.18.15 CORRUPT CORRUPT restor  restor  restor  refuse  refuse  refuse
v6.19.14 CORRUPT CORRUPT restor  restor  PANIC   refuse  refuse  refuse
v7.0.13  CORRUPT CORRUPT restor  restor  restor  refuse  refuse  refuse
v7.1.13  refuse  refuse  refuse  refuse  refuse  restor  refuse  refuse
v7.2.12  refuse  refuse  refuse  refuse  refuse  refuse  restor  restor
v7.3.4   refuse  refuse  refuse  refuse  refuse  refuse  restor  restor
""",
}
"""README.md's tables: what became of each pair on real kernels."""


def observed() -> Iterator[tuple[str, str, str, str]]:
    """Producer, consumer, scenario, and how the cell's verdict begins."""
    for scenario, table in OBSERVED.items():
        for line in table.strip().splitlines():
            producer, *words = line.split()
            for consumer, word in zip(RELEASES.names, words, strict=True):
                yield producer, consumer, scenario, word.lower()


@cache
def captured(producer: str, scenario: str) -> tuple[Capture, Handover]:
    kept = capture.load(FOLDER / f"{producer}-{scenario}.khocap")
    return kept, decode(kept.pages, kept.fdt_addr, scratch=kept.scratch)


def predicted(
    producer: str,
    consumer: str | Abi,
    scenario: str = "reserve-mem",
    traits: ConsumerTraits | None = None,
) -> Prediction:
    kept, handover = captured(RELEASES.select(producer).name, scenario)
    abi = RELEASES.select(consumer) if isinstance(consumer, str) else consumer
    return predict(kept.pages, handover, abi, traits)


def words(prediction: Prediction) -> dict[str, str]:
    return {name: str(expected.verdict) for name, expected in prediction.items()}


@pytest.mark.parametrize(("producer", "consumer", "scenario", "word"), [*observed()])
def test_the_prediction_of_a_real_capture_is_what_was_observed(
    producer: str, consumer: str, scenario: str, word: str
) -> None:
    prediction = predicted(producer, consumer, scenario)
    assert cell_verdict(prediction).startswith(word)
    assert all(expected.reason for expected in prediction.values())


def test_every_component_that_is_judged_is_predicted() -> None:
    assert set(RULES) == set(verdict.RULES)


def test_an_old_consumer_reads_an_eighth_of_each_bitmap() -> None:
    prediction = predicted("6.18", "6.17")
    assert words(prediction) == {
        "root": "restored",
        "memory map": "corrupt",
        "scratch": "restored",
        "reserve_mem": "corrupt",
    }
    assert prediction["memory map"].reason == (
        "v6.17.13 reads 512 of each bitmap's 4096 bytes: "
        "64 of 64 KiB of reserve_mem khoci-small are free memory"
    )


def test_a_new_consumer_dies_of_memory_that_does_not_exist() -> None:
    prediction = predicted("6.17", "6.18")
    assert words(prediction) == {
        "root": "accepted",
        "memory map": "panic",
        "scratch": "panic",
        "reserve_mem": "panic",
    }
    assert prediction["memory map"].reason.startswith(
        "v6.18.15 reads 4096 bytes for each bitmap of 512; "
    )
    assert prediction["memory map"].reason.endswith(": no struct page")


def with_ram(producer: str, consumer: str, ram: list[Range]) -> Prediction:
    """The prediction for the same pages in a machine with more memory."""
    kept, handover = captured(RELEASES.select(producer).name, "reserve-mem")
    pages = Pages((Range(0, GIB), *ram), kept.pages.pages, partial=True)
    return predict(pages, handover, RELEASES.select(consumer))


def test_memory_that_does_not_exist_is_deadly_only_in_a_section_without_any() -> None:
    """A page of RAM makes the struct pages of 128 MiB; the blocks all end below 1 TiB."""
    sections = [Range(start, 4096) for start in range(GIB, 1 << 40, SECTION)]
    assert with_ram("6.17", "6.18", sections)["root"].verdict is Verdict.RESTORED
    dead = with_ram("6.17", "6.18", sections[1:])["memory map"]
    assert dead.verdict is Verdict.PANIC
    assert "dies of the block at 0x4" in dead.reason


def test_memory_that_exists_and_was_preserved_by_nobody_is_reserved() -> None:
    prediction = with_ram("6.17", "6.18", [Range(GIB, (1 << 40) - GIB)])
    assert words(prediction) == {
        "root": "restored",
        "memory map": "corrupt",
        "scratch": "restored",
        "reserve_mem": "restored",
    }
    assert "preserved by nobody" in prediction["memory map"].reason


def test_luo_of_7_0_panics_without_flb_and_6_19_does_not_need_it() -> None:
    forward = predicted("6.19", "7.0")
    assert set(words(forward).values()) == {"accepted", "panic"}
    assert forward["root"].verdict is Verdict.ACCEPTED
    assert "luo-flb-v1" in forward["luo"].reason
    assert set(words(predicted("7.0", "6.19")).values()) == {"restored"}


def test_a_consumer_without_the_symbol_does_not_read_it() -> None:
    no_luo = ConsumerTraits({"LIVEUPDATE": False})
    assert words(predicted("6.19", "7.0", traits=no_luo)) == {
        **dict.fromkeys(("root", "memory map", "scratch", "reserve_mem"), "restored"),
        "luo": "absent",
    }
    no_test = ConsumerTraits({"TEST_KEXEC_HANDOVER": False})
    assert predicted("7.3", "7.3", "kho-test", no_test)["kho_test"].verdict is Verdict.ACCEPTED
    no_kho = ConsumerTraits({"KEXEC_HANDOVER": False})
    assert set(words(predicted("7.3", "7.3", traits=no_kho)).values()) == {"refused"}


def test_a_consumer_with_kho_off_keeps_the_memory_and_reads_little() -> None:
    off = ConsumerTraits(kho=False)
    assert words(predicted("7.3", "7.3", "kho-test", off)) == {
        "root": "restored",
        "memory map": "restored",
        "scratch": "accepted",
        "luo": "absent",
        "kho_test": "dropped",
        "kexec-metadata": "dropped",
    }
    assert predicted("7.3", "7.3", traits=off)["reserve_mem"].verdict is Verdict.RESTORED


def test_a_consumer_that_is_made_to_panic() -> None:
    crash = ConsumerTraits(crash=True)
    prediction = predicted("7.3", "7.3", traits=crash)
    assert set(words(prediction).values()) == {"panic"}
    assert "until then restored: " in prediction["reserve_mem"].reason
    assert set(words(predicted("7.2", "7.1", traits=crash)).values()) == {"panic"}
    assert words(predicted("6.19", "6.18", traits=crash))["luo"] == "absent"


def test_one_that_dies_before_that_dies_of_what_it_is_given() -> None:
    prediction = predicted("6.17", "6.18", traits=ConsumerTraits(crash=True))
    assert prediction["root"].verdict is Verdict.ACCEPTED
    assert "reads 4096 bytes" in prediction["memory map"].reason


def listed(producer: str, consumer: str, scenario: str, *components: str) -> dict[str, str]:
    kept, handover = captured(RELEASES.select(producer).name, scenario)
    abi = RELEASES.select(consumer)
    return words(predict(kept.pages, handover, abi, components=components))


def test_what_a_scenario_is_about_is_listed_though_nothing_of_it_is_there() -> None:
    assert listed("7.3", "7.3", "reserve-mem", "memfd", "flb")["memfd"] == "absent"
    assert listed("7.3", "7.3", "reserve-mem", "reserve_mem")["reserve_mem"] == "restored"
    assert listed("7.3", "7.1", "reserve-mem", "memfd") == {
        **dict.fromkeys(predicted("7.3", "7.1"), "refused"),
        "memfd": "absent",
    }


def test_parts_of_others_are_listed_where_they_are_asked_for() -> None:
    assert "vmalloc" not in listed("7.3", "7.3", "kho-test")
    assert listed("7.3", "7.3", "kho-test", "vmalloc")["vmalloc"] == "restored"
    assert listed("6.18", "6.17", "kho-test", "vmalloc")["vmalloc"] == "dropped"


def test_a_root_that_is_no_fdt_is_refused() -> None:
    prediction = unreadable("root: bad magic", ("reserve_mem",))
    assert set(words(prediction).values()) == {"refused"}
    assert tuple(prediction) == ("root", "memory map", "scratch", "reserve_mem")
    assert "bad magic" in prediction["root"].reason


@pytest.mark.parametrize("series", ["6.19", "7.0", "7.1", "7.2", "7.3"])
def test_real_sessions_and_what_is_in_them_come_back(series: str) -> None:
    found = listed(series, series, "luo", "session", "memfd", "vmalloc", "flb")
    expected = "absent" if series == "6.19" else "restored"
    assert (found["session"], found["memfd"], found["vmalloc"]) == ("restored",) * 3
    assert found["flb"] == expected


def test_objects_of_the_kernels_test_need_the_test() -> None:
    no_test = ConsumerTraits({"LIVEUPDATE_TEST": False})
    assert predicted("7.3", "7.3", "luo", no_test)["flb"].verdict is Verdict.DROPPED
    assert predicted("7.0", "6.19", "luo")["flb"].verdict is Verdict.DROPPED


def test_regions_of_an_unknown_version_are_refused_though_they_cannot_be_decoded() -> None:
    kept, handover = captured("v7.3.4", "reserve-mem")
    parts = tuple(
        replace(item, version=Version("memblock", 2), value=None)
        if item.name == "reserve_mem"
        else item
        for item in handover.components
    )
    prediction = predict(kept.pages, replace(handover, components=parts), RELEASES.select("7.3"))
    assert prediction["reserve_mem"].verdict is Verdict.REFUSED
    assert prediction["reserve_mem"].reason == "v7.3.4 wants memblock-v1, not memblock-v2"


def test_a_consumer_that_says_that_its_test_failed() -> None:
    silent = RELEASES.select("6.18")
    assert silent.kho_test is not None
    loud = replace(silent, kho_test=replace(silent.kho_test, list="inline", says_failure=True))
    assert predicted("6.18", loud, "kho-test")["kho_test"].verdict is Verdict.REFUSED
    other = replace(silent, kho_test=replace(silent.kho_test, compatible="kho-test-v2"))
    assert predicted("6.18", other, "kho-test")["kho_test"].verdict is Verdict.DROPPED


def test_other_versions_of_a_component() -> None:
    new = RELEASES.select("7.3")
    assert new.luo is not None
    metadata = predicted("7.3", replace(new, metadata=2))["kexec-metadata"]
    assert metadata.verdict is Verdict.REFUSED
    assert metadata.reason == "v7.3.4 wants version 2, not 1"
    other = replace(new, reserve_mem=replace(new.reserve_mem, compatible="memblock-v2"))
    assert predicted("7.3", other)["reserve_mem"].verdict is Verdict.REFUSED
    luo = predicted("7.3", replace(new, luo=replace(new.luo, compatible="luo-v6")))
    assert luo["luo"].verdict is luo["memory map"].verdict is Verdict.PANIC
    assert "wants luo-v6 (struct), not luo-v5 (struct)" in luo["luo"].reason


def test_a_root_of_another_version_is_refused_with_all_that_hangs_on_it() -> None:
    kept, handover = captured("v7.3.4", "reserve-mem")
    newer = replace(handover, root=replace(handover.root, version=Version("kho", 5)))
    prediction = predict(kept.pages, newer, RELEASES.select("7.3"))
    assert set(words(prediction).values()) == {"refused"}
    assert prediction["root"].reason == "v7.3.4 understands kho-v4, not kho-v5, and says so"


def not_finalized(consumer: str) -> Prediction:
    kept, handover = captured("v6.18.15", "reserve-mem")
    root = replace(handover.root, memory_map=0)
    return predict(kept.pages, replace(handover, root=root), RELEASES.select(consumer))


def test_a_map_at_address_0_is_refused_from_6_19_on() -> None:
    assert set(words(not_finalized("6.19")).values()) == {"refused"}
    before = words(not_finalized("6.18"))
    assert before["root"] == before["memory map"] == before["reserve_mem"] == "corrupt"


def test_of_a_map_that_khoci_cannot_follow_it_says_nothing() -> None:
    kept, handover = captured("v7.3.4", "reserve-mem")
    root = replace(handover.root, memory_map=1 << 52)
    prediction = predict(kept.pages, replace(handover, root=root), RELEASES.select("7.3"))
    assert prediction["memory map"].verdict is prediction["luo"].verdict is Verdict.ERROR
    assert "not all in RAM" in prediction["memory map"].reason


def memfd(version: int, owned: Range) -> Component:
    kind = Version("memfd", version)
    return Component("memfd", "0x1a", owned.start, kind, None, Extents.of([owned]))


def with_sessions(producer: str, *files: Component) -> tuple[Capture, Handover]:
    """A real handover as if these files had been in a session of it, beside one FLB."""
    kept, handover = captured(RELEASES.select(producer).name, "reserve-mem")
    session = Component("session", "vm", None, None, None, Extents.of(()), files)
    flb = Component("flb", "test-v0", None, Version("test", 0), None, Extents.of(()))
    parts = tuple(
        replace(item, children=(*item.children, session, flb)) if item.name == "luo" else item
        for item in handover.components
    )
    return kept, replace(handover, components=parts)


def predicted_sessions(producer: str, consumer: str, *files: Component) -> Prediction:
    kept, handover = with_sessions(producer, *files)
    return predict(kept.pages, handover, RELEASES.select(consumer))


def preserved(producer: str) -> Range:
    """A page that the producer's map lists."""
    _, handover = captured(RELEASES.select(producer).name, "reserve-mem")
    assert handover.fdt_addr is not None
    return Range(handover.fdt_addr, 4096)


def test_sessions_files_and_flbs_are_told_by_kind() -> None:
    mine = memfd(2, preserved("7.2"))
    assert words(predicted_sessions("7.2", "7.3", mine, mine)) == {
        **words(predicted("7.2", "7.3")),
        "session": "restored",
        "memfd": "restored",
        "flb": "accepted",
    }
    assert predicted_sessions("7.2", "7.1", mine)["memfd"].verdict is Verdict.REFUSED
    old = memfd(1, preserved("6.19"))
    assert predicted_sessions("6.19", "7.0", old)["session"].verdict is Verdict.PANIC
    assert predicted_sessions("6.19", "6.18", old)["session"].verdict is Verdict.ABSENT


def test_flbs_are_dropped_where_there_are_none() -> None:
    prediction = predicted_sessions("7.0", "6.19", memfd(1, preserved("7.0")))
    assert prediction["flb"].verdict is Verdict.DROPPED
    assert prediction["memfd"].verdict is prediction["session"].verdict is Verdict.RESTORED


def test_one_file_without_a_handler_spoils_all_sessions() -> None:
    mine = memfd(2, preserved("7.2"))
    vfio = replace(mine, name="vfio-pci", label="0x1", version=Version("vfio-pci", 1))
    prediction = predicted_sessions("7.2", "7.3", mine, vfio)
    found = {prediction[name].verdict for name in ("luo", "session", "memfd", "vfio-pci")}
    assert found == {Verdict.REFUSED}
    assert "no handler for vfio-pci-v1" in prediction["memfd"].reason


def test_a_file_whose_memory_is_not_preserved_is_corrupt() -> None:
    prediction = predicted_sessions("7.2", "7.3", memfd(2, Range(0x100_0000, 8192)))
    assert prediction["memfd"].verdict is Verdict.CORRUPT
    assert "8 of 8 KiB of memfd[0x1a] are free memory" in prediction["memfd"].reason


def test_what_khoci_cannot_decode_is_not_called_restored() -> None:
    kept, handover = captured("v7.3.4", "kho-test")
    parts = tuple(replace(item, value=None) for item in handover.components)
    prediction = predict(
        kept.pages, replace(handover, components=parts, scratch=None), RELEASES.select("7.3")
    )
    unread = ("scratch", "luo", "kho_test", "kexec-metadata")
    assert {prediction[name].verdict for name in unread} == {Verdict.ACCEPTED}


def test_a_component_that_nobody_knows() -> None:
    kept, handover = captured("v7.3.4", "kho-test")
    parts = tuple(
        replace(item, name="iommu") if item.name == "kho_test" else item
        for item in handover.components
    )
    prediction = predict(kept.pages, replace(handover, components=parts), RELEASES.select("7.3"))
    assert prediction["iommu"].verdict is Verdict.ACCEPTED
    assert cell_verdict(prediction) is Verdict.ACCEPTED


@given(
    name=st.sampled_from(sorted({f"{p}-{scenario}" for p, _, scenario, _ in observed()})),
    flips=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), min_size=1, max_size=8),
)
@settings(max_examples=100, deadline=None)
def test_whatever_was_handed_over_there_is_a_prediction(
    name: str, flips: list[tuple[int, int]]
) -> None:
    producer, scenario = name.split("-", 1)
    kept, _ = captured(producer, scenario)
    pages = {address: bytearray(page) for address, page in kept.pages.pages.items()}
    for where, flip in flips:
        index, offset = divmod(where % (len(pages) * 4096), 4096)
        [*pages.values()][index][offset] ^= flip
    memory = Pages(kept.pages.ram, {a: bytes(page) for a, page in pages.items()}, partial=True)
    try:
        handover = decode(memory, kept.fdt_addr, scratch=kept.scratch)
    except DecodeError:
        return
    for abi in RELEASES.all:
        prediction = predict(memory, handover, abi)
        assert {"root", "memory map", "scratch"} <= set(prediction)
        assert all(item.reason for item in prediction.values())


def test_the_worst_component_is_the_cell() -> None:
    assert cell_verdict({}) is Verdict.ABSENT
    assert cell_verdict(predicted("6.19", "7.0")) is Verdict.PANIC
