"""The memory of the running machine: ``/proc/kcore``, for root.

An ELF core file made by ``fs/proc/kcore.c`` (the same from 6.16 to 7.3). It has the direct map of
all System RAM, but also the kernel's image, vmalloc, modules and the array of pages:

- vmalloc, modules, pages: their physical address is all ones.
- the image (``KCORE_TEXT``): it has a physical address, but is no plain RAM. What was freed of it
  is not mapped any more and reads as zeros.
- the direct map: virtual and physical addresses differ by one number, and it is the lowest of all
  mappings on x86-64 (``Documentation/arch/x86/x86_64/mm.rst``) and on arm64
  (``Documentation/arch/arm64/memory.rst``).

Pages that the kernel does not want to be read (offline, poisoned, ballooned) read as zeros.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from khoci.format.errors import DecodeError
from khoci.format.ranges import Range, common, merge
from khoci.source.backed import FileMemory, Piece, disjoint
from khoci.source.elfcore import MAX_ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from khoci.source.backed import ByteFile
    from khoci.source.elfcore import Core, Segment

KCORE = "/proc/kcore"
IOMEM = "/proc/iomem"
_SYSTEM_RAM = re.compile(r"^ *([0-9a-f]{1,16})-([0-9a-f]{1,16}) : System RAM", re.MULTILINE)


def open_kcore(file: ByteFile, core: Core, iomem: str | None = None) -> FileMemory:
    """The RAM behind a live core file.

    Args:
        file: open, and left open; anything that can seek and read, unbuffered to read what is.
        core: its headers.
        iomem: the text of ``/proc/iomem``, to take no more than the System RAM it names.

    Raises:
        DecodeError: there is no direct map, or ``iomem`` names no RAM in it (it hides it from
            all but root).
    """
    direct = _direct_map(core.loads)
    pieces = [Piece(item.paddr, item.filesz, item.offset) for item in direct]
    if iomem is not None:
        pieces = list(_inside(pieces, system_ram(iomem)))
    kept = disjoint(pieces)
    if not kept:
        raise DecodeError("its direct map has no System RAM", where="kcore", address=None)
    return FileMemory(file, kept, merge(Range(item.phys, item.size) for item in kept))


def system_ram(iomem: str) -> tuple[Range, ...]:
    """The RAM that ``/proc/iomem`` names, hotplugged memory too.

    Raises:
        DecodeError: there is none.
    """
    ends = [(int(row[1], 16), int(row[2], 16)) for row in _SYSTEM_RAM.finditer(iomem)]
    ram = merge(Range(first, last - first + 1) for first, last in ends if last)
    if not ram:
        raise DecodeError("it names no System RAM: run as root", where=IOMEM, address=None)
    return ram


def _direct_map(loads: Iterable[Segment]) -> list[Segment]:
    known = [item for item in loads if _is_physical(item)]
    if not known:
        raise DecodeError("it has no direct map of RAM", where="kcore", address=None)
    lowest = min(known, key=lambda item: item.vaddr)
    distance = lowest.vaddr - lowest.paddr
    return [item for item in known if item.vaddr - item.paddr == distance]


def _is_physical(item: Segment) -> bool:
    readable = item.filesz and (item.offset + item.filesz) >> 63 == 0
    return bool(readable) and item.paddr + item.filesz <= MAX_ADDRESS


def _inside(pieces: Iterable[Piece], ram: Sequence[Range]) -> Iterator[Piece]:
    for piece in pieces:
        for part in common(ram, Range(piece.phys, piece.size)):
            yield Piece(part.start, part.size, piece.offset + part.start - piece.phys)
