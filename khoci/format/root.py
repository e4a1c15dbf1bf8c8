"""The root FDT of a handover: its version, the memory map, and who else left something.

``include/linux/kho/abi/kexec_handover.h`` (7.0 and later) and ``kernel/kexec_handover.c``,
``kernel/liveupdate/kexec_handover.c`` before. The blob of a user is named ``fdt`` up to 7.0 and
``preserved-data`` with ``blob-size`` from 7.1 on; both are read whatever the version says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from khoci.format import fdt, versions
from khoci.format.errors import Place
from khoci.format.memory import PAGE_SIZE, Memory
from khoci.format.payload import string
from khoci.format.versions import Version

if TYPE_CHECKING:
    from khoci.format.fdt import Node

MEMORY_MAP = "preserved-memory-map"
KNOWN = frozenset({Version("kho", 1), Version("kho", 3), Version("kho", 4)})
_CUT = "@"


@dataclass(frozen=True, slots=True)
class Subtree:
    """A user's blob: physical address and bytes, None where the node does not say it (rightly)."""

    name: str
    address: int | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Root:
    """The root FDT; ``memory_map`` is a physical address, None if the property is not a u64.

    Of a ``truncated`` one, subtrees at the end are missing, or do not say where their blob is.
    """

    version: Version
    memory_map: int | None
    subtrees: tuple[Subtree, ...]
    truncated: bool = False


def read(memory: Memory, phys: int, page_size: int = PAGE_SIZE) -> Root:
    """Read the root FDT's page at ``phys``.

    Raises:
        DecodeError: there is no valid tree, or it has no ``compatible``.
    """
    place = Place("root", phys)
    return parse(fdt.read(memory, phys, place, page_size).root, place)


def parse_blob(data: bytes, place: Place) -> Root:
    """Read a root FDT from a file, such as ``out/fdt`` of debugfs, which may be cut off.

    Raises:
        DecodeError: there is no valid beginning of a tree, or it has no ``compatible``.
    """
    tree = fdt.parse_truncated(data, place)
    if not tree.truncated:
        return parse(tree.root, place)
    return replace(parse(_named(tree.root), place), truncated=True)


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


def _named(root: Node) -> Node:
    """Give the properties back the names that are cut off.

    The two of the root are always written in this order. Of those of a subtree, ``kho_add_subtree``
    of 7.1 sets ``preserved-data`` before ``blob-size``: its name comes first in the strings.
    """
    names = zip((name for name, _ in root.properties), ("compatible", MEMORY_MAP), strict=False)
    named = _renamed(root, dict(names))
    old = named.get("compatible") == b"kho-v1\0"
    wanted = ("fdt",) if old else ("preserved-data", "blob-size")
    children = tuple(_renamed(node, _names(node, wanted)) for node in root.children)
    return replace(named, children=children)


def _names(node: Node, wanted: tuple[str, ...]) -> dict[str, str]:
    """What the cut off names are; nothing if not all of ``wanted`` are there."""
    cut = [name for name, _ in node.properties if name.startswith(_CUT)]
    missing = [name for name in wanted if node.get(name) is None]
    by_offset = sorted(cut, key=lambda name: (len(name), name))
    return dict(zip(by_offset, missing, strict=True)) if len(cut) == len(missing) else {}


def _renamed(node: Node, names: dict[str, str]) -> Node:
    properties = tuple(
        (names.get(name, name) if name.startswith(_CUT) else name, value)
        for name, value in node.properties
    )
    return replace(node, properties=properties)
