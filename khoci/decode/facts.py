"""What there is to say of a component: as names and values for programs, as lines for people."""

from __future__ import annotations

from functools import singledispatch
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from khoci.decode.words import human, plural, printable
from khoci.format import memfd
from khoci.format.block import Chain
from khoci.format.blocks import Blocks
from khoci.format.flb import Flb, FlbPage
from khoci.format.khotest import KhoTest
from khoci.format.luo import Luo
from khoci.format.memblock import Region, ReserveMem
from khoci.format.memfd import DIRTY, UPTODATE, Memfd
from khoci.format.metadata import KexecMetadata
from khoci.format.session import File, Session
from khoci.format.vmalloc import Area

if TYPE_CHECKING:
    from khoci.format.components import Value

Fact = int | str | bool | None | list[str] | dict[str, int]


@singledispatch
def values(_value: Value | None, _blocks: Blocks) -> dict[str, Fact]:
    """The facts of a decoded component; sizes in bytes, addresses as hex text.

    The first argument is what was decoded, None if nothing was. The second are the blocks of the
    memory map, which alone knows the orders of a file's folios.
    """
    return {}


@singledispatch
def lines(_value: Value | None, _blocks: Blocks) -> list[str]:
    """The same for people; see `values`."""
    return ["not decoded"]


@values.register
def _(value: ReserveMem, _blocks: Blocks) -> dict[str, Fact]:
    return {"regions": len(value.regions)}


@lines.register
def _(value: ReserveMem, _blocks: Blocks) -> list[str]:
    return [plural(len(value.regions), "region")]


@values.register
def _(value: Region, _blocks: Blocks) -> dict[str, Fact]:
    return {"start": f"{value.start:#x}", "size": value.size}


@lines.register
def _(value: Region, _blocks: Blocks) -> list[str]:
    return [f"{human(value.size)} from {value.start:#x}"]


@values.register
def _(value: Session, _blocks: Blocks) -> dict[str, Fact]:
    return {"files": value.count}


@lines.register
def _(value: Session, _blocks: Blocks) -> list[str]:
    return [plural(value.count, "file") if value.count else "empty"]


@values.register
def _(value: File, _blocks: Blocks) -> dict[str, Fact]:
    return {"token": f"{value.token:#x}", "data": f"{value.data:#x}"}


@lines.register
def _(value: File, _blocks: Blocks) -> list[str]:
    return [f"data {value.data:#x}, for a handler that khoci does not know"]


@values.register
def _(value: FlbPage, _blocks: Blocks) -> dict[str, Fact]:
    return {"objects": len(value.objects), "pages": value.pages}


@lines.register
def _(value: FlbPage, _blocks: Blocks) -> list[str]:
    return [plural(len(value.objects), "object")]


@values.register
def _(value: Flb, _blocks: Blocks) -> dict[str, Fact]:
    return {"data": f"{value.data:#x}", "files": value.count}


@lines.register
def _(value: Flb, _blocks: Blocks) -> list[str]:
    return [f"data {value.data:#x}, for {plural(value.count, 'file')}"]


@values.register
def _(value: Chain, _blocks: Blocks) -> dict[str, Fact]:
    return {"pages": len(value.counts), "entries": sum(value.counts)}


@lines.register
def _(value: Chain, _blocks: Blocks) -> list[str]:
    return [f"{plural(len(value.counts), 'page')}, entries: {sum(value.counts)}"]


@values.register
def _(value: Area, _blocks: Blocks) -> dict[str, Fact]:
    return {"size": value.size, "runs": len(value.runs), "order": value.order}


@lines.register
def _(value: Area, _blocks: Blocks) -> list[str]:
    return [f"{human(value.size)} in {plural(len(value.runs), 'run')} of order {value.order}"]


@values.register
def _(value: KexecMetadata, _blocks: Blocks) -> dict[str, Fact]:
    return {"release": value.previous_release, "kexec_count": value.kexec_count}


