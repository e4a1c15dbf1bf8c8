"""Objects whose life is bound to files (FLB, 7.0 and later): one page of numbers by name.

``struct luo_flb_header_ser`` and ``struct luo_flb_ser`` of ``include/linux/kho/abi/luo.h``, written
and read by ``kernel/liveupdate/luo_flb.c``. The reader takes the object of its own name and checks
nothing: neither the count nor the number of pages, which is always 1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import versions
from khoci.format.memory import PAGE_SHIFT, Memory, fetch
from khoci.format.payload import text
from khoci.format.versions import Version

if TYPE_CHECKING:
    from khoci.format.errors import Place

KNOWN = frozenset({Version("luo-flb", 1)})
"""Of the node that points to the page, up to 7.1."""

PLAIN = frozenset(Version("liveupdate-test-flb", number) for number in range(3))
"""Objects whose data is a number and no address: those of ``lib/tests/liveupdate.c``."""

_HEADER = struct.Struct("<QQ")
_OBJECT = struct.Struct("<48sQQ")


@dataclass(frozen=True, slots=True)
class Flb:
    """An object: its name, what ``data`` means its user knows, and how many files need it."""

    version: Version
    data: int
    count: int


@dataclass(frozen=True, slots=True)
class FlbPage:
    """All objects; ``pages`` is what the header says of itself."""

    pages: int
    objects: tuple[Flb, ...]


def read(memory: Memory, address: int, place: Place, page_shift: int = PAGE_SHIFT) -> FlbPage:
    """Read the page at ``address``.

    Raises:
        DecodeError: it is no page of RAM, or has no room for so many objects (63 with pages of
            4 KiB).
    """
    here = place.at(address)
    if address % (1 << page_shift):
        raise here.error("the page of FLBs is not page aligned")
    page = fetch(memory, address, 1 << page_shift, here)
    pages, count = _HEADER.unpack_from(page)
    most = (len(page) - _HEADER.size) // _OBJECT.size
    if count > most:
        raise here.error(f"{count} FLBs, there is room for {most}")
    raw = page[_HEADER.size : _HEADER.size + count * _OBJECT.size]
    objects = (
        Flb(versions.parse(text(name)), data, files)
        for name, data, files in _OBJECT.iter_unpack(raw)
    )
    return FlbPage(pages, tuple(objects))
