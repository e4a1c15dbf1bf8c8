from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat import loglines
from khoci.compat.facts import Facts
from khoci.compat.loglines import Log, matched, never_matched
from khoci.config.loglines import Pattern, load_patterns
from khoci.paths import data_dir
from khoci.results import CellResult
from khoci.verdicts import Verdict
from tests.compat import logs

PATTERNS = load_patterns(data_dir("matrix") / "loglines.toml")
RELEASES = ("6.16", "6.17", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3")


def line(component: str, meaning: str, log: str, name: str = "") -> str | None:
    return Log(log, PATTERNS).line(component, meaning, name)


@pytest.mark.parametrize("release", logs.FOUND)
def test_every_release_says_that_it_found_a_handover(release: str) -> None:
    assert line("root", "found", logs.FOUND[release])
    assert not line("root", "refused", logs.FOUND[release])


@pytest.mark.parametrize(
    ("component", "meaning", "text"),
    [
        ("root", "refused", "KHO: setup: handover FDT (0x24a000) is incompatible with 'kho-v1': 1"),
        ("root", "refused", "KHO: setup: handover FDT (0x276000) is incompatible with 'kho-v4': 1"),
        ("root", "refused", "KHO: setup: handover FDT (0x276000) is invalid: -9"),
        ("root", "refused", "KHO: setup: failed to memremap scratch (phys=0x3000, len=48)"),
        ("root", "refused", "KHO: disabling KHO revival: -22"),
        ("root", "refused", "KHO: disabling KHO revival"),
        ("root", "refused", "Passed KHO data, but CONFIG_KEXEC_HANDOVER not set. Ignoring."),
        ("memory map", "failed", "KHO: failed to get preserved memory bitmaps"),
        ("memory map", "failed", "KHO: failed to get preserved memory map"),
        ("memory map", "failed", "KHO: failed to get preserved KHO memory tree"),
        ("memory map", "failed", "KHO: failed to restore folio for KHO fdt"),
        ("kexec-metadata", "refused", "KHO: kexec-metadata blob too small (4 bytes)"),
        ("kexec-metadata", "refused", "KHO: kexec-metadata blob too small for v1 (8 < 76)"),
        ("kexec-metadata", "refused", "KHO: kexec-metadata version 2 not supported (expected 1)"),
        ("kho_test", "restored", "test_kho: KHO restore succeeded"),
        ("kho_test", "failed", "test_kho: KHO restore failed"),
        ("kho_test", "failed", "test_kho: failed to retrieve kho_test FDT: -22"),
        ("luo", "found", "luo: Retrieved live update data, liveupdate number: 1"),
        ("luo", "off", "luo: Disabling liveupdate because KHO is disabled"),
        ("luo", "refused", "luo: FDT 'LUO' is incompatible with 'luo-v1' [1]"),
        ("luo", "refused", "luo: failed to retrieve FDT 'LUO' from KHO: -EINVAL"),
        ("luo", "refused", "luo: LUO state is incompatible with 'luo-v5'"),
        ("luo", "refused", "luo: LUO state is too small (16 < 32)"),
        ("luo", "refused", "luo: Session node incompatible [luo-session-v2]"),
        ("luo", "refused", "luo: Unable to get session node: [luo-session]"),
        ("luo", "refused", "luo: Unable to get session header 'luo-session-header' [4]"),
        ("luo", "refused", "luo: Unable to get FLB node [luo-flb]"),
        ("luo", "refused", "luo: FLB node is incompatible with 'luo-flb-v1' [1]"),
        ("luo", "refused", "luo: Block contains invalid entry count: 99"),
        ("luo", "refused", "luo: Block set is corrupted"),
        ("session", "refused", "luo: No registered handler for compatible 'vfio-v1'"),
        ("session", "refused", "luo: Failed to insert session [a] -EEXIST"),
        ("session", "refused", "luo: File count mismatch: expected 2, found 1"),
        ("memfd", "failed", "memfd_luo: Unable to restore folio at physical address: 1b6000"),
        ("memfd", "failed", "memfd_luo: shmem: failed to account folio index 3(1 pages): -28"),
        ("flb", "found", "liveupdate test: flb-v0: found flb data from the previous boot"),
        ("flb", "failed", "liveupdate test: flb-v0: ERROR - incorrect data handle: 1, expected 2"),
        ("", "asked", "khoci: panic on purpose"),
        ("", "panic", "Kernel panic - not syncing: Attempted to kill the idle task!"),
        ("", "panic", "PANIC: early exception 0x0e IP 10:ffffffff81 error 0 cr2 0x0"),
        ("reserve_mem", "found", "Revived memory reservation 'khoci-small' from KHO"),
        ("reserve_mem", "refused", "FDT 'memblock' has no child 'a': -1"),
        ("reserve_mem", "refused", "FDT 'memblock' is incompatible with 'memblock-v1': 1"),
        ("reserve_mem", "refused", "failed to retrieve FDT 'memblock' from KHO: -22"),
        ("reserve_mem", "refused", "Node 'a' is incompatible with 'reserve-mem-v1': 1"),
        ("reserve_mem", "refused", "KHO reserve-mem 'a' has wrong size (0x1000 != 0x2000)"),
        ("reserve_mem", "refused", "KHO reserve-mem 'a' has wrong alignment (0x1000, 0x100000)"),
    ],
)
def test_one_meaning_is_known_of_a_line(component: str, meaning: str, text: str) -> None:
    assert line(component, meaning, f"a\n{text} \r\nb") == text
    found = {(item.component, item.meaning) for item in PATTERNS if item.regex.search(text)}
    assert found == {(component, meaning)}


def test_exec_from_names_the_release() -> None:
    match = Log(logs.SELF_7_3, PATTERNS).find("kexec-metadata", "found")
    assert match is not None
    assert (match["release"], match["count"]) == ("7.3.4", "1")


@pytest.mark.parametrize("name", ["khoci", "khoci-smal", "khoci.small"])
def test_other_regions_are_not_meant(name: str) -> None:
    assert line("reserve_mem", "found", logs.SELF_7_3, "khoci-small")
    assert not line("reserve_mem", "found", logs.SELF_7_3, name)
    refused = "FDT 'memblock' has no child 'khoci-small': -1"
    assert not line("reserve_mem", "refused", refused, name)


def test_a_line_that_names_none_means_them_all() -> None:
    text = "FDT 'memblock' is incompatible with 'memblock-v1': 1"
    assert line("reserve_mem", "refused", text, "khoci-small") == text


def test_no_pattern_takes_an_ordinary_line() -> None:
    for text in logs.OTHER_LINES.splitlines():
        assert not any(pattern.regex.search(text) for pattern in PATTERNS), text


def facts(producer: str = "", consumer: str = "") -> Facts:
    return Facts("memfd", None, consumer_log=consumer, producer_log=producer)


def test_what_matched_is_told_by_name_and_side() -> None:
    preserved = "liveupdate test: test-flb-v0: preserve was triggered"
    shown = matched(PATTERNS, facts(producer=f"{logs.FOUND['7.3']}\n{preserved}"))
    assert shown == ("flb-preserved",)
    shown = matched(PATTERNS, facts(consumer=logs.FOUND["7.3"]))
    assert shown == ("root-found",)
    shown = matched(PATTERNS, facts(producer="Run /init as init process"))
    assert shown == ("init-runs",)
    assert matched(PATTERNS, facts(consumer=preserved)) == ()


def result(*names: str) -> CellResult:
    return CellResult("7.2", "7.3", "memfd", Verdict.RESTORED, {}, matched=names)


def test_a_pattern_that_nobody_shows_is_reported() -> None:
    common = [pattern for pattern in PATTERNS if not pattern.rare]
    names = [pattern.name for pattern in common]
    assert never_matched(PATTERNS, [result(*names)], RELEASES) == []
    assert never_matched(PATTERNS, [result(*names[2:]), result(names[0])], RELEASES) == [names[1]]
    assert never_matched(PATTERNS, [], RELEASES) == names


def test_a_pattern_of_other_releases_is_not_missed() -> None:
    missed = never_matched(PATTERNS, [], ["v6.16.12"])
    assert "root-found" in missed
    assert not {"luo-retrieved", "kho-test-restored", "metadata-read"} & set(missed)
    assert "luo-flb-node-missing" not in never_matched(PATTERNS, [], ["7.2", "7.3"])
    assert "luo-flb-node-missing" in never_matched(PATTERNS, [], ["7.0"])


def test_what_is_rare_is_not_missed() -> None:
    rare: list[Pattern] = [replace(pattern, rare="never seen") for pattern in PATTERNS]
    assert never_matched(tuple(rare), [], RELEASES) == []


@pytest.mark.parametrize(
    "text",
    [
        "WARNING: CPU: 0 PID: 1 at kernel/kexec_handover.c:243 kho_restore_page+0x1c/0x90",
        "WARNING: kernel/liveupdate/kexec_handover.c:243 at kho_restore_page+0x1c, CPU#0: swapper",
        "WARNING: at kho_restore_page+0x1c, CPU#0: swapper/1",
        "kernel BUG at mm/page_alloc.c:1234!",
        "BUG: unable to handle page fault for address: ffd4000001010c28",
        "BUG: KASAN: use-after-free in kho_restore_page+0x1c/0x90",
        "Oops: general protection fault, probably for non-canonical address 0x0: 0000 [#1]",
        "rcu: INFO: rcu_sched self-detected stall on CPU",
        "UBSAN: array-index-out-of-bounds in mm/memblock.c:12:3",
        "INFO: task swapper/0:1 blocked for more than 120 seconds.",
    ],
)
def test_splats(text: str) -> None:
    assert loglines.splats(f"quiet\n{text}\n") == (text,)


def test_a_warning_is_one_splat() -> None:
    log = """\
------------[ cut here ]------------
WARNING: CPU: 0 PID: 1 at mm/memblock.c:12 f+0x1/0x2
Modules linked in:
---[ end trace 0000000000000000 ]---
"""
    assert len(loglines.splats(log)) == 1


def test_real_consoles() -> None:
    assert loglines.splats(logs.SELF_6_17) == loglines.splats(logs.SELF_7_3) == ()
    assert loglines.splats(logs.PANIC_6_18)[0].startswith("BUG: unable to handle page fault")


@pytest.mark.parametrize(
    ("log", "last"), [("", ""), ("\n \n", ""), ("a\nb \r\n\n", "b"), ("only", "only")]
)
def test_last_line(log: str, last: str) -> None:
    assert loglines.last_line(log) == last


@given(st.text())
def test_any_console_can_be_searched(log: str) -> None:
    whole = log + "\nKernel panic - not syncing: x \r\n" + log
    found = loglines.Log(whole, loglines.shipped()).each("panic")
    assert any("panic" in line.lower() for line in found)
    assert len(loglines.splats(log)) <= len(log.splitlines())
