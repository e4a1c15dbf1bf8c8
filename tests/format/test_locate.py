from __future__ import annotations

import struct

import pytest

from khoci.format import locate
from khoci.format.blocks import Block, Blocks
from khoci.format.locate import Candidate, candidates, roots_among
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from tests.format import encoders
from tests.format.encoders import GIB, Image, node, setup_data

ROOT, OTHER, TREE = 0x1234_5000, 0x2234_5000, 0x300_0000
SCRATCH = Range(0x3FF_0000, 48)


def image(*roots: int) -> Image:
    made = Image()
    for address in roots:
        made.write(address, encoders.root_tree("kho-v4", 0, {}))
    return made


def cells(*numbers: int) -> bytes:
    return b"".join(struct.pack(">Q", number) for number in numbers)


def device_tree(fdt_addr: int) -> bytes:
    chosen = {
        "linux,kho-fdt": cells(fdt_addr, 4096),
        "linux,kho-scratch": cells(SCRATCH.start, SCRATCH.size),
    }
    two = {"#address-cells": b"\0\0\0\2", "#size-cells": b"\0\0\0\2"}
    cpus = node("cpus", {"padding": bytes(9000)})
    return encoders.fdt(node("", two, [cpus, node("chosen", chosen)]))


def test_nothing() -> None:
    assert candidates(Image().memory()) == ()


def test_a_page_alone() -> None:
    assert candidates(image(ROOT).memory()) == (Candidate(ROOT, None, ("its page",)),)


def test_by_setup_data() -> None:
    made = image(ROOT, OTHER)
    made.write(0x200_0838, setup_data(OTHER, *vars_of(SCRATCH)))
    assert candidates(made.memory()) == (
        Candidate(OTHER, SCRATCH, ("setup_data at 0x2000838", "its page")),
        Candidate(ROOT, None, ("its page",)),
    )


def vars_of(item: Range) -> tuple[int, int]:
    return item.start, item.size


def test_by_a_device_tree() -> None:
    made = image(ROOT)
    made.write(TREE, device_tree(ROOT))
    found = f"/chosen of the device tree at {TREE:#x}"
    assert candidates(made.memory()) == (Candidate(ROOT, SCRATCH, (found, "its page")),)


@pytest.mark.parametrize("target", [0, ROOT + 0x1000, GIB, 2**64 - 4096, 0x8])
def test_a_device_tree_that_points_to_no_root(target: int) -> None:
    made = image(ROOT)
    made.write(TREE, device_tree(target))
    assert candidates(made.memory()) == (Candidate(ROOT, None, ("its page",)),)


def test_hand_offs_that_disagree_are_two_candidates() -> None:
    made = image(ROOT)
    made.write(0x200_0000, setup_data(ROOT, *vars_of(SCRATCH)))
    made.write(0x300_0000, setup_data(ROOT, SCRATCH.start, 64))
    assert [item.scratch for item in candidates(made.memory())] == [
        SCRATCH,
        Range(SCRATCH.start, 64),
    ]


def test_other_trees_and_pages_are_no_roots() -> None:
    made = image()
    made.write(ROOT + 8, encoders.root_tree("kho-v4", 0, {}))
    made.write(OTHER, encoders.memblock_tree({}))
    made.write(TREE, encoders.fdt(node("", {"compatible": b"linux,dummy-virt\0"})))
    made.write(0x400_0000, encoders.root_tree("kho-v4", 0, {})[:60])
    assert candidates(made.memory()) == ()


def test_trees_that_claim_everything_cost_little() -> None:
    page = (b"\xd0\x0d\xfe\xed" + struct.pack(">I", locate.MAX_DEVICE_TREE)).ljust(4096, b"\0")
    pages = dict.fromkeys(range(0, 64 << 20, 4096), page)
    pages[ROOT] = encoders.root_tree("kho-v1", 0, {}).ljust(4096, b"\0")
    assert [item.fdt_addr for item in candidates(Pages((Range(0, GIB),), pages))] == [ROOT]


def test_roots_among_blocks() -> None:
    made = image(ROOT, OTHER, 0x2800_0000)
    blocks = Blocks.of([Block(ROOT, 0), Block(ROOT + 0x1000, 0), Block(0x2800_0000, 1)])
    assert roots_among(made.memory(), blocks) == (ROOT,)
    assert roots_among(made.memory(), Blocks.of([Block(ROOT + 0x1000, 0)])) == ()


def test_roots_among_blocks_outside_ram() -> None:
    made = image(ROOT)
    blocks = Blocks.of([Block(ROOT, 0), Block(GIB, 0), Block(2**64 - 4096, 0)])
    assert roots_among(made.memory(), blocks) == (ROOT,)
