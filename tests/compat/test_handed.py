from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.compat import handed
from khoci.format.handover import Handover, decode
from khoci.format.memory import Pages
from khoci.format.ranges import Range, merge
from tests.format.guests import REGION, SCRATCH, guest, scratch_array


def decoded(family: str) -> tuple[Pages, Handover]:
    made = guest(family)
    memory = made.memory
    return memory, decode(memory, made.fdt_addr, scratch=scratch_array())


@pytest.mark.parametrize("family", ["A", "B", "radix"])
def test_summary(family: str) -> None:
    _, handover = decoded(family)
    found = handed.summary(handover)
    assert found.version == ("kho-v4" if family == "radix" else "kho-v1")
    assert found.layout == family
    assert found.components[:3] == ("root", "memory map", "scratch")
    assert {"reserve_mem", "kho_test"} < set(found.components)
    assert found.scratch == SCRATCH
    assert found.reserve_mem == ("data",)
    assert found.blocks == len(handover.map.blocks)
    assert found.size == sum(block.size for block in handover.map.blocks)
    assert found.problems == ()


def test_summary_of_what_newer_kernels_add() -> None:
    found = handed.summary(decoded("radix")[1])
    assert (found.release, found.luo_number) == ("7.3.4", 4)
    older = handed.summary(decoded("A")[1])
    assert (older.release, older.luo_number, older.luo_sessions) == (None, None, None)


def test_each_region_by_its_own_name() -> None:
    _, handover = decoded("B")
    found = handed.regions(handover)
    assert ("reserve_mem data", Range(*REGION)) in found
    assert handover.fdt_addr is not None
    assert ("root", Range(handover.fdt_addr, 4096)) in found
    assert {owner.split()[0] for owner, _ in found} == {"root", "kho_test", "reserve_mem"}


def test_misread_memory_is_in_ram_and_was_not_preserved() -> None:
    memory, handover = decoded("A")
    found = handed.misread(memory, handover)
    assert found
    assert found == sorted(found, key=lambda item: -item.size)
    preserved = merge(block.range for block in handover.map.blocks)
    for item in found:
        assert not any(item.overlaps(block) for block in preserved)
        assert any(ram.contains(item.start, item.size) for ram in memory.ram)


def test_small_bitmaps_read_from_large_ones_only_lose_memory() -> None:
    assert handed.misread(*decoded("B")) == []


def test_a_radix_tree_cannot_be_misread() -> None:
    assert handed.misread(*decoded("radix")) == []


def test_a_map_that_was_not_read_cannot_be_misread() -> None:
    memory, handover = decoded("A")
    unread = replace(handover, map=replace(handover.map, family=None))
    assert handed.misread(memory, unread) == []
    assert handed.summary(unread).layout == "none"
