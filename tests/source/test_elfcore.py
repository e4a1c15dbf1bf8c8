from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format.errors import DecodeError
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from khoci.source.backed import FileMemory
from khoci.source.elfcore import MAX_SEGMENTS, open_core, read_core
from tests.source.dumps import (
    ARM64,
    LOAD,
    NOTE,
    NOWHERE,
    X86,
    elf,
    header,
    program_header,
    vmcoreinfo,
)

RAM = (Range(0x1000, 0x9E000), Range(0x10_0000, 1 << 30), Range(1 << 32, 1 << 30))
PAGES = Pages(RAM, {0x1000: b"a" * 4096, 0x20_0000: b"b" * 4096, 1 << 32: b"c" * 4096})


def opened(content: bytes) -> FileMemory:
    file = io.BytesIO(content)
    return open_core(file, read_core(file))


def core(*rows: bytes, body: bytes = b"") -> bytes:
    return header(len(rows)) + b"".join(rows) + body


def load(offset: int, paddr: int, filesz: int, memsz: int | None = None) -> bytes:
    return program_header(LOAD, offset, 0, paddr, filesz, memsz)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(("machine", "arch"), [(X86, "x86_64"), (ARM64, "aarch64")])
def test_a_dump_is_read_by_physical_address(many: bool, machine: int, arch: str) -> None:
    file = io.BytesIO(elf(PAGES, vmcoreinfo(), many=many, machine=machine))
    found = read_core(file)
    assert (found.arch, found.live) == (arch, False)
    assert found.info is not None
    assert found.info.release == "6.17.13"
    memory = open_core(file, found)
    assert memory.ram == RAM
    assert memory.read(0x1000, 0x3000) == b"a" * 4096 + bytes(0x2000)
    assert memory.read(0x1F_FFFF, 0x1002) == b"\0" + b"b" * 4096 + b"\0"
    assert list(memory.data()) == [Range(address, 4096) for address in PAGES.pages]
    with pytest.raises(DecodeError, match="not all in RAM"):
        memory.read(0, 1)


def test_more_segments_than_16_bits_can_count() -> None:
    count = 0x1_0010
    ram = tuple(Range(page << 13, 4096) for page in range(count))
    pages = {ram[7].start: b"7" * 4096, ram[-1].start: b"z" * 4096}
    memory = opened(elf(Pages(ram, pages), vmcoreinfo(), many=True))
    assert len(memory.ram) == count
    assert memory.read(ram[-1].start, 1) == b"z"
    assert memory.read(ram[7].start, 1) == b"7"
    assert memory.read(ram[8].start, 1) == b"\0"


def test_headers_are_read_as_another_reader_reads_them() -> None:
    content = elf(PAGES, vmcoreinfo())
    theirs = ELFFile(io.BytesIO(content))
    ours = read_core(io.BytesIO(content))
    rows = [item.header for item in theirs.iter_segments() if item.header.p_type == "PT_LOAD"]
    assert [
        (item.offset, item.vaddr, item.paddr, item.filesz, item.memsz) for item in ours.loads
    ] == [(row.p_offset, row.p_vaddr, row.p_paddr, row.p_filesz, row.p_memsz) for row in rows]


def test_memory_that_is_in_two_segments_is_taken_once() -> None:
    """As kdump's kernel image, which the direct map has too."""
    body = bytes(range(256)) * 32
    memory = opened(core(load(233, 0x3000, 0x200), load(232, 0x2FFF, 0x1000), body=body))
    assert memory.ram == (Range(0x2FFF, 0x1000),)
    assert memory.read(0x2FFF, 0x1000) == body[232 - 176 :][:0x1000]
    assert sum(part.size for part in memory.data()) == 0x1000


def test_what_one_segment_leaves_out_another_may_have() -> None:
    memory = opened(core(load(0, 0x1000, 0, 0x4000), load(176, 0x2000, 4), body=b"data"))
    assert memory.read(0x1FFF, 6) == b"\0data\0"


