"""ELF core files of whole machines: a copy of ``/proc/vmcore``, QEMU's ``dump-guest-memory``.

64-bit little endian, of x86-64 or arm64; written by ``kernel/crash_core.c`` and
``fs/proc/vmcore.c``, by makedumpfile (``-E``), and by QEMU's ``dump/dump.c``, which counts the
firmware as memory too.

The headers are read here rather than with pyelftools, which trusts them: it reads a note of 4 GiB
if a header says so, makes an object of each of 2^32 segments, and raises any of a dozen errors.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from khoci.format.errors import Place
from khoci.format.ranges import Range, merge
from khoci.source import vmcoreinfo
from khoci.source.backed import FileMemory, Piece, disjoint, file_size, read_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from khoci.source.backed import ByteFile
    from khoci.source.vmcoreinfo import VmcoreInfo

MAGIC = b"\x7fELF"
MACHINES = {3: "x86_64", 62: "x86_64", 183: "aarch64"}
"""QEMU says i386 (3) if the guest's first CPU was not in long mode when it was dumped."""

NOWHERE = (1 << 64) - 1
MAX_SEGMENTS = 1 << 20
MAX_NOTES = 16 << 20
MAX_ADDRESS = 1 << 52
"""Physical addresses of both architectures end here."""

_HEADER = struct.Struct("<4sBB10xHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<II6Q")
_SECTION_SIZE, _SH_INFO = 64, 44
_ET_CORE, _PT_LOAD, _PT_NOTE, _PN_XNUM = 4, 1, 4, 0xFFFF
_PLACE = Place("ELF")


@dataclass(frozen=True, slots=True)
class Segment:
    """``filesz`` bytes at ``offset`` of the file are memory at ``paddr``; zeros up to ``memsz``.

    ``vaddr`` is where the kernel has it mapped.
    """

    offset: int
    vaddr: int
    paddr: int
    filesz: int
    memsz: int


@dataclass(frozen=True, slots=True)
class Core:
    """The headers: the ``PT_LOAD`` segments in the file's order, and the kernel's own words."""

    arch: str
    loads: tuple[Segment, ...]
    info: VmcoreInfo | None

    @property
    def live(self) -> bool:
        """Whether this is ``/proc/kcore``: only there a segment is of no physical address."""
        return any(item.paddr == NOWHERE for item in self.loads)


def read_core(file: ByteFile) -> Core:
    """Read the headers.

    Raises:
        DecodeError: it is no core file of a machine that is known, or the headers are cut off.
    """
    magic, bits, order, kind, machine, _, _, offset, sections, *sizes = _header(file)
    if (magic, bits, order, kind) != (MAGIC, 2, 1, _ET_CORE):
        raise _PLACE.error("it is no 64-bit little-endian core file")
    if machine not in MACHINES:
        raise _PLACE.error(f"machine {machine} is neither x86-64 nor arm64")
    _, _, entry_size, count, *_ = sizes
    if entry_size != _SEGMENT.size:
        raise _PLACE.error(f"program headers of {entry_size} bytes")
    if count == _PN_XNUM and sections:
        count = _extended_count(file, sections)
    segments = _segments(file, offset, count)
    notes = [segment for kind, segment in segments if kind == _PT_NOTE]
    loads = tuple(segment for kind, segment in segments if kind == _PT_LOAD)
    return Core(MACHINES[machine], loads, _info(file, notes))


def open_core(file: ByteFile, core: Core) -> FileMemory:
    """The physical memory of a dump; where segments overlap they hold the same bytes.

    Memory that the dump leaves out (makedumpfile does so with pages of zeros, and with free ones)
    reads as zeros, as ELF has it.

    Raises:
        DecodeError: a segment is cut off or leaves the physical address space, or there is none.
    """
    size = file_size(file)
    loads = [item for item in core.loads if item.filesz or item.offset != NOWHERE]
    for item in loads:
        _check(item, size)
    ram = merge(Range(item.paddr, item.memsz) for item in loads)
    if not ram:
        raise _PLACE.error("it has no memory in it")
    pieces = (Piece(item.paddr, item.filesz, item.offset) for item in loads if item.filesz)
    return FileMemory(file, disjoint(pieces), ram)


def _check(item: Segment, size: int) -> None:
    place = _PLACE.at(item.paddr)
    if item.filesz > item.memsz or item.paddr + item.memsz > MAX_ADDRESS:
        raise place.error(f"a segment of {item.filesz:#x} of {item.memsz:#x} bytes cannot be")
    if item.offset + item.filesz > size:
        needed = item.offset + item.filesz
        raise place.error(f"the file is cut off: a segment ends at byte {needed} of {size}")


def _header(file: ByteFile) -> tuple[Any, ...]:
    return _HEADER.unpack(_bytes(file, 0, _HEADER.size))


def _extended_count(file: ByteFile, sections: int) -> int:
    """The number of segments where 16 bits are too few: ``sh_info`` of the first section."""
    section = _bytes(file, sections, _SECTION_SIZE)
    return int.from_bytes(section[_SH_INFO : _SH_INFO + 4], "little")


def _segments(file: ByteFile, offset: int, count: int) -> list[tuple[int, Segment]]:
    if count > MAX_SEGMENTS:
        raise _PLACE.error(f"{count} segments, more than {MAX_SEGMENTS}")
    table = _bytes(file, offset, count * _SEGMENT.size)
    rows = _SEGMENT.iter_unpack(table)
    return [(kind, Segment(*numbers[:5])) for kind, _, *numbers in rows]


def _info(file: ByteFile, notes: Sequence[Segment]) -> VmcoreInfo | None:
    readable = (item for item in notes if item.offset >> 63 == 0)
    contents = (read_at(file, item.offset, min(item.filesz, MAX_NOTES)) for item in readable)
    return next(filter(None, map(vmcoreinfo.find, contents)), None)


def _bytes(file: ByteFile, offset: int, size: int) -> bytes:
    content = read_at(file, offset, size) if offset >> 63 == 0 else b""
    if len(content) != size:
        raise _PLACE.error(f"its headers are cut off: {size} bytes at {offset} are not there")
    return content
