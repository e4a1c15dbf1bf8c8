"""Layouts and values from the object of a probe, or layouts from any object with DWARF.

pyelftools reads it: pure Python, and kept. ``pahole`` and ``libclang`` would be one more program or
library of the system; a probe has a few dozen types, which take no time in Python either.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from elftools.common.exceptions import DWARFError, ELFError
from elftools.dwarf.die import DIE
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from khoci.abi.model import Field, Layout, Value
from khoci.abi.probe import NUMBER, STRUCT, plain_name, symbol_of
from khoci.errors import HarnessError

_NAMED = ("DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type")
_AGGREGATES = {"DW_TAG_structure_type": "struct", "DW_TAG_union_type": "union"}
_UNSIGNED = (2, 7, 8)
"""Encodings of DWARF: boolean, unsigned, unsigned char."""
_LONGEST_STRING = 4096

Found = dict[tuple[str, int], Value | Layout]
"""Values and layouts by name and size of a page in log2."""


def read_probe(file: IO[bytes], name: str) -> Found:
    """What the object of a probe says.

    Raises:
        HarnessError: it is no object, or its debug information cannot be read; ``name`` is whose.
    """
    try:
        elf = ELFFile(file)
        return {**_values(elf), **_layouts(elf)}
    except (ELFError, DWARFError, KeyError, IndexError, ValueError) as error:
        raise HarnessError(f"{name}: the probe's object cannot be read: {error}") from error


def layouts_in(file: IO[bytes], wanted: frozenset[str], name: str) -> dict[str, Layout]:
    """The layouts of the structs ``wanted`` that an object or a vmlinux has.

    Raises:
        HarnessError: it has no debug information, or none that can be read; ``name`` is whose.
    """
    try:
        elf = ELFFile(file)
        if not elf.has_dwarf_info(strict=True):
            raise HarnessError(f"{name}: has no debug information")
        found: dict[str, Layout] = {}
        for unit in elf.get_dwarf_info().iter_CUs():
            for entry in unit.get_top_DIE().iter_children():
                tag = _name(entry)
                if tag in wanted and _is_complete_struct(entry):
                    found[tag] = _layout(entry)
        return found
    except (ELFError, DWARFError, KeyError, IndexError, ValueError) as error:
        raise HarnessError(f"{name}: its debug information cannot be read: {error}") from error


def _is_complete_struct(entry: DIE) -> bool:
    return entry.tag in _AGGREGATES and "DW_AT_declaration" not in entry.attributes


def _values(elf: ELFFile) -> Found:
    found: Found = {}
    for table in elf.iter_sections():
        if not isinstance(table, SymbolTableSection):
            continue
        for symbol in table.iter_symbols():
            meant = symbol_of(symbol.name)
            where = symbol["st_shndx"]
            if meant is None or meant[0] == STRUCT or not isinstance(where, int):
                continue
            kind, shift, name = meant
            section = elf.get_section(where)
            size, at = symbol["st_size"], symbol["st_value"]
            empty = section["sh_type"] == "SHT_NOBITS"
            data = bytes(size) if empty else section.data()[at : at + size]
            found[name, shift] = _number(data) if kind == NUMBER else _string(data)
    return found


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


def _string(data: bytes) -> str:
    return data[:_LONGEST_STRING].rstrip(b"\0").decode("utf-8", "backslashreplace")


def _layouts(elf: ELFFile) -> Found:
    found: Found = {}
    for unit in elf.get_dwarf_info().iter_CUs():
        for entry in unit.get_top_DIE().iter_children():
            meant = symbol_of(_name(entry)) if entry.tag == "DW_TAG_variable" else None
            if meant and meant[0] == STRUCT and "DW_AT_type" in entry.attributes:
                struct = _type_of(entry)
                if struct is not None and _is_complete_struct(struct):
                    found[meant[2], meant[1]] = _layout(struct)
    return found


def _layout(struct: DIE) -> Layout:
    return Layout(_size(struct), tuple(_fields(struct, "", 0)))


def _fields(struct: DIE, prefix: str, offset: int) -> Iterator[Field]:
    """The members in their order; those of unnamed structs inside by both names."""
    for member in struct.iter_children():
        if member.tag != "DW_TAG_member":
            continue
        of = _type_of(member)
        at = offset + _number_of(member, "DW_AT_data_member_location")
        name = f"{prefix}{plain_name(_name(member))}"
        inside = of is not None and of.tag in _AGGREGATES and not _name(of)
        if of is not None and inside and not _address(of):
            yield from _fields(of, f"{name}." if _name(member) else prefix, at)
        else:
            yield _field(member, name, at, of)


def _field(member: DIE, name: str, at: int, of: DIE | None) -> Field:
    text, to = _described(of)
    size = _size(of)
    bits = member.attributes.get("DW_AT_bit_size")
    if bits is None:
        return Field(name, at, size, text, to)
    first = _number_of(member, "DW_AT_data_bit_offset")
    unit = max(size, 1) * 8
    return Field(name, at + first // unit * size, size, text, to, first % unit, bits.value)


def _described(of: DIE | None) -> tuple[str, str]:
    """The type of fixed size, and what it leads to if it is an address."""
    if of is None:
        return "void", ""
    pointed = _address(of)
    if pointed is not None:
        return "u64", pointed
    if of.tag == "DW_TAG_array_type":
        text, to = _described(_type_of(of))
        counts = (child for child in of.iter_children() if child.tag == "DW_TAG_subrange_type")
        return text + "".join(f"[{_count(child)}]" for child in counts), to
    if of.tag in _AGGREGATES:
        return f"{_AGGREGATES[of.tag]} {plain_name(_name(of)) or '{}'}", ""
    return _integer(of), ""


def _address(of: DIE) -> str | None:
    """What an address leads to: of a pointer, or of a union of a ``u64`` with one; else None."""
    if of.tag == "DW_TAG_pointer_type":
        return _described(_type_of(of))[0]
    if of.tag != "DW_TAG_union_type" or _size(of) != 8:
        return None
    types = [_type_of(member) for member in of.iter_children() if member.tag == "DW_TAG_member"]
    if len(types) != 2 or any(each is None for each in types):
        return None
    number, pointer = sorted((each for each in types if each), key=lambda each: str(each.tag))
    if number.tag != "DW_TAG_base_type" or pointer.tag != "DW_TAG_pointer_type":
        return None
    return _described(_type_of(pointer))[0]


def _integer(of: DIE) -> str:
    size = _size(of)
    encoding = of.attributes.get("DW_AT_encoding")
    if _name(of) in ("char", "_Bool"):
        return {"char": "char", "_Bool": "bool"}[_name(of)]
    unsigned = encoding is None or encoding.value in _UNSIGNED
    return f"{'u' if unsigned else 's'}{size * 8}"


def _type_of(entry: DIE) -> DIE | None:
    """What an entry's type is behind all its other names; None for ``void``."""
    while "DW_AT_type" in entry.attributes:
        entry = entry.get_DIE_from_attribute("DW_AT_type")
        if entry.tag not in _NAMED:
            return entry
    return None


def _size(of: DIE | None) -> int:
    if of is None:
        return 0
    if of.tag == "DW_TAG_array_type":
        total = _size(_type_of(of))
        for child in of.iter_children():
            total *= _count(child) if child.tag == "DW_TAG_subrange_type" else 1
        return total
    return _number_of(of, "DW_AT_byte_size")


def _count(of: DIE) -> int:
    if "DW_AT_count" in of.attributes:
        return _number_of(of, "DW_AT_count")
    return _number_of(of, "DW_AT_upper_bound") + 1 if "DW_AT_upper_bound" in of.attributes else 0


def _number_of(entry: DIE, attribute: str) -> int:
    found = entry.attributes.get(attribute)
    return int(found.value) if found is not None and isinstance(found.value, int) else 0


def _name(entry: DIE) -> str:
    found = entry.attributes.get("DW_AT_name")
    return found.value.decode("utf-8", "replace") if found is not None else ""
