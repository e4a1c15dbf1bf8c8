"""The root FDT of a handover: its version, the memory map, and who else left something.

``include/linux/kho/abi/kexec_handover.h`` (7.0 and later) and ``kho_out_fdt_setup`` or
``kho_out_update_debugfs_fdt`` before. The blob of a user is named ``fdt`` up to 7.0 and
``preserved-data`` with ``blob-size`` from 7.1 on; both are read whatever the version says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import fdt, versions
from khoci.format.errors import Place
from khoci.format.memory import PAGE_SIZE, Memory
from khoci.format.payload import string

if TYPE_CHECKING:
    from khoci.format.fdt import Node
    from khoci.format.versions import Version

MEMORY_MAP = "preserved-memory-map"


@dataclass(frozen=True, slots=True)
class Subtree:
    """A user's blob: physical address and bytes, None where the node does not say it (rightly)."""

    name: str
    address: int | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Root:
    """The root FDT; ``memory_map`` is a physical address, None if the property is not a u64."""

    version: Version
    memory_map: int | None
    subtrees: tuple[Subtree, ...]


def read(memory: Memory, phys: int, page_size: int = PAGE_SIZE) -> Root:
    """Read the root FDT's page at ``phys``.

    Raises:
        DecodeError: there is no valid tree, or it has no ``compatible``.
    """
    place = Place("root", phys)
    return parse(fdt.read(memory, phys, place, page_size).root, place)


def parse(root: Node, place: Place) -> Root:
    """Take the values from the tree; an unknown version is read as far as it looks known.

    Raises:
        DecodeError: the root node has no ``compatible``.
    """
    version = versions.parse(string(root, "compatible", place))
    return Root(version, _u64(root, MEMORY_MAP), tuple(_subtree(node) for node in root.children))


def _subtree(node: Node) -> Subtree:
    if node.get("preserved-data") is None:
        return Subtree(node.name, _u64(node, "fdt"), None)
    return Subtree(node.name, _u64(node, "preserved-data"), _u64(node, "blob-size"))


def _u64(node: Node, name: str) -> int | None:
    value = node.get(name)
    return int.from_bytes(value, "little") if value is not None and len(value) == 8 else None
