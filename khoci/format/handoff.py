"""The hand-off: where the next kernel learns of the handover. The same in all releases.

On x86 a ``struct setup_data`` of type ``SETUP_KEXEC_KHO`` with a ``struct kho_data``
(``arch/x86/include/uapi/asm/setup_data.h``), in the kexec segment of the boot parameters. When
the producer is at ``machine_kexec`` the segments lie in scattered source pages, so the node is
found by its content.

On arm64 two properties of ``/chosen`` in the device tree, ``linux,kho-fdt`` and
``linux,kho-scratch``: written by ``drivers/of/kexec.c``, read by ``drivers/of/fdt.c``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import fdt, scratch, versions
from khoci.format.errors import DecodeError, Place
from khoci.format.memory import PAGE_SIZE, Memory, fetch
from khoci.format.payload import string

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from khoci.format.fdt import Node

SETUP_KEXEC_KHO = 10
NODE_SIZE = 48
_NODE = struct.Struct("<QIIQQQQ")
_PAYLOAD_SIZE = 32
_TYPE_OFFSET = 8
_MARK = struct.pack("<II", SETUP_KEXEC_KHO, _PAYLOAD_SIZE)
_WINDOW = 8 << 20
_CELL = 4
_MAX_CELLS = 4
_MAX_ROOT = 1 << 16
"""Bytes: released kernels hand over one page, another one may hand over more."""
_ADDRESS_CELLS, _SIZE_CELLS = 1, 1


@dataclass(frozen=True, slots=True)
class SetupData:
    """The node as it is: addresses and sizes in bytes, ``next`` 0 at the end of the list."""

    next: int
    fdt_addr: int
    fdt_size: int
    scratch_addr: int
    scratch_size: int


@dataclass(frozen=True, slots=True)
class Handoff:
    """What the next kernel is told, and the physical addresses where that was seen."""

    fdt_addr: int
    scratch_addr: int
    scratch_size: int
    seen: tuple[int, ...]


def parse(raw: bytes, place: Place) -> SetupData:
    """Parse one node of 48 bytes.

    Raises:
        DecodeError: it is too short, or not of the type and length of a KHO node.
    """
    if len(raw) < NODE_SIZE:
        raise place.error(f"a KHO setup_data node has {NODE_SIZE} bytes, there are {len(raw)}")
    successor, kind, length, *payload = _NODE.unpack_from(raw)
    if (kind, length) != (SETUP_KEXEC_KHO, _PAYLOAD_SIZE):
        raise place.error(f"setup_data of type {kind} and {length} bytes is not KHO's")
    return SetupData(successor, *payload)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What ``/chosen`` says, in bytes: the two properties, as addresses and sizes."""

    fdt_addr: int
    fdt_size: int
    scratch_addr: int
    scratch_size: int


def parse_chosen(root: Node) -> Chosen | None:
    """Read a device tree as arm64 does; None where the kernel boots as without a handover.

    It wants both properties, each of exactly one address and one size. Their big-endian cells are
    counted by the root node (``#address-cells``, ``#size-cells``). Of more than two cells only the
    last two count. 6.16 counts the cells of a size as those of an address: a difference only
    where the two are not equal, and these are.
    """
    chosen = root.child("chosen") or root.child("chosen@0")
    cells = _cells(root, "#address-cells", _ADDRESS_CELLS), _cells(root, "#size-cells", _SIZE_CELLS)
    if chosen is None:
        return None
    tree = _address_and_size(chosen.get("linux,kho-fdt"), cells)
    areas = _address_and_size(chosen.get("linux,kho-scratch"), cells)
    return Chosen(*tree, *areas) if tree and areas else None


def _cells(root: Node, name: str, default: int) -> int:
    value = root.get(name)
    if value is None or len(value) < _CELL:
        return default
    return min(int.from_bytes(value[:_CELL], "big"), _MAX_CELLS)


def _address_and_size(value: bytes | None, cells: tuple[int, int]) -> tuple[int, int] | None:
    middle = cells[0] * _CELL
    if not value or len(value) != sum(cells) * _CELL:
        return None
    return _number(value[:middle]), _number(value[middle:])


def _number(cells: bytes) -> int:
    return int.from_bytes(cells[-2 * _CELL :], "big")


def find_handoffs(memory: Memory) -> list[Handoff]:
    """Search all data for nodes that point to a root FDT; equal ones are one hand-off.

    Those whose scratch array could be one are preferred: others are taken only if there is none.
    A node that straddles two pages of which the second went elsewhere is not found.
    """
    seen: dict[tuple[int, int, int], list[int]] = {}
    for address in _marks(memory):
        node = _plausible(memory, address)
        if node:
            key = (node.fdt_addr, node.scratch_addr, node.scratch_size)
            seen.setdefault(key, []).append(address)
    found = [Handoff(*key, seen=tuple(addresses)) for key, addresses in seen.items()]
    likely = [item for item in found if _is_scratch_size(item.scratch_size)]
    return likely or found


def locate(memory: Memory, stale: Collection[int] = ()) -> Handoff | None:
    """The hand-off in ``memory``, None if there is none.

    Args:
        memory: of a kernel at the jump.
        stale: addresses where one was seen before: what this kernel itself was told.

    Raises:
        DecodeError: there are several that say different things.
    """
    found = [item for item in find_handoffs(memory) if not set(item.seen) <= set(stale)]
    if len(found) > 1:
        addresses = ", ".join(f"{item.seen[0]:#x}" for item in found)
        place = Place("setup_data", found[0].seen[0])
        raise place.error(f"{len(found)} hand-offs disagree (at {addresses})")
    return found[0] if found else None


def _marks(memory: Memory) -> Iterator[int]:
    """Addresses of all 8-byte aligned nodes by type and length, in ascending order."""
    for extent in memory.data():
        for start in range(extent.start, extent.end, _WINDOW):
            size = min(_WINDOW + NODE_SIZE - 1, extent.end - start)
            yield from _marks_in(memory.read(start, size), start)


def _marks_in(window: bytes, start: int) -> Iterator[int]:
    last = min(_WINDOW, len(window) - NODE_SIZE + 1)
    position = window.find(_MARK)
    while position >= 0:
        offset = position - _TYPE_OFFSET
        if 0 <= offset < last and (start + offset) % 8 == 0:
            yield start + offset
        position = window.find(_MARK, position + 1)


def _plausible(memory: Memory, address: int) -> SetupData | None:
    try:
        node = parse(memory.read(address, NODE_SIZE), Place("setup_data", address))
        if node.fdt_size in range(PAGE_SIZE, _MAX_ROOT + 1, PAGE_SIZE):
            return node if is_root(memory, node.fdt_addr) else None
    except DecodeError:
        pass
    return None


def _is_scratch_size(size: int) -> bool:
    return size in range(scratch.ENTRY_SIZE, scratch.MAX_AREAS * 16 + 1, scratch.ENTRY_SIZE)


def is_root(memory: Memory, phys: int) -> bool:
    """Whether the page at ``phys`` holds a tree of compatible ``kho-v*``.

    Raises:
        DecodeError: it holds a broken tree, or is not RAM.
    """
    place = Place("root", phys)
    if phys % PAGE_SIZE or fetch(memory, phys, 4, place) != fdt.MAGIC:
        return False
    compatible = string(fdt.read(memory, phys, place).root, "compatible", place)
    version = versions.parse(compatible)
    return version.name == "kho" and version.number is not None
