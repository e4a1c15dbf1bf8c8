"""Flattened device trees (DTB version 17), read strictly and within bounds.

The layout is that of the devicetree specification and ``scripts/dtc/libfdt/fdt.h``. Payloads of
properties are returned as bytes: in a handover they are native endian (see `payload`).

Why no library: libfdt trusts the size in the header. Of a blob that is cut off, as debugfs shows
the root FDT from 6.19 on, pylibfdt 1.6.1 looks for names behind the bytes it was given, does not
find ``preserved-memory-map``, and has a bad structure for all nodes. Errors do not say where.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from khoci.format.errors import DecodeError
from khoci.format.memory import PAGE_SIZE, Memory, fetch

if TYPE_CHECKING:
    from khoci.format.errors import Place

MAGIC = b"\xd0\x0d\xfe\xed"
MAX_DEPTH = 32
_HEADER = struct.Struct(">10I")
_VERSION = 17
_BEGIN_NODE, _END_NODE, _PROP, _NOP, _END = 1, 2, 3, 4, 9


@dataclass(frozen=True, slots=True)
class Node:
    """A node with its properties and child nodes in the order of the tree."""

    name: str
    properties: tuple[tuple[str, bytes], ...] = ()
    children: tuple[Node, ...] = ()

    def get(self, name: str) -> bytes | None:
        """The value of the first property called ``name``."""
        return next((value for key, value in self.properties if key == name), None)

    def child(self, name: str) -> Node | None:
        """The first child called ``name``."""
        return next((node for node in self.children if node.name == name), None)


@dataclass(frozen=True, slots=True)
class Fdt:
    """A tree, and the bytes it takes in memory from the header on.

    One that is ``truncated`` has only the beginning of its nodes: see `parse_truncated`.
    """

    root: Node
    size: int
    truncated: bool = False


def read(memory: Memory, phys: int, place: Place, limit: int = PAGE_SIZE) -> Fdt:
    """Read the tree at ``phys``.

    Args:
        memory: of the guest.
        phys: physical address of the header.
        place: path of the tree, for errors.
        limit: the most bytes its header may claim.

    Raises:
        DecodeError: it is no valid tree, is not all in RAM, or is larger than ``limit``.
    """
    here = place.at(phys)
    size = _header(fetch(memory, phys, _HEADER.size, here), here).total_size
    if size > limit:
        raise here.error(f"the tree claims {size} bytes, more than {limit}")
    return parse(fetch(memory, phys, size, here), here)


def parse(data: bytes, place: Place) -> Fdt:
    """Parse a tree; bytes behind the size in its header are ignored.

    Raises:
        DecodeError: it is no valid tree.
    """
    header = _header(data, place)
    if header.total_size > len(data):
        raise place.error(f"the tree claims {header.total_size} bytes, there are {len(data)}")
    strings = data[header.strings : header.strings + header.strings_size]
    block = data[header.struct : header.struct + header.struct_size]
    return Fdt(_StructBlock(block, strings, header.struct, place).tree(), header.total_size)


def parse_truncated(data: bytes, place: Place) -> Fdt:
    """Parse a tree of which the end may be missing, as far as it goes.

    The strings are behind the structure, so they go first: a property whose name is cut off is
    called ``@`` and the offset of the name, such as ``@32``. What is left of a property that is cut
    off itself is dropped. A tree with all its bytes is parsed as `parse` does.

    Raises:
        DecodeError: what is there is wrong, or does not reach to the root node.
    """
    header = _header(data, place)
    if header.total_size <= len(data):
        return parse(data, place)
    strings = data[header.strings : header.strings + header.strings_size]
    block = data[header.struct : header.struct + header.struct_size]
    cut = len(block) < header.struct_size
    parts = _StructBlock(block, strings, header.struct, place, names_cut=True)
    return Fdt(parts.beginning() if cut else parts.tree(), header.total_size, truncated=True)


@dataclass(frozen=True, slots=True)
class _Header:
    total_size: int
    struct: int
    strings: int
    reserved: int
    strings_size: int
    struct_size: int


def _header(data: bytes, place: Place) -> _Header:
    if data[: len(MAGIC)] != MAGIC:
        raise place.error(f"no FDT: it begins with {data[:4].hex() or 'nothing'}")
    if len(data) < _HEADER.size:
        raise place.error("the FDT header is cut off")
    _, total, structs, strings, reserved, version, compatible, _, strings_size, struct_size = (
        _HEADER.unpack_from(data)
    )
    if version < _VERSION or compatible > _VERSION:
        raise place.error(f"FDT version {version}, compatible with {compatible}, is not 17")
    header = _Header(total, structs, strings, reserved, strings_size, struct_size)
    _check_bounds(header, place)
    return header


def _check_bounds(header: _Header, place: Place) -> None:
    parts = (
        ("structure", header.struct, header.struct_size, 4),
        ("strings", header.strings, header.strings_size, 1),
        ("memory reservations", header.reserved, 16, 8),
    )
    for name, start, size, alignment in parts:
        if start < _HEADER.size or start + size > header.total_size or start % alignment:
            raise place.error(f"the {name} block is outside the tree or not aligned")


class _CutOffError(DecodeError):
    """The structure block ends too soon."""


@dataclass(slots=True)
class _Open:
    """A node whose end has not been seen."""

    name: str
    properties: list[tuple[str, bytes]] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)

    def close(self) -> Node:
        return Node(self.name, tuple(self.properties), tuple(self.children))


class _StructBlock:
    """One pass over the structure block."""

    def __init__(
        self, block: bytes, strings: bytes, offset: int, place: Place, *, names_cut: bool = False
    ) -> None:
        self._names_cut = names_cut
        self._block = block
        self._strings = strings
        self._offset = offset
        self._root = place
        self._position = 0
        self._open: list[_Open] = []
        self._closed: Node | None = None

    def tree(self) -> Node:
        """The root node; the block has to end behind it."""
        while (token := self._token()) != _END:
            if self._closed is not None:
                raise self._here().error("a second root node or a property outside all nodes")
            self._step(token)
        if self._closed is None:
            raise self._here().error("the structure block ends inside a node")
        return self._closed

    def beginning(self) -> Node:
        """The root node of a block that is cut off, with all that is complete in it."""
        try:
            return self.tree()
        except _CutOffError:
            while self._open:
                self._close()
            if self._closed is None:
                raise
            return self._closed

    def _step(self, token: int) -> None:
        if token == _BEGIN_NODE:
            self._begin()
        elif token == _PROP and self._open:
            self._property(self._open[-1])
        elif token == _END_NODE and self._open:
            self._close()
        else:
            raise self._here().error(f"unexpected FDT token {token:#x}")

    def _begin(self) -> None:
        if len(self._open) == MAX_DEPTH:
            raise self._here().error(f"nodes are nested deeper than {MAX_DEPTH}")
        end = self._block.find(b"\0", self._position)
        if end < 0:
            raise self._cut_off("a node name has no end")
        name = _ascii(self._take(end + 1 - self._position)[:-1])
        self._open.append(_Open(name))

    def _property(self, node: _Open) -> None:
        if node.children:
            raise self._here().error("a property follows a child node")
        size, name = struct.unpack(">II", self._take(8))
        node.properties.append((self._string(name), self._take(size)))

    def _close(self) -> None:
        node = self._open.pop().close()
        if self._open:
            self._open[-1].children.append(node)
        else:
            self._closed = node

    def _token(self) -> int:
        while (token := int.from_bytes(self._take(4), "big")) == _NOP:
            pass
        return token

    def _take(self, size: int) -> bytes:
        """The next ``size`` bytes; the position moves on to the next multiple of 4."""
        start = self._position
        if start + size > len(self._block):
            raise self._cut_off("the structure block is cut off")
        self._position = (start + size + 3) & ~3
        return self._block[start : start + size]

    def _string(self, offset: int) -> str:
        end = self._strings.find(b"\0", offset)
        if offset >= len(self._strings) or end < 0:
            if self._names_cut:
                return f"@{offset}"
            raise self._here().error(f"no property name at offset {offset} of the strings")
        return _ascii(self._strings[offset:end])

    def _cut_off(self, message: str) -> _CutOffError:
        here = self._here()
        return _CutOffError(message, where=here.where, address=here.address)

    def _here(self) -> Place:
        names = "/".join(node.name for node in self._open if node.name)
        place = self._root / names if names else self._root
        if place.address is None:
            return place
        return place.at(place.address + self._offset + self._position)


def _ascii(name: bytes) -> str:
    return name.decode("ascii", "backslashreplace")
