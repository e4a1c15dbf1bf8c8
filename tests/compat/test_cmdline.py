from __future__ import annotations

from dataclasses import replace

from khoci.compat.cmdline import kernel_cmdline
from khoci.config.matrix import GuestConfig
from khoci.scenario import select
from khoci.scenario.base import Shape

RESERVE, KHO_TEST = select(["reserve-mem", "kho-test"])


def test_words_of_every_origin_later_ones_last() -> None:
    words = kernel_cmdline(GuestConfig(), [RESERVE], "mine=1").split()
    assert {"kho=on", "nokaslr", "panic=-1", "kho_scratch=16M,256M,128M"} <= set(words)
    assert "no_timer_check" in words, "a busy host must not look like a kernel that panics"
    assert "reserve_mem=64K:4K:khoci-small" in words
    assert "initcall_blacklist=kho_test_init" in words
    assert words[-1] == "mine=1"


def test_only_a_single_cpu_does_without_its_own_timer() -> None:
    assert "nolapic_timer" in kernel_cmdline(GuestConfig(cpus=1), [RESERVE]).split()
    assert "nolapic_timer" not in kernel_cmdline(GuestConfig(cpus=2), [RESERVE]).split()


def test_empty_parts_leave_no_gap() -> None:
    line = kernel_cmdline(GuestConfig(scratch="", cmdline=""), [KHO_TEST])
    assert "kho_scratch" not in line
    assert "  " not in line
    assert line == line.strip()


def test_what_is_for_the_last_kernel_alone_comes_after_what_is_for_all() -> None:
    off = replace(RESERVE, consumer_cmdline="kho=off")
    assert "kho=off" not in kernel_cmdline(GuestConfig(), [off])
    words = kernel_cmdline(GuestConfig(), [off], consumer=True).split()
    assert words.index("kho=off") > words.index("kho=on")


def test_scenarios_that_share_a_boot_ask_for_the_same_word_once() -> None:
    other = replace(RESERVE, cmdline="initcall_blacklist=kho_test_init other=1")
    words = kernel_cmdline(GuestConfig(), [RESERVE, other]).split()
    assert words.count("initcall_blacklist=kho_test_init") == 1
    assert "other=1" in words


def test_the_shape_of_the_machine() -> None:
    shaped = replace(RESERVE, shape=Shape(scratch="", nodes=3, kaslr=True))
    words = kernel_cmdline(GuestConfig(), [shaped]).split()
    assert "numa=fake=3" in words
    assert "nokaslr" not in words
    assert not [word for word in words if word.startswith("kho_scratch")]
