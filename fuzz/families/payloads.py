"""What components leave behind: each known subtree, decoded alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fuzz import claims, mutate, seeds
from fuzz.family import Family
from fuzz.guest import Guest
from khoci.format import handover, vmalloc
from khoci.format.errors import Place
from khoci.format.memory import PAGE_SHIFT
from khoci.format.ranges import Range
from khoci.format.root import Root, Subtree
from khoci.format.versions import parse as version
from tests.format import encoders
from tests.format.encoders import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.memory import Memory

_ROOTS = ("kho-v1", "kho-v3", "kho-v4", "kho-v9")


def _component(name: str, data: bytes) -> None:
    """The arguments: address and size of the blob, the map's pointer, and the root's version."""
    guest = Guest.parse(data)
    _decode(name, guest, guest.memory())


def _decode(name: str, guest: Guest, memory: Memory) -> None:
    address, size, pointer, number = (guest.arg(index) for index in range(4))
    subtree = Subtree(name, address, size or None)
    root = Root(version(_ROOTS[number % len(_ROOTS)]), pointer, (subtree,))
    found = handover.decode_root(memory, root, page_shift=guest.page_shift)
    claims.handover(found, memory)


def _subtrees(name: str) -> Iterator[bytes]:
    for whole in seeds.wholes():
        root = whole.root
        for item in root.subtrees:
            if item.name == name:
                number = _ROOTS.index(str(root.version))
                pointer = root.memory_map or 0
                args = [item.address or 0, item.size or 0, pointer, number]
                guest = Guest.of(whole.memory, args)
                yield seeds.read_by(partial(_decode, name, guest), whole.memory, args)


def _vmalloc(data: bytes) -> None:
    """The arguments: the two words of a descriptor, and bytes of content to read."""
    guest = Guest.parse(data)
    memory, place = guest.memory(), Place("vmalloc")
    raw = encoders.u64(guest.arg(0)) + encoders.u64(guest.arg(1))
    descriptor = vmalloc.parse(raw, place)
    area = vmalloc.read(memory, descriptor, place, guest.page_shift)
    assert len(area.runs) << area.order == descriptor.total_pages, "other pages than promised"
    claims.apart(area.owned)
    size = min(guest.arg(2) % (1 << 20), area.size)
    assert len(vmalloc.content(memory, area, size, place)) == size
    if guest.page_shift == PAGE_SHIFT:
        image = Image(memory.ram, free=1 << 50)
        first, _ = encoders.vmalloc_chunks(image, area.runs.tolist())
        image.ram = (*memory.ram, Range(1 << 50, 1 << 30))
        again = vmalloc.read(image.memory(), replace(descriptor, first=first), place)
        assert np.array_equal(again.runs, area.runs), "written and read again"


def _areas() -> Iterator[bytes]:
    for order, size in ((0, 100), (0, 3 << 12), (2, 70 << 12), (0, 511 << 12)):
        image = Image()
        raw, _ = encoders.vmalloc_area(image, b"\x77" * size, order)
        words = [int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")]
        yield Guest.of(image.memory(), [*words, size]).pack()


FAMILIES = (
    Family("vmalloc", _vmalloc, _areas, mutate.guest),
    *(
        Family(short, partial(_component, name), partial(_subtrees, name), mutate.guest)
        for short, name in (
            ("kho_test", "kho_test"),
            ("reserve_mem", "memblock"),
            ("luo", "LUO"),
            ("metadata", "kexec-metadata"),
        )
    ),
)
