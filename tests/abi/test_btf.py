from __future__ import annotations

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
