"""Sessions of the live update orchestrator, and the files in them.

``struct luo_session_ser`` and ``struct luo_file_ser`` of ``include/linux/kho/abi/luo.h``, the same
from 6.19 on. Up to 7.1 they are in arrays of a fixed size (``luo_session.c``, ``luo_file.c``), from
7.2 on in KHO blocks (see `block`). All of it is written by the reboot into the next kernel; before,
nothing is listed.

The reader of 6.19 to 7.1 checks no count at all. That of 7.2 wants ``count`` to be the number of
files in the blocks. Both give up all sessions for one file without a handler.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import versions
from khoci.format.memory import PAGE_SHIFT, Memory, fetch
from khoci.format.payload import text
from khoci.format.ranges import Range
from khoci.format.versions import Version

if TYPE_CHECKING:
    from khoci.format.errors import Place

KNOWN = frozenset({Version("luo-session", 2)})
"""Of the array's node; its documentation in the kernel says v1."""

SESSION_SIZE = 80
FILE_SIZE = 64
_SESSION = struct.Struct("<64sQQ")
_FILE = struct.Struct("<48sQQ")
_COUNT_SIZE = 8
_SESSION_PAGES = 16
_FILE_PAGES = 2


@dataclass(frozen=True, slots=True)
class Session:
    """A session: where its ``count`` files are listed, 0 if it has none."""

    name: str
    files: int
    count: int


@dataclass(frozen=True, slots=True)
class File:
    """A file: its handler, the user's token, and what ``data`` means the handler knows."""

    handler: Version
    data: int
    token: int


def parse_session(raw: bytes) -> Session:
    """Parse an entry of 80 bytes."""
    name, files, count = _SESSION.unpack(raw)
    return Session(text(name), files, count)


def parse_file(raw: bytes) -> File:
    """Parse an entry of 64 bytes."""
    handler, data, token = _FILE.unpack(raw)
    return File(versions.parse(text(handler)), data, token)


def session_array(
    memory: Memory, address: int, place: Place, page_shift: int = PAGE_SHIFT
) -> tuple[tuple[Session, ...], Range]:
    """The sessions at ``address``, and the folio they are in.

    Raises:
        DecodeError: the folio is not page aligned or not in RAM, or has no room for so many (819
            with pages of 4 KiB).
    """
    folio, here = _folio(address, _SESSION_PAGES, place, page_shift)
    count = int.from_bytes(fetch(memory, address, _COUNT_SIZE, here), "little")
    most = (folio.size - _COUNT_SIZE) // SESSION_SIZE
    if count > most:
        raise here.error(f"{count} sessions, there is room for {most}")
    raw = fetch(memory, address + _COUNT_SIZE, count * SESSION_SIZE, here)
    return tuple(Session(text(name), *rest) for name, *rest in _SESSION.iter_unpack(raw)), folio


def file_array(
    memory: Memory, session: Session, place: Place, page_shift: int = PAGE_SHIFT
) -> tuple[tuple[File, ...], Range]:
    """The files of ``session``, and the folio they are in.

    Raises:
        DecodeError: the folio is not page aligned or not in RAM, or has no room for so many (128
            with pages of 4 KiB).
    """
    folio, here = _folio(session.files, _FILE_PAGES, place, page_shift)
    most = folio.size // FILE_SIZE
    if session.count > most:
        raise here.error(f"{session.count} files, there is room for {most}")
    raw = fetch(memory, session.files, session.count * FILE_SIZE, here)
    step = range(0, len(raw), FILE_SIZE)
    return tuple(parse_file(raw[start : start + FILE_SIZE]) for start in step), folio


def _folio(address: int, pages: int, place: Place, page_shift: int) -> tuple[Range, Place]:
    """The folio of an array: ``kho_alloc_preserve`` aligns it to its size."""
    folio, here = Range(address, pages << page_shift), place.at(address)
    if address % folio.size:
        raise here.error(f"a folio of {pages} pages is not aligned")
    return folio, here
