from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.format import handoff
from khoci.format.errors import DecodeError, Place
from khoci.format.handoff import Chosen, Handoff, SetupData, find_handoffs, locate
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from tests.format import encoders
from tests.format.encoders import GIB, Image

if TYPE_CHECKING:
    from khoci.format.fdt import Node

ROOT = 0x1234_5000
SCRATCH = 0x3FF_0000


def image(version: str = "kho-v1") -> Image:
    made = Image()
    made.write(ROOT, encoders.root_tree(version, 0, {}))
    return made


def test_parse_one_node() -> None:
    raw = encoders.u64(0x77) + encoders.setup_data(ROOT, SCRATCH, 48)[8:]
    expected = SetupData(0x77, ROOT, 4096, SCRATCH, 48)
    assert handoff.parse(raw + b"more", Place("setup_data")) == expected


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (encoders.setup_data(ROOT)[:-1], "has 48 bytes, there are 47"),
        (bytes(8) + b"\x09" + encoders.setup_data(ROOT)[9:], "of type 9 and 32 bytes"),
        (bytes(48), "of type 0 and 0 bytes"),
    ],
)
def test_parse_refuses_other_nodes(raw: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        handoff.parse(raw, Place("setup_data"))


@pytest.mark.parametrize("version", ["kho-v1", "kho-v4", "kho-v99"])
def test_copies_are_one_handoff(version: str) -> None:
    made = image(version)
    for address in (0x200_0838, 0x300_0000, 0x300_0FC8):
        made.write(address, encoders.setup_data(ROOT))
    expected = Handoff(ROOT, SCRATCH, 48, seen=(0x200_0838, 0x300_0000, 0x300_0FC8))
    assert locate(made.memory()) == expected


def test_nothing_to_find() -> None:
    assert locate(image().memory()) is None
    assert find_handoffs(Pages((Range(0, GIB),), {})) == []


@pytest.mark.parametrize(
    "node",
    [
        encoders.setup_data(0),
        encoders.setup_data(ROOT + 8),
        encoders.setup_data(ROOT + 0x1000),
        encoders.setup_data(2**64 - 4096),
        encoders.setup_data(GIB),
        encoders.setup_data(ROOT, fdt_size=4095),
        encoders.setup_data(ROOT, fdt_size=1 << 20),
    ],
)
def test_implausible_payloads_are_skipped(node: bytes) -> None:
    made = image()
    made.write(0x200_0000, node)
    assert locate(made.memory()) is None


def test_a_root_may_have_several_pages() -> None:
    made = image()
    made.write(0x200_0000, encoders.setup_data(ROOT, fdt_size=8192))
    found = locate(made.memory())
    assert found is not None
    assert found.fdt_addr == ROOT


@pytest.mark.parametrize("size", [0, 40, 2**40])
def test_a_scratch_array_of_no_size_that_is_one_is_taken_where_there_is_no_better(
    size: int,
) -> None:
    made = image()
    made.write(0x200_0000, encoders.setup_data(ROOT, scratch_size=size))
    odd = locate(made.memory())
    assert odd is not None
    assert (odd.fdt_addr, odd.scratch_size) == (ROOT, size)
    made.write(0x300_0000, encoders.setup_data(ROOT, scratch_size=64))
    better = locate(made.memory())
    assert better is not None
    assert better.scratch_size == 64


def test_what_was_seen_before_is_not_handed_over_now() -> None:
    made = image()
    made.write(0x200_0000, encoders.setup_data(ROOT, scratch_size=64))
    assert locate(made.memory(), stale=[0x200_0000]) is None
    made.write(0x300_0000, encoders.setup_data(ROOT, scratch_size=64))
    found = locate(made.memory(), stale=[0x200_0000])
    assert found is not None
    assert found.seen == (0x200_0000, 0x300_0000)


@pytest.mark.parametrize("compatible", ["kexec", "kho", "kho-vx", "luo-v1"])
def test_a_tree_of_another_kind_is_no_root(compatible: str) -> None:
    made = image(compatible)
    made.write(0x200_0000, encoders.setup_data(ROOT))
    assert locate(made.memory()) is None


def test_an_unaligned_copy_and_one_that_is_cut_off_by_its_extent_are_skipped() -> None:
    made = image()
    made.write(0x200_0004, encoders.setup_data(ROOT))
    made.write(0x300_0FE8, encoders.setup_data(ROOT)[:24])
    assert locate(made.memory()) is None


def test_copies_that_disagree() -> None:
    made = image()
    made.write(0x200_0000, encoders.setup_data(ROOT))
    made.write(0x300_0000, encoders.setup_data(ROOT, scratch_size=64))
    assert len(find_handoffs(made.memory())) == 2
    with pytest.raises(DecodeError, match=r"2 hand-offs disagree .*0x2000000, 0x3000000"):
        locate(made.memory())


@given(st.integers(-12, 4).map(lambda step: step * 8))
def test_windows_neither_lose_nor_double_a_node(shift: int) -> None:
    pages = {address: bytes(4096) for address in range(0, 0x4000, 4096)}
    pages[0x8000] = encoders.root_tree("kho-v1", 0, {}).ljust(4096, b"\0")
    content = bytearray(0x4000)
    content[0x2000 + shift : 0x2030 + shift] = encoders.setup_data(0x8000)
    for address in range(0, 0x4000, 4096):
        pages[address] = bytes(content[address : address + 4096])
    memory = Pages((Range(0, 0x10000),), pages)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handoff, "_WINDOW", 0x1000)
        assert [item.seen for item in find_handoffs(memory)] == [(0x2000 + shift,)]


