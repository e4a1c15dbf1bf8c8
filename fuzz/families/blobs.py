"""Single pieces of bytes: trees, version strings, the scratch array, the hand-off."""

from __future__ import annotations

import struct
from itertools import islice
from typing import TYPE_CHECKING

from fuzz import claims, mutate, seeds
from fuzz.family import Family
from fuzz.guest import Guest
from khoci.format import fdt, handoff, locate, root, scratch, versions
from khoci.format.blocks import Block, Blocks
from khoci.format.checks import check_map
from khoci.format.errors import Place
from tests.format import encoders
from tests.format.encoders import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from khoci.format.fdt import Node
    from khoci.format.ranges import Range
    from khoci.format.scratch import ScratchArea

_PLACE = Place("tree", 0x1000)
_FEW = 64


def _fdt(data: bytes) -> None:
    """A lenient reader takes what a strict one takes; and a tree can be written again."""
    lenient = fdt.parse_truncated(data, _PLACE)
    root.parse_blob(data, _PLACE)
    assert _depth(lenient.root) <= fdt.MAX_DEPTH, "deeper than allowed"
    if lenient.truncated:
        assert lenient.size > len(data), "cut off, with all its bytes"
    else:
        assert lenient.size <= len(data), "larger than its bytes"
        assert fdt.parse(data, _PLACE) == lenient, "a strict reader reads something else"
    again = fdt.parse(encoders.fdt(lenient.root), _PLACE)
    assert again.root == lenient.root, "written and read again"
    handoff.parse_chosen(lenient.root)


def _depth(node: Node) -> int:
    return 1 + max((_depth(child) for child in node.children), default=0)


def _trees() -> Iterator[bytes]:
    for whole in seeds.wholes():
        for address in (whole.fdt_addr, *(item.address for item in whole.root.subtrees)):
            blob = whole.memory.read(address or 0, 4096).rstrip(b"\0")
            if blob.startswith(fdt.MAGIC):
                yield blob.ljust(len(blob) + 8, b"\0")
                yield blob[: len(blob) // 2]
    yield _device_tree(0x1000)


def _versions(data: bytes) -> None:
    version = versions.parse(data.decode("ascii", "backslashreplace"))
    assert versions.parse(str(version)) == version, "written and read again"
    assert versions.unknown(version, root.KNOWN).startswith(str(version))


def _strings() -> Iterator[bytes]:
    for text in ("kho-v1", "luo-session-v2", "a-v1;b-v2", "", "-v1", "x-v01", "x-v1;", "kho-v4\n"):
        yield text.encode()


def _scratch(data: bytes) -> None:
    """The arguments are the words of the array, the pages hold addresses and orders of blocks."""
    guest = Guest.parse(data)
    memory, raw = guest.memory(), b"".join(map(encoders.u64, guest.args))
    areas = scratch.parse(raw, memory.ram, _PLACE)
    blocks = Blocks.of(islice(_blocks(guest), _FEW), guest.page_shift)
    problems = list(check_map(blocks, memory.ram, areas, _PLACE))
    claims.named(problems)
    found = {problem.kind for problem in problems}
    assert found == set(_kinds(blocks, memory.ram, areas)), "not what a plain loop finds"


def _blocks(guest: Guest) -> Iterator[Block]:
    for page in guest.pages.values():
        for number, order in struct.iter_unpack("<QQ", page):
            if not number and not order:
                break
            shift = guest.page_shift + order % (64 - guest.page_shift)
            yield Block(number & -1 << shift, shift - guest.page_shift, guest.page_shift)


def _kinds(blocks: Blocks, ram: Sequence[Range], areas: Sequence[ScratchArea]) -> Iterator[str]:
    end = 0
    for block in blocks:
        if block.phys < end:
            yield "overlap"
        end = max(end, block.range.end)
        if not any(item.contains(block.phys, block.size) for item in ram):
            yield "outside-ram"
        if any(area.size and area.range.overlaps(block.range) for area in areas):
            yield "in-scratch"


def _areas() -> Iterator[bytes]:
    blocks = ((0x1000, 0), (0x100_0000, 4), (0x200_0000, 9), (0x4000_0000, 0), (2**63, 20))
    for whole in seeds.wholes():
        records = b"".join(encoders.u64(phys) + encoders.u64(order) for phys, order in blocks)
        page = bytearray(records.ljust(4096, b"\0"))
        yield Guest(list(whole.memory.ram), {0: page}, whole.arguments[1:]).pack()


def _handoff(data: bytes) -> None:
    guest = Guest.parse(data)
    memory = guest.memory()
    found = locate.candidates(memory)
    pages = len(guest.pages) << (guest.page_shift - 12)
    assert len({item.fdt_addr for item in found}) <= pages, "more roots than pages"
    for item in found:
        assert handoff.is_root(memory, item.fdt_addr), "no root, and found"
        assert item.found, "found, and nobody knows how"
    for pointer in handoff.find_handoffs(memory):
        assert pointer.fdt_addr in {item.fdt_addr for item in found}, "a hand-off is forgotten"


def _pointers() -> Iterator[bytes]:
    for whole in seeds.wholes():
        image = Image(whole.memory.ram, free=0x300_0000)
        image.write(whole.fdt_addr, whole.memory.read(whole.fdt_addr, 4096))
        image.put(bytes(24) + encoders.setup_data(whole.fdt_addr))
        image.put(_device_tree(whole.fdt_addr))
        yield Guest.of(image.memory(), []).pack()


def _device_tree(fdt_addr: int) -> bytes:
    """As arm64 has it: big-endian cells, two for an address and two for a size."""
    properties = {
        "linux,kho-fdt": struct.pack(">QQ", fdt_addr, 4096),
        "linux,kho-scratch": struct.pack(">QQ", 0x3FF_0000, 48),
    }
    cells = {"#address-cells": b"\0\0\0\2", "#size-cells": b"\0\0\0\2"}
    return encoders.fdt(encoders.node("", cells, [encoders.node("chosen", properties)]))


FAMILIES = (
    Family("fdt", _fdt, _trees, mutate.plain),
    Family("versions", _versions, _strings, mutate.plain),
    Family("handoff", _handoff, _pointers, mutate.guest),
    Family("scratch", _scratch, _areas, mutate.guest),
)
