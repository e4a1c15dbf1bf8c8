"""The components of a handover, as a tree: what each is, and the memory it owns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from khoci.format.block import Chain
from khoci.format.extents import Extents
from khoci.format.flb import Flb, FlbPage
from khoci.format.khotest import KhoTest
from khoci.format.luo import Luo
from khoci.format.memblock import Region, ReserveMem
from khoci.format.memfd import Memfd
from khoci.format.metadata import KexecMetadata
from khoci.format.session import File, Session
from khoci.format.vmalloc import Area

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from khoci.format.versions import Version

Value = (
    ReserveMem
    | Region
    | KhoTest
    | Luo
    | Session
    | File
    | Memfd
    | FlbPage
    | Flb
    | Chain
    | Area
    | KexecMetadata
)


@dataclass(frozen=True, slots=True)
class Component:
    """A separately versioned part of a handover.

    Attributes:
        name: ``reserve_mem``, ``kho_test``, ``luo``, ``session``, ``memfd``, ``flb``, ``vmalloc``,
            ``block`` or ``kexec-metadata``; of what nobody knows, the name it has in the handover.
        label: which one: a region's or session's name, a file's token; empty where there is one.
        address: physical address of its struct, tree or data, of a session that of the list of its
            files; None if it has none, or it is unknown.
        version: as it says itself, None if it has none of its own.
        value: what was decoded; None if it could not be, or nobody knows how.
        owned: whole pages that have to be preserved for it, without those of its children.
        children: what it is made of.
    """

    name: str
    label: str
    address: int | None
    version: Version | None
    value: Value | None
    owned: Extents
    children: tuple[Component, ...] = ()

    @property
    def title(self) -> str:
        """The name with the label, such as ``session[vm-1]``."""
        return f"{self.name}[{self.label}]" if self.label else self.name


def walk(components: Iterable[Component], above: str = "") -> Iterator[tuple[str, Component]]:
    """Each component with its path behind ``above``, the deeper ones behind what holds them.

    A path is like ``luo/session[vm-1]/memfd[0x1a]/vmalloc``. A child of its parent's name is a part
    of it: ``reserve_mem[data]``, and not ``reserve_mem/reserve_mem[data]``.
    """
    for item in components:
        path = above + item.title
        yield path, item
        for child in item.children:
            yield from walk((child,), above if child.name == item.name else f"{path}/")


def whole(components: Iterable[Component]) -> Extents:
    """The memory of components and of all below them."""
    return union(item.owned for _, item in walk(components))


def union(sets: Iterable[Extents]) -> Extents:
    """The bytes of all ``sets``."""
    pieces = list(sets) or [Extents.of(())]
    if len(pieces) == 1:
        return pieces[0]
    first = np.concatenate([piece.first for piece in pieces])
    return Extents.merged(first, np.concatenate([piece.last for piece in pieces]))


def vmalloc_component(area: Area) -> Component:
    """The component of a vmalloc area."""
    address = int(area.chunks[0]) if len(area.chunks) else None
    return Component("vmalloc", "", address, None, area, area.owned)
