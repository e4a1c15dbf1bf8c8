"""The head of the ``LUO`` subtree (live update orchestrator): version, number, sessions, FLBs.

An FDT in 6.19 to 7.1 (``kernel/liveupdate/luo_core.c``, ``include/linux/kho/abi/luo.h``) and
``struct luo_ser`` of 32 bytes from 7.2 on, told apart by how the blob begins. What a reader does
not understand of it is a panic. 7.0 and 7.1 want the node of the FLBs, which 6.19 does not write
under the same version.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from khoci.format import fdt, versions
from khoci.format.memory import Memory, fetch
from khoci.format.payload import string, text, u64
from khoci.format.versions import Version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from khoci.format.errors import Place
    from khoci.format.fdt import Node

STRUCT_SIZE = 32
_STRUCT = struct.Struct("<8sQQQ")


class Shape(Enum):
    """How the head is written; each version is one of them."""

    FDT = "fdt"
    STRUCT = "struct"


_SHAPES = {Version("luo", 1): Shape.FDT, Version("luo", 5): Shape.STRUCT}
KNOWN = frozenset(_SHAPES)


@dataclass(frozen=True, slots=True)
class Luo:
    """The head; of an unknown version nothing else is read.

    Attributes:
        version: of all of it.
        shape: how it is written.
        number: counts live updates.
        sessions_at: physical address of the array of sessions or of their first block, 0 if there
            are none.
        flbs_at: physical address of the page of FLBs, None or 0 if there is none.
        session_version: of the array, None in a struct.
        flb_version: of the page, None in a struct, and where there is none.
        sessions: how many there are, None if they could not be read.
    """

    version: Version
    shape: Shape
    number: int | None = None
    sessions_at: int | None = None
    flbs_at: int | None = None
    session_version: Version | None = None
    flb_version: Version | None = None
    sessions: int | None = None


def read(
    memory: Memory, phys: int, place: Place, meant: Mapping[Version, Version] | None = None
) -> Luo:
    """Read the blob at ``phys``; the sessions are not counted yet.

    Versions that are in ``meant`` have the format of another one; see `Known`.

    Raises:
        DecodeError: it is cut off, or a property is missing.
    """
    here = place.at(phys)
    if fetch(memory, phys, 4, here) == fdt.MAGIC:
        return _from_fdt(fdt.read(memory, phys, place).root, here, meant or {})
    return _from_struct(fetch(memory, phys, STRUCT_SIZE, here), meant or {})


def _from_fdt(root: Node, place: Place, meant: Mapping[Version, Version]) -> Luo:
    version = versions.parse(string(root, "compatible", place))
    if _SHAPES.get(meant.get(version, version)) is not Shape.FDT:
        return Luo(version, Shape.FDT)
    number = u64(root, "liveupdate-number", place)
    sessions, session_version = _node(root, "luo-session", place)
    if root.child("luo-flb") is None:
        return Luo(version, Shape.FDT, number, sessions, None, session_version)
    flbs, flb_version = _node(root, "luo-flb", place)
    return Luo(version, Shape.FDT, number, sessions, flbs, session_version, flb_version)


def _node(root: Node, name: str, place: Place) -> tuple[int, Version]:
    """The address that the node ``name`` has in ``name``-header, and its version."""
    node, here = root.child(name), place / name
    if node is None:
        raise here.error("the node is missing")
    version = versions.parse(string(node, "compatible", here))
    return u64(node, f"{name}-header", here), version


def _from_struct(raw: bytes, meant: Mapping[Version, Version]) -> Luo:
    compatible, number, sessions, flbs = _STRUCT.unpack(raw)
    version = versions.parse(text(compatible))
    if _SHAPES.get(meant.get(version, version)) is not Shape.STRUCT:
        return Luo(version, Shape.STRUCT)
    return Luo(version, Shape.STRUCT, number, sessions, flbs)
