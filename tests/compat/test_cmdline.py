from __future__ import annotations

from khoci.compat.cmdline import kernel_cmdline
from khoci.config.matrix import GuestConfig
from khoci.scenario import scenarios

RESERVE = scenarios()["reserve-mem"]
KHO_TEST = scenarios()["kho-test"]


def test_words_of_every_origin_later_ones_last() -> None:
    words = kernel_cmdline(GuestConfig(), RESERVE, "mine=1").split()
    assert {"kho=on", "nokaslr", "panic=-1", "kho_scratch=16M,256M,128M"} <= set(words)
    assert "reserve_mem=64K:4K:khoci-small" in words
    assert "initcall_blacklist=kho_test_init" in words
    assert words[-1] == "mine=1"


def test_empty_parts_leave_no_gap() -> None:
    line = kernel_cmdline(GuestConfig(scratch="", cmdline=""), KHO_TEST, "")
    assert "kho_scratch" not in line
    assert "  " not in line
    assert line == line.strip()
