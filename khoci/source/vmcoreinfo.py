"""VMCOREINFO: what a kernel tells dump tools of itself, in an ELF note.

Lines of ``KEY=VALUE``, written by ``kernel/vmcore_info.c`` with the macros of
``include/linux/vmcore_info.h``; addresses are hex without ``0x``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NOTE_NAME = b"VMCOREINFO"
_NOTE = struct.Struct("<III")
_PAGE_SIZES = (1 << 12, 1 << 14, 1 << 16)


@dataclass(frozen=True, slots=True)
class VmcoreInfo:
    """All lines by key; a key that is missing or makes no sense reads as None."""

    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def release(self) -> str | None:
        """``uname -r``."""
        return self.values.get("OSRELEASE")

    @property
    def page_size(self) -> int | None:
        """Bytes of a page."""
        size = _number(self.values.get("PAGESIZE"), 10)
        return size if size in _PAGE_SIZES else None

    @property
    def kernel_offset(self) -> int | None:
        """How far KASLR moved the kernel, in bytes."""
        return _number(self.values.get("KERNELOFFSET"), 16)

    def symbol(self, name: str) -> int | None:
        """The virtual address of ``SYMBOL(name)``."""
        return _number(self.values.get(f"SYMBOL({name})"), 16)


def parse(text: bytes) -> VmcoreInfo:
    """Take the lines apart; what is no ``KEY=VALUE`` is left out."""
    lines = text.rstrip(b"\0").decode("utf-8", "replace").splitlines()
    return VmcoreInfo(dict(line.split("=", 1) for line in lines if "=" in line))


def find(notes: bytes) -> VmcoreInfo | None:
    """The first VMCOREINFO among ELF notes, None if there is none."""
    return next((parse(body) for name, body in _notes(notes) if name == NOTE_NAME), None)


def _notes(raw: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and bodies, each padded to 4 bytes; it ends where a note is not all there."""
    position = 0
    while position + _NOTE.size <= len(raw):
        name_size, body_size, _ = _NOTE.unpack_from(raw, position)
        body = position + _NOTE.size + _padded(name_size)
        if body + body_size > len(raw):
            return
        name = raw[position + _NOTE.size : position + _NOTE.size + name_size]
        yield name.rstrip(b"\0"), raw[body : body + body_size]
        position = body + _padded(body_size)


def _padded(size: int) -> int:
    return -(-size // 4) * 4


def _number(text: str | None, base: int) -> int | None:
    try:
        return None if text is None else int(text[:32], base)
    except ValueError:
        return None