@lines.register
def _(value: KexecMetadata, _blocks: Blocks) -> list[str]:
    if value.previous_release is None:
        return ["an unknown version"]
    return [f"from {printable(value.previous_release)}, kexec {value.kexec_count}"]


@values.register
def _(value: KhoTest, _blocks: Blocks) -> dict[str, Fact]:
    return {
        "folios": len(value.folios),
        "size": sum(folio.size for folio in value.folios),
        "list": value.shape.value if value.shape else None,
        "csum": None if value.csum is None else f"{value.csum:#010x}",
        "orders": _orders(np.array([folio.order for folio in value.folios], dtype=np.int64)),
    }


@lines.register
def _(value: KhoTest, _blocks: Blocks) -> list[str]:
    if value.shape is None:
        return ["an unknown version"]
    size = human(sum(folio.size for folio in value.folios))
    orders = np.array([folio.order for folio in value.folios], dtype=np.int64)
    text = f"{plural(len(value.folios), 'folio')}, {size}, list {value.shape.value}"
    summed = "" if value.csum is None else f", checksum {value.csum:#010x}"
    return [f"{text}{summed}", *_order_lines(_orders(orders))]


@values.register
def _(value: Luo, _blocks: Blocks) -> dict[str, Fact]:
    return {
        "number": value.number,
        "written_as": value.shape.value,
        "sessions": value.sessions,
    }


@lines.register
def _(value: Luo, _blocks: Blocks) -> list[str]:
    if value.number is None:
        return ["an unknown version"]
    sessions = "?" if value.sessions is None else value.sessions
    return [f"live update {value.number}, sessions: {sessions}, written as {value.shape.value}"]


@values.register
def _(value: Memfd, blocks: Blocks) -> dict[str, Fact]:
    folios = value.folios
    return {
        "size": value.size,
        "position": value.pos,
        "seals": None if value.seals is None else list(memfd.seal_names(value.seals)),
        "folios": len(folios),
        "dirty": _with(value, DIRTY),
        "uptodate": _with(value, UPTODATE),
        "hole_pages": _hole_pages(value, blocks),
        "orders": _orders(folios.orders(blocks)),
    }


@lines.register
def _(value: Memfd, blocks: Blocks) -> list[str]:
    seals = ", ".join(memfd.seal_names(value.seals or 0)) or "none"
    sealed = "" if value.seals is None else f", seals: {seals}"
    head = f"{human(value.size)}, position {value.pos}{sealed}"
    if not len(value.folios):
        return [head, "no folios"]
    flags = f"{_with(value, DIRTY)} dirty, {_with(value, UPTODATE)} up to date"
    orders = _orders(value.folios.orders(blocks))
    holes = _hole_pages(value, blocks)
    missing = [f"{plural(holes, 'page')} of the file in no folio"] if holes else []
    text = f"{plural(len(value.folios), 'folio')}: {flags}"
    return [head, text, *_order_lines(orders), *missing]


def _with(value: Memfd, flag: int) -> int:
    return int(np.count_nonzero(value.folios.flags & flag))


def _hole_pages(value: Memfd, blocks: Blocks) -> int:
    """Pages of the file that are in no folio; a folio without a block counts as one page."""
    listed = value.folios.pfn != 0
    orders = np.clip(value.folios.orders(blocks)[listed], 0, None).astype(np.uint64)
    there = int(np.sum(np.uint64(1) << orders))
    return max(-(-value.size >> value.folios.page_shift) - there, 0)


def _orders(orders: NDArray[np.int64] | NDArray[np.int16]) -> dict[str, int]:
    """How many there are of each order; of those without a block, under ``none``."""
    kinds, counts = np.unique(orders, return_counts=True)
    pairs = zip(kinds.tolist(), counts.tolist(), strict=True)
    return {str(order) if order >= 0 else "none": count for order, count in pairs}


def _order_lines(orders: dict[str, int]) -> list[str]:
    listed = ", ".join(f"{order}: {count}" for order, count in orders.items())
    return [f"by order {listed}"] if listed and list(orders) != ["0"] else []
