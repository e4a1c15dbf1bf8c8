from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from khoci.compat import handed
from khoci.format import capture
from khoci.format.extents import Extents
from khoci.format.handover import Handover, decode
from khoci.format.memory import Pages
from khoci.format.ranges import Range, merge
from tests.format.guests import REGION, SCRATCH, guest, scratch_array
from tests.format.test_real_captures import FOLDER

CAPTURES = sorted(FOLDER.glob("*.khocap"))
MIB = 1 << 20


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


def real(path: Path) -> Handover:
    kept = capture.load(path)
    return decode(kept.pages, kept.fdt_addr, scratch=kept.scratch)


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_each_preserved_byte_has_one_owner(path: Path) -> None:
    handover = real(path)
    found = [item for _, item in handed.regions(handover)]
    assert all(one.end <= other.start for one, other in pairwise(sorted(found)))
    assert Extents.of(found) == handover.map.blocks.extents


def owners(name: str) -> Counter[str]:
    sizes: Counter[str] = Counter()
    for owner, item in handed.regions(real(FOLDER / name)):
        sizes[owner] += item.size
    return sizes


def test_what_is_inside_of_luo_has_owners_of_its_own() -> None:
    found = owners("v7.3.4-luo.khocap")
    assert set(found) == {
        *("root", "luo blob", "luo", "session", "memfd", "flb", "kexec-metadata"),
    }
    assert found["luo blob"] == found["flb"] == 4096
    assert found["memfd"] > 9 * MIB


def test_of_the_test_the_whole_block_of_its_list_is_apart() -> None:
    found = owners("v7.3.4-kho-test.khocap")
    assert found["kho_test blob"] == 2 * 4096
    assert found["kho_test"] == 12 * MIB + 2 * 4096


def test_what_nobody_owns_is_an_orphan() -> None:
    handover = real(FOLDER / "v7.3.4-reserve-mem.khocap")
    lonely = replace(handover, components=())
    found = handed.regions(lonely)
    assert {owner for owner, _ in found} == {"root", "orphan"}
    assert Extents.of(item for _, item in found) == handover.map.blocks.extents


def test_what_has_to_be_preserved_and_is_not_has_an_owner_too() -> None:
    handover = real(FOLDER / "v6.18.15-reserve-mem.khocap")
    unread = replace(handover, map=replace(handover.map, blocks=handover.map.blocks[:0]))
    assert handed.regions(unread) == handed.regions(handover)


def test_only_what_is_ram_is_looked_at() -> None:
    handover = real(FOLDER / "v7.3.4-reserve-mem.khocap")
    whole = handed.regions(handover)
    top = max(item.end for _, item in whole)
    ram = [Range(0, top - 4096)]
    found = handed.regions_in(handover, ram)
    assert max(item.range.end for item in found) == top - 4096
    assert sum(item.range.size for item in found) == sum(item.size for _, item in whole) - 4096
    assert all(item.mapped for item in found)
    [line] = handed.outside(handover, ram)
    assert line.endswith(f"{top - 4096:#x} is not RAM")
    assert handed.outside(handover, [Range(0, top)]) == ()


def test_what_the_memory_map_does_not_list_is_told() -> None:
    handover = real(FOLDER / "v7.3.4-reserve-mem.khocap")
    unread = replace(handover, map=replace(handover.map, blocks=handover.map.blocks[:0]))
    assert not any(item.mapped for item in handed.regions_in(unread, [Range(0, 1 << 40)]))


def test_sessions_files_and_parts_are_components() -> None:
    found = handed.summary(real(FOLDER / "v7.3.4-luo.khocap"))
    assert found.components == (
        *("root", "memory map", "scratch", "luo", "kexec-metadata"),
        *("session", "memfd", "flb", "vmalloc", "block"),
    )
    empty = handed.summary(real(FOLDER / "v7.3.4-reserve-mem.khocap"))
    assert not {"session", "memfd", "flb", "vmalloc", "block"} & set(empty.components)


def test_versions_and_counts_are_told() -> None:
    found = handed.summary(real(FOLDER / "v7.1.13-luo.khocap"))
    assert found.kexecs == 1
    assert found.versions["root"] == "kho-v3"
    assert found.versions["luo"] == "luo-v1"
    assert found.versions["session"] == "luo-session-v2"
    assert found.versions["memfd"] == "memfd-v2"
    assert found.versions["kexec-metadata"] == "1"
    assert handed.summary(real(FOLDER / "v6.17.13-kho-test.khocap")).kexecs is None


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
