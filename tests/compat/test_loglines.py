from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat import loglines
from tests.compat import logs

ALL = [value for value in vars(loglines).values() if isinstance(value, re.Pattern)]


@pytest.mark.parametrize("release", logs.FOUND)
def test_every_release_says_that_it_found_a_handover(release: str) -> None:
    assert loglines.find(loglines.ROOT_FOUND, logs.FOUND[release])
    assert not loglines.find(loglines.ROOT_REFUSED, logs.FOUND[release])


@pytest.mark.parametrize(
    "line",
    [
        "KHO: setup: handover FDT (0x24a000) is incompatible with 'kho-v1': 1",
        "KHO: setup: handover FDT (0x276000) is incompatible with 'kho-v4': 1",
        "KHO: setup: handover FDT (0x276000) is invalid: -9",
        "KHO: disabling KHO revival: -22",
        "KHO: disabling KHO revival",
        "Passed KHO data, but CONFIG_KEXEC_HANDOVER not set. Ignoring.",
    ],
)
def test_refused_root(line: str) -> None:
    assert loglines.find(loglines.ROOT_REFUSED, f"a\n{line}\nb") == line
    assert not loglines.find(loglines.ROOT_FOUND, line)


@pytest.mark.parametrize(
    "line",
    [
        "KHO: failed to get preserved memory bitmaps",
        "KHO: failed to get preserved memory map",
        "KHO: failed to get preserved KHO memory tree",
        "KHO: failed to restore folio for KHO fdt",
    ],
)
def test_a_memory_map_that_could_not_be_read(line: str) -> None:
    assert loglines.find(loglines.MAP_FAILED, line) == line


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (loglines.METADATA_REFUSED, "KHO: kexec-metadata blob too small (4 bytes)"),
        (loglines.METADATA_REFUSED, "KHO: kexec-metadata blob too small for v1 (8 < 76)"),
        (loglines.METADATA_REFUSED, "KHO: kexec-metadata version 2 not supported (expected 1)"),
        (loglines.TEST_RESTORED, "test_kho: KHO restore succeeded"),
        (loglines.TEST_FAILED, "test_kho: KHO restore failed"),
        (loglines.TEST_FAILED, "test_kho: failed to retrieve kho_test FDT: -22"),
        (loglines.LUO_RETRIEVED, "luo: Retrieved live update data, liveupdate number: 1"),
        (loglines.LUO_REFUSED, "luo: FDT 'LUO' is incompatible with 'luo-v1' [1]"),
        (loglines.LUO_REFUSED, "luo: LUO state is incompatible with 'luo-v5'"),
        (loglines.LUO_REFUSED, "luo: LUO state is too small (16 < 32)"),
        (loglines.LUO_REFUSED, "luo: Session node incompatible [luo-session-v2]"),
        (loglines.LUO_REFUSED, "luo: Unable to get session node: [luo-session]"),
        (loglines.LUO_REFUSED, "luo: Unable to get FLB node [luo-flb]"),
        (loglines.LUO_REFUSED, "luo: FLB node is incompatible with 'luo-flb-v1' [1]"),
        (loglines.LUO_REFUSED, "luo: Block contains invalid entry count: 99"),
        (loglines.LUO_REFUSED, "luo: Block set is corrupted"),
        (loglines.PANIC, "Kernel panic - not syncing: Attempted to kill the idle task!"),
        (loglines.PANIC, "PANIC: early exception 0x0e IP 10:ffffffff81 error 0 cr2 0x0"),
        (loglines.revived("khoci-small"), "Revived memory reservation 'khoci-small' from KHO"),
        (loglines.revival_refused("a"), "FDT 'memblock' has no child 'a': -1"),
        (loglines.revival_refused("a"), "FDT 'memblock' is incompatible with 'memblock-v1': 1"),
        (loglines.revival_refused("a"), "failed to retrieve FDT 'memblock' from KHO: -22"),
        (loglines.revival_refused("a"), "Node 'a' is incompatible with 'reserve-mem-v1': 1"),
        (
            loglines.revival_refused("a"),
            "KHO reserve-mem 'a' has wrong size (0x1000 != 0x2000)",
        ),
        (
            loglines.revival_refused("a"),
            "KHO reserve-mem 'a' has wrong alignment (0x1000, 0x100000)",
        ),
    ],
)
def test_one_pattern_knows_the_line(pattern: re.Pattern[str], line: str) -> None:
    assert loglines.find(pattern, line) == line
    others = [other for other in ALL if other is not pattern]
    assert not any(other.search(line) for other in others)


def test_exec_from_names_the_release() -> None:
    match = loglines.EXEC_FROM.search(logs.SELF_7_3)
    assert match is not None
    assert (match["release"], match["count"]) == ("7.3.4", "1")


@pytest.mark.parametrize("name", ["khoci", "khoci-smal", "khoci.small"])
def test_other_regions_are_not_meant(name: str) -> None:
    assert not loglines.find(loglines.revived(name), logs.SELF_7_3)
    assert not loglines.find(
        loglines.revival_refused(name), "FDT 'memblock' has no child 'khoci-small': -1"
    )


def test_no_pattern_takes_an_ordinary_line() -> None:
    for line in logs.OTHER_LINES.splitlines():
        assert not any(pattern.search(line) for pattern in ALL), line


@pytest.mark.parametrize(
    "line",
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
def test_splats(line: str) -> None:
    assert loglines.splats(f"quiet\n{line}\n") == (line,)


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
    found = loglines.find(loglines.PANIC, log + "\nKernel panic - not syncing: x \r\n" + log)
    assert found is not None
    assert "panic" in found.lower()
    assert len(loglines.splats(log)) <= len(log.splitlines())