def test_a_search_of_many_megabytes_is_quick() -> None:
    page = bytes(range(256)) * 16
    pages = dict.fromkeys(range(0, 64 << 20, 4096), page)
    pages[ROOT] = encoders.root_tree("kho-v1", 0, {}).ljust(4096, b"\0")
    pages[0x200_0000] = bytes(0x838) + encoders.setup_data(ROOT) + bytes(4096 - 0x838 - 48)
    found = locate(Pages((Range(0, GIB),), pages))
    assert found is not None
    assert found.seen == (0x200_0838,)


def chosen(
    name: str = "chosen",
    cells: tuple[int, int] | None = (2, 2),
    fdt: bytes | None = None,
    scratch: bytes | None = None,
) -> Node:
    """A device tree as arm64 is given."""
    values = {
        "linux,kho-fdt": be(ROOT, 2) + be(4096, 2) if fdt is None else fdt,
        "linux,kho-scratch": be(SCRATCH, 2) + be(48, 2) if scratch is None else scratch,
    }
    numbers = {"#address-cells": be(cells[0], 1), "#size-cells": be(cells[1], 1)} if cells else {}
    kept = {key: value for key, value in values.items() if value != b"none"}
    return encoders.node("", numbers, [encoders.node(name, kept)])


def be(number: int, cells: int) -> bytes:
    return number.to_bytes(cells * 4, "big")


@pytest.mark.parametrize("name", ["chosen", "chosen@0"])
def test_the_hand_off_of_arm64(name: str) -> None:
    expected = Chosen(ROOT, 4096, SCRATCH, 48)
    assert handoff.parse_chosen(chosen(name)) == expected


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_cells_are_counted_by_the_root(address: int, size: int) -> None:
    areas = be(SCRATCH, 2) + be(48, 1)
    tree = chosen(cells=(2, 1), fdt=be(address, 2) + be(size, 1), scratch=areas)
    found = handoff.parse_chosen(tree)
    assert found == Chosen(address, size, SCRATCH, 48)


def test_without_numbers_of_cells_they_are_1_and_1() -> None:
    areas = be(SCRATCH, 1) + be(48, 1)
    tree = chosen(cells=None, fdt=be(ROOT, 1) + be(4096, 1), scratch=areas)
    found = handoff.parse_chosen(tree)
    assert found == Chosen(ROOT, 4096, SCRATCH, 48)


def test_more_cells_than_a_number_has() -> None:
    value = be(2**80 + 7, 3) + be(4096, 3)
    found = handoff.parse_chosen(chosen(cells=(3, 3), fdt=value, scratch=value))
    assert found == Chosen(7, 4096, 7, 4096)


@pytest.mark.parametrize("wrong", [b"none", b"", bytes(8), bytes(15), bytes(20), bytes(32)])
def test_what_the_kernel_ignores(wrong: bytes) -> None:
    assert handoff.parse_chosen(chosen(fdt=wrong)) is None
    assert handoff.parse_chosen(chosen(scratch=wrong)) is None


@pytest.mark.parametrize(
    "tree",
    [
        encoders.node(""),
        encoders.node("", {}, [encoders.node("choosen")]),
        encoders.node("", {"#address-cells": b"\xff" * 4}, [encoders.node("chosen")]),
        chosen(cells=(0, 0), fdt=b"", scratch=b""),
    ],
)
def test_trees_without_a_hand_off(tree: Node) -> None:
    assert handoff.parse_chosen(tree) is None
