from __future__ import annotations

import pytest

from khoci.compat.facts import Facts
from khoci.compat.loglines import shipped
from khoci.compat.splats import Splat, counted
from khoci.vm.guest import End, Ended
from tests.compat import logs

READY = "Run /init as init process\n"
TRACE = """\
------------[ cut here ]------------
WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:12 free_pages+0x1/0x2
Modules linked in:
RIP: 0010:free_pages+0x1/0x2
Call Trace:
 <TASK>
 ? __warn+0x8f/0x100
 {function}.constprop.0+0x8f/0x100
 do_one_initcall+0x4e/0x2f0
---[ end trace 0000000000000000 ]---
kho_later+0x1/0x2
"""


def splats(producer: str = "", consumer: str = "", end: Ended | None = None) -> list[Splat]:
    facts = Facts("memfd", None, consumer_log=consumer, producer_log=producer, end=end)
    return counted(facts, shipped())


@pytest.mark.parametrize(
    ("function", "component"),
    [
        ("kho_restore_page", "memory map"),
        ("deserialize_bitmap", "memory map"),
        ("memblock_add_range", "memory map"),
        ("__memblock_reserve", "memory map"),
        ("reserve_mem_kho_revive", "reserve_mem"),
        ("kho_test_restore", "kho_test"),
        ("kho_block_set_restore", "block"),
        ("luo_early_startup", "luo"),
        ("liveupdate_early_init", "luo"),
        ("luo_session_release", "session"),
        ("luo_flb_file_finish", "flb"),
        ("memfd_luo_retrieve", "memfd"),
        ("shmem_fault", None),
    ],
)
def test_a_function_tells_whose_it_is(function: str, component: str | None) -> None:
    (splat,) = splats(consumer=TRACE.replace("{function}", function))
    assert splat.component == component
    assert splat.line.startswith("WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:12")


def test_the_innermost_function_decides() -> None:
    line = "WARNING: at kho_restore_page+0x1c/0x90, CPU#0: swapper/1"
    (splat,) = splats(consumer=f"{line}\n memfd_luo_retrieve+0x1/0x2\n")
    assert splat.component == "memory map"


def test_a_report_ends_where_the_next_begins() -> None:
    log = "BUG: one\nUBSAN: two\n luo_open+0x1/0x2\n"
    assert [splat.component for splat in splats(consumer=log)] == [None, "luo"]


def test_a_report_is_not_endless() -> None:
    assert splats(consumer="BUG: one\n" + "x\n" * 200 + "luo_open+0x1/0x2\n")[0].component is None


def test_the_producer_counts_from_its_user_space_on() -> None:
    assert splats(producer=f"BUG: one\n{READY}") == []
    assert splats(producer="BUG: one\n") == []
    assert [splat.side for splat in splats(producer=f"{READY}BUG: one\n")] == ["producer"]


def test_what_both_say_at_boot_is_usual() -> None:
    boot = "WARNING: at x.c:1 f+0x12/0x90, CPU#{}: swapper/{}\n"
    (both,) = splats(boot.format(0, 1) + READY, boot.format(3, 0))
    assert both.usual
    (other,) = splats(boot.format(0, 1).replace("f+", "g+") + READY, boot.format(0, 1))
    assert not other.usual


def test_a_dead_consumer_has_none() -> None:
    end = Ended(End.RESET, "the guest reset the machine")
    assert splats(consumer=logs.PANIC_6_18, end=end) == []
    assert splats(consumer=logs.PANIC_6_18) != []


def test_quiet_consoles_have_none() -> None:
    assert splats(logs.SELF_6_17 + READY + logs.OTHER_LINES, logs.SELF_7_3) == []