def test_a_mapping_that_qemu_found_no_memory_behind() -> None:
    memory = opened(core(load(NOWHERE, 0xFEE0_0000, 0, 0x1000), load(176, 0, 4), body=b"data"))
    assert memory.ram == (Range(0, 4),)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "headers are cut off"),
        (b"\x7fELF", "headers are cut off"),
        (b"\x7fELX" + header(0)[4:], "no 64-bit little-endian core file"),
        (header(0)[:4] + b"\1" + header(0)[5:], "no 64-bit little-endian core file"),
        (header(0)[:5] + b"\2" + header(0)[6:], "no 64-bit little-endian core file"),
        (header(0, kind=2), "no 64-bit little-endian core file"),
        (header(0, machine=243), "machine 243 is neither"),
        (header(0)[:54] + b"\x20" + header(0)[55:], "program headers of 32 bytes"),
        (header(0), "no memory in it"),
        (core(program_header(NOTE, 0, 0, 0, 64)), "no memory in it"),
        (header(3), "headers are cut off: 168 bytes at 64"),
        (header(1, phoff=2**64 - 1), "headers are cut off"),
        (header(0xFFFF), "headers are cut off"),
        (header(0xFFFF, shoff=1 << 63), "headers are cut off: 64 bytes"),
        (header(0xFFFF, shoff=64) + b"\xff" * 64, "4294967295 segments"),
        (
            core(load(64, 0, 200)),
            "0x0: the file is cut off: a segment ends at byte 264 of 120",
        ),
        (core(load(2**64 - 1, 0, 2)), "the file is cut off"),
        (core(load(64, 0, 8, 4)), "a segment of 0x8 of 0x4 bytes cannot be"),
        (core(load(64, 1 << 52, 8)), "cannot be"),
        (core(load(64, 2**64 - 4, 8)), "0xfffffffffffffffc: .* cannot be"),
    ],
)
def test_bad_dumps(content: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=f"^ELF( at |: ).*{message}"):
        opened(content)


def test_a_note_that_claims_the_whole_file_is_read_in_bounds(tmp_path: Path) -> None:
    path = tmp_path / "vmcore"
    rows = program_header(NOTE, 176, 0, 0, 1 << 40) + load(0, 0, 64)
    content = header(2) + rows + struct.pack("<III", 11, 0xFFFF_FFF0, 0) + b"VMCOREINFO\0\0"
    with path.open("wb") as file:
        file.write(content)
        file.truncate(1 << 42)
    with path.open("rb", buffering=0) as file:
        assert read_core(file).info is None


def test_the_number_of_segments_is_bounded() -> None:
    section = bytes(44) + (MAX_SEGMENTS + 1).to_bytes(4, "little") + bytes(16)
    with pytest.raises(DecodeError, match="1048577 segments, more than 1048576"):
        opened(header(0xFFFF, shoff=64) + section)


WORDS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 64, 4096, 2**31, 2**63, 2**64 - 1])
ROWS = st.builds(
    program_header, st.sampled_from([LOAD, LOAD, NOTE, 0]), WORDS, WORDS, WORDS, WORDS, WORDS
) | st.builds(load, st.integers(0, 500), WORDS, st.integers(0, 300), st.integers(0, 2**53))


@settings(max_examples=500, deadline=None)
@given(
    st.lists(ROWS, max_size=5),
    st.integers(0, 0xFFFF) | st.none(),
    st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=8)), max_size=3),
    st.integers(0, 600) | st.none(),
    st.tuples(WORDS, st.integers(0, 5000)),
)
def test_hostile_headers_open_or_say_why(
    rows: list[bytes],
    count: int | None,
    junk: list[tuple[int, bytes]],
    cut: int | None,
    read: tuple[int, int],
) -> None:
    content = bytearray(header(len(rows) if count is None else count) + b"".join(rows))
    content += vmcoreinfo()
    for at, piece in junk:
        content[at : at + len(piece)] = piece
    try:
        memory = opened(bytes(content[:cut]))
        assert all(part.size <= len(content) for part in memory.data())
        assert len(memory.read(*read)) == read[1]
    except DecodeError:
        return
