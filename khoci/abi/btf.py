"""Layouts of structs from BTF, as a kernel's image may carry it (Documentation/bpf/btf.rst). Pure.

The format is a table of small records, and no kept library reads it in Python.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from khoci.abi.model import Field, Layout
from khoci.format.errors import Place

SECTION = ".BTF"
_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_ARRAY = struct.Struct("<III")
_INT, _PTR, _ARRAY_KIND, _STRUCT, _UNION, _ENUM, _ENUM64 = 1, 2, 3, 4, 5, 6, 19
_FORWARD = 7
_NAMED = frozenset({8, 9, 10, 11, 18})
"""Typedef, volatile, const, restrict and type tag: other names of a type."""
_EXTRA = {_INT: 4, 14: 4, 17: 4}
_EACH = {_STRUCT: 12, _UNION: 12, _ENUM: 8, 13: 8, 15: 12, _ENUM64: 12}
_DEEPEST = 16
_MOST_FIELDS = 2000
_SIGNED, _CHAR, _BOOL = 1, 2, 4


@dataclass(frozen=True, slots=True)
class _Record:
    name: str
    kind: int
    size: int
    bits: bool
    extra: bytes


class Types:
    """The types of a BTF section.

    Raises:
        DecodeError: it is none, or cut off.
    """

    def __init__(self, data: bytes) -> None:
        place = Place(SECTION)
        if len(data) < _HEADER.size:
            raise place.error("is shorter than its header")
        magic, _, _, head, types, types_size, names, names_size = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise place.error(f"begins with {magic:#x}")
        if head + max(types + types_size, names + names_size) > len(data):
            raise place.error("is cut off")
        self._names = data[head + names : head + names + names_size]
        self._all = [_Record("", 0, 0, False, b"")]
        self._all += self._records(data[head + types : head + types + types_size])

    def layouts(self, wanted: frozenset[str]) -> dict[str, Layout]:
        """The layouts of the structs ``wanted`` that are there."""
        return {
            record.name: Layout(record.size, self._all_fields(record))
            for record in self._all
            if record.kind in (_STRUCT, _UNION) and record.name in wanted
        }

    def _all_fields(self, of: _Record) -> tuple[Field, ...]:
        found = tuple(islice(self._fields(of, "", 0, 0), _MOST_FIELDS + 1))
        if len(found) > _MOST_FIELDS:
            raise Place(SECTION).error(f"struct {of.name} has more than {_MOST_FIELDS} members")
        return found

    def _records(self, data: bytes) -> Iterator[_Record]:
        at = 0
        while at + _TYPE.size <= len(data):
            name, info, size = _TYPE.unpack_from(data, at)
            at += _TYPE.size
            kind, count = info >> 24 & 0x1F, info & 0xFFFF
            length = _EXTRA.get(kind, 0) + _EACH.get(kind, 0) * count
            length += _ARRAY.size if kind == _ARRAY_KIND else 0
            if at + length > len(data):
                raise Place(SECTION).error("a type is cut off")
            yield _Record(self._name(name), kind, size, bool(info >> 31), data[at : at + length])
            at += length

    def _name(self, at: int) -> str:
        end = self._names.find(b"\0", at)
        return self._names[at : max(end, at)].decode("utf-8", "replace")

    def _of(self, number: int) -> _Record:
        for _ in range(_DEEPEST):
            if not 0 <= number < len(self._all):
                raise Place(SECTION).error(f"there is no type {number}")
            record = self._all[number]
            if record.kind not in _NAMED:
                return record
            number = record.size
        raise Place(SECTION).error(f"type {number} has too many names")

    def _fields(self, of: _Record, prefix: str, offset: int, depth: int) -> Iterator[Field]:
        _check_depth(depth)
        for name_at, number, where in _MEMBER.iter_unpack(of.extra):
            name = self._name(name_at)
            bits, first = (where >> 24, where & 0xFFFFFF) if of.bits else (0, where)
            record = self._of(number)
            inside = record.kind in (_STRUCT, _UNION) and not record.name and record.extra
            if inside and self._address(record) is None:
                inner = f"{prefix}{name}." if name else prefix
                yield from self._fields(record, inner, offset + first // 8, depth + 1)
                continue
            yield self._field(f"{prefix}{name}", record, offset * 8 + first, bits)

    def _field(self, name: str, record: _Record, first: int, bits: int) -> Field:
        size = self._size(record)
        text, to = self._described(record)
        if not bits:
            return Field(name, first // 8, size, text, to)
        unit = max(size, 1) * 8
        return Field(name, first // unit * size, size, text, to, first % unit, bits)

    def _described(self, record: _Record, depth: int = 0) -> tuple[str, str]:
        _check_depth(depth)
        address = self._address(record)
        if address is not None:
            return "u64", address
        if record.kind == _ARRAY_KIND:
            element, _, count = _ARRAY.unpack(record.extra)
            text, to = self._described(self._of(element), depth + 1)
            return f"{text}[{count}]", to
        return self._plain(record), ""

    def _plain(self, record: _Record) -> str:
        """A type that is no address and no array, or stands for one that is led to."""
        if record.kind in (_STRUCT, _UNION):
            word = "struct" if record.kind == _STRUCT else "union"
            return f"{word} {record.name or '{}'}"
        if record.kind == _FORWARD:
            return f"{'union' if record.bits else 'struct'} {record.name}"
        if record.kind == _INT:
            return self._integer(record)
        if record.kind in (_PTR, _ARRAY_KIND):
            return "u64"
        return f"u{record.size * 8}" if record.kind else "void"

    @staticmethod
    def _integer(record: _Record) -> str:
        encoding = struct.unpack("<I", record.extra)[0] >> 24 & 0xF
        if record.name == "char":
            return "char"
        if encoding & _BOOL:
            return "bool"
        return f"{'s' if encoding & _SIGNED else 'u'}{record.size * 8}"

    def _address(self, record: _Record) -> str | None:
        """What an address leads to: of a pointer, or a union of a ``u64`` with one; else None."""
        if record.kind == _PTR:
            return self._plain(self._of(record.size))
        if record.kind != _UNION or record.size != 8:
            return None
        members = [self._of(number) for _, number, _ in _MEMBER.iter_unpack(record.extra)]
        kinds = sorted(member.kind for member in members)
        if kinds != [_INT, _PTR]:
            return None
        pointer = next(member for member in members if member.kind == _PTR)
        return self._plain(self._of(pointer.size))

    def _size(self, record: _Record, depth: int = 0) -> int:
        _check_depth(depth)
        if record.kind == _PTR:
            return 8
        if record.kind == _ARRAY_KIND:
            element, _, count = _ARRAY.unpack(record.extra)
            return self._size(self._of(element), depth + 1) * int(count)
        return record.size


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST:
        raise Place(SECTION).error(f"a type is nested more than {_DEEPEST} deep")
