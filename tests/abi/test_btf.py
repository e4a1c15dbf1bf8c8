from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from elftools.elf.elffile import ELFFile

from khoci.abi.btf import Types
from khoci.abi.dwarf import layouts_in
from khoci.format.errors import DecodeError

if TYPE_CHECKING:
    from khoci.abi.model import Layout

CODE = """\
typedef unsigned long long u64; typedef unsigned int u32; typedef unsigned char u8;
struct kho_vmalloc_chunk;
struct kho_vmalloc {
	union { u64 phys; struct kho_vmalloc_chunk *ptr; } first;
	unsigned int total_pages; unsigned short flags; unsigned short order;
};
struct memfd_luo_folio_ser { u64 pfn:52; u64 flags:12; u64 index; } __attribute__((packed));
struct memfd_luo_ser {
	char name[48]; const u32 seals; _Bool yes; signed char sign;
	struct { u8 a; u8 b[2][3]; } inner; union { u32 x; u8 y; };
	struct kho_vmalloc folios; void *nothing; enum { A, B } kind;
} __attribute__((packed));
struct kho_vmalloc one; struct memfd_luo_ser two; struct memfd_luo_folio_ser three;
"""
WANTED = frozenset({"kho_vmalloc", "memfd_luo_ser", "memfd_luo_folio_ser"})


def compiled(folder: Path, option: str) -> Path:
    source, made = folder / "x.c", folder / f"x{option}.o"
    source.write_text(CODE)
    subprocess.run(["gcc", option, "-c", source, "-o", made], check=True)
    return made


def section(folder: Path) -> bytes:
    with compiled(folder, "-gbtf").open("rb") as file:
        found = ELFFile(file).get_section_by_name(".BTF")
        assert found is not None
        return bytes(found.data())


def test_the_same_as_dwarf(tmp_path: Path) -> None:
    found = Types(section(tmp_path)).layouts(WANTED)
    with compiled(tmp_path, "-g").open("rb") as file:
        expected: dict[str, Layout] = layouts_in(file, WANTED, "x.o")
    assert found.keys() == WANTED
    assert found == expected


def test_what_is_cut_off(tmp_path: Path) -> None:
    data = section(tmp_path)
    for size in range(0, len(data), 7):
        with pytest.raises(DecodeError, match=r"\.BTF"):
            Types(data[:size])


def test_changed_bytes_never_do_worse(tmp_path: Path) -> None:
    data = section(tmp_path)
    for at in range(24, len(data), 3):
        for value in (0, 0x7F, 0xFF):
            try:
                Types(data[:at] + bytes([value]) + data[at + 1 :]).layouts(WANTED)
            except DecodeError:
                continue


def types(*records: tuple[int, int, int, bytes], names: bytes = b"\0memfd_luo_ser\0") -> Types:
    """A section of records: the kind, how many, the size or type, and what follows."""
    body = b"".join(
        struct.pack("<III", 1 if kind == 4 else 0, kind << 24 | count, size) + extra
        for kind, count, size, extra in records
    )
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(names))
    return Types(head + body + names)


def member(number: int) -> bytes:
    return struct.pack("<III", 0, number, 0)


def test_a_pointer_to_itself() -> None:
    found = types((2, 0, 1, b""), (4, 1, 8, member(1))).layouts(WANTED)
    assert found["memfd_luo_ser"].fields[0].to == "u64"


def test_an_array_of_itself() -> None:
    array = struct.pack("<III", 1, 1, 2)
    with pytest.raises(DecodeError, match="nested more than 16 deep"):
        types((3, 0, 0, array), (4, 1, 8, member(1))).layouts(WANTED)


def test_structs_that_multiply() -> None:
    records = [(4, 1, 8, member(2))]
    records += [(5, 40, 16, member(number + 3) * 40) for number in range(6)]
    records += [(1, 0, 4, bytes(4))]
    with pytest.raises(DecodeError, match="more than 2000 members"):
        types(*records).layouts(WANTED)


def test_a_typedef_of_itself() -> None:
    with pytest.raises(DecodeError, match="has too many names"):
        types((8, 0, 1, b""), (4, 1, 8, member(1))).layouts(WANTED)
