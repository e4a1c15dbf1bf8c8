"""Dumps of a memory as other tools write them."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from khoci.format.memory import Pages
from khoci.format.ranges import Range

NOWHERE = 2**64 - 1
X86, ARM64 = 62, 183
LOAD, NOTE = 1, 4
INFO = (
    "OSRELEASE=6.17.13\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff82e13140\n"
    "KERNELOFFSET=1a000000\nNUMBER(phys_base)=-3\nCRASHTIME=1763862000\n"
)


def header(
    phnum: int, machine: int = X86, *, kind: int = 4, phoff: int = 64, shoff: int = 0
) -> bytes:
    ident = b"\x7fELF\2\1\1" + bytes(9)
    rest = (kind, machine, 1, 0, phoff, shoff, 0, 64, 56, phnum, 64, 1 if shoff else 0, 0)
    return ident + struct.pack("<HHIQQQIHHHHHH", *rest)


def program_header(
    kind: int, offset: int, vaddr: int, paddr: int, filesz: int, memsz: int | None = None
) -> bytes:
    size = filesz if memsz is None else memsz
    return struct.pack("<II6Q", kind, 7, offset, vaddr, paddr, filesz, size, 4096)


def note(name: bytes, body: bytes) -> bytes:
    parts = (name + b"\0", body)
    head = struct.pack("<III", len(parts[0]), len(body), 0)
    return head + b"".join(part + bytes(-len(part) % 4) for part in parts)


def vmcoreinfo(text: str = INFO) -> bytes:
    return note(b"CORE", b"x" * 337) + note(b"VMCOREINFO", text.encode())


def write_raw(path: Path, memory: Pages, layout: Sequence[Range]) -> Path:
    """A RAM file: pages where they belong, holes everywhere else."""
    offset = 0
    with path.open("wb") as file:
        for part in layout:
            for address, page in memory.pages.items():
                if part.contains(address, len(page)):
                    file.seek(offset + address - part.start)
                    file.write(page)
            offset += part.size
        file.truncate(offset)
    return path


def elf(memory: Pages, notes: bytes = b"", *, many: bool = False, machine: int = X86) -> bytes:
    """A dump of the pages that there are; ``many`` counts the segments as more than 16 bits do.

    Each is a segment; the RAM up to the next is left out, as makedumpfile leaves out zeros.
    """
    chunks = list(_chunks(memory))
    count = len(chunks) + 1
    start = 64 + count * 56 + 64
    rows = [program_header(NOTE, start, 0, 0, len(notes))]
    offset = start + len(notes)
    for phys, page, size in chunks:
        vaddr = 0xFFFF_8880_0000_0000 + phys
        rows.append(program_header(LOAD, offset, vaddr, phys, len(page), size))
        offset += len(page)
    section = bytes(44) + count.to_bytes(4, "little") + bytes(16)
    first = header(0xFFFF if many else count, machine, shoff=start - 64 if many else 0)
    return first + b"".join((*rows, section, notes, *(page for _, page, _ in chunks)))


def _chunks(memory: Pages) -> list[tuple[int, bytes, int]]:
    found = []
    for part in memory.ram:
        inside = [address for address in memory.pages if part.contains(address)]
        if part.start not in inside:
            inside.insert(0, part.start)
        for address, end in zip(inside, [*inside[1:], part.end], strict=True):
            found.append((address, memory.pages.get(address, b""), end - address))
    return found


@dataclass
class Kcore:
    """``/proc/kcore`` of a machine whose direct map is ``base`` and whose RAM is ``memory``.

    Offsets in the file are virtual addresses less ``base``, behind the headers; everything but RAM
    reads as the letter T.
    """

    memory: Pages
    base: int = 0xFFFF_8A41_4000_0000
    image: int = 0x100_0000
    position: int = 0

    VMALLOC = 0x7000_0000_0000
    DATA = 0x4000
    TEXT = 0xFFFF_FFFF_9A00_0000

    def __post_init__(self) -> None:
        text = (self.TEXT - self.base) % 2**63
        rows = [
            program_header(NOTE, 64 + 5 * 56, 0, 0, len(vmcoreinfo())),
            program_header(LOAD, text + self.DATA, self.TEXT, self.image, 0x20_0123),
            program_header(LOAD, self.VMALLOC, self.base + self.VMALLOC, NOWHERE, 1 << 45),
        ]
        for part in self.memory.ram:
            where = part.start + self.DATA
            rows.append(program_header(LOAD, where, self.base + part.start, part.start, part.size))
        self.head = header(len(rows)) + b"".join(rows)
        self.head = self.head.ljust(64 + 5 * 56, b"\0") + vmcoreinfo()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence != os.SEEK_SET:
            raise ValueError("only from the start")
        self.position = offset
        return offset

    def read(self, size: int, /) -> bytes:
        if self.position < len(self.head):
            content = self.head[self.position :][:size]
        else:
            content = self._memory(self.position - self.DATA, min(size, 3000))
        self.position += len(content)
        return content

    def _memory(self, phys: int, size: int) -> bytes:
        for part in self.memory.ram:
            if part.contains(phys):
                return self.memory.read(phys, min(size, part.end - phys))
        return b"T" * size
