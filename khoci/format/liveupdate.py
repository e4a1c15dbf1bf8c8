"""The live update orchestrator as components: sessions, their files, and objects bound to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from khoci.format import block, flb, luo, memfd, session
from khoci.format.checks import Problem
from khoci.format.components import Component, vmalloc_component
from khoci.format.extents import Extents
from khoci.format.luo import Luo, Shape
from khoci.format.memfd import Memfd

if TYPE_CHECKING:
    from khoci.format.decoding import Decoding
    from khoci.format.errors import Place
    from khoci.format.flb import Flb
    from khoci.format.session import File, Session

_NOTHING = Extents.of(())

# entries, the memory of their array, and the component of their blocks
_Sessions = tuple[tuple["Session", ...], Extents, tuple[Component, ...]]
_Files = tuple[tuple["File", ...], Extents, tuple[Component, ...]]


def decode(address: int, decoding: Decoding, place: Place) -> Component:
    """The component of the blob at ``address``; what cannot be decoded of it is noted.

    Raises:
        DecodeError: its head is broken.
    """
    head = luo.read(decoding.memory, address, place, decoding.meant)
    owned = decoding.pages(address)
    if not decoding.knows(head.version, luo.KNOWN, place):
        return Component("luo", "", address, head.version, head, owned)
    listed = _sessions(head, decoding, place)
    flbs = _flbs(head, decoding, place)
    if listed is None:
        return Component("luo", "", address, head.version, head, owned, flbs)
    sessions, array, below = listed
    found = tuple(_session(item, head, decoding, place) for item in sessions)
    value = replace(head, sessions=len(sessions))
    children = (*below, *found, *flbs)
    return Component("luo", "", address, head.version, value, owned | array, children)


def _sessions(head: Luo, decoding: Decoding, place: Place) -> _Sessions | None:
    version, first = head.session_version, head.sessions_at or 0
    if head.shape is Shape.STRUCT:
        here = place / "session"
        return decoding.tried(here, lambda: _session_blocks(first, decoding, here))
    here = (place / "luo-session").at(first)
    if version is None or not decoding.knows(version, session.KNOWN, here):
        return None
    return decoding.tried(here, lambda: _session_array(first, decoding, here))


def _session_array(address: int, decoding: Decoding, place: Place) -> _Sessions:
    decoding.take(address, place)
    entries, folio = session.session_array(decoding.memory, address, place, decoding.page_shift)
    return entries, Extents.of([folio]), ()


def _session_blocks(first: int, decoding: Decoding, place: Place) -> _Sessions:
    raw, below = _blocks(first, session.SESSION_SIZE, decoding, place)
    return tuple(map(session.parse_session, raw)), _NOTHING, below


def _blocks(
    first: int, size: int, decoding: Decoding, place: Place
) -> tuple[tuple[bytes, ...], tuple[Component, ...]]:
    """The entries of a list of KHO blocks, and its component if it has any block."""
    chain, entries = block.read(
        decoding.memory, first, size, place, decoding.page_shift, decoding.taken
    )
    component = Component("block", "", first, None, chain, chain.owned)
    return entries, (component,) if chain.pages else ()


def _session(item: Session, head: Luo, decoding: Decoding, place: Place) -> Component:
    here = place / f"session[{item.name}]"
    listed = decoding.tried(here, lambda: _files(item, head.shape, decoding, here))
    files, owned, below = listed or ((), _NOTHING, ())
    if listed and item.count != len(files):
        message = f"{item.count} files by the session, {len(files)} by their list: all are refused"
        decoding.note(Problem.at(here, message))
    children = (*below, *(_file(file, decoding, here) for file in files))
    address, version = item.files or None, head.session_version
    return Component("session", item.name, address, version, item, owned, children)


def _files(item: Session, shape: Shape, decoding: Decoding, place: Place) -> _Files:
    if not item.files:
        return (), _NOTHING, ()
    if shape is Shape.STRUCT:
        raw, below = _blocks(item.files, session.FILE_SIZE, decoding, place)
        return tuple(map(session.parse_file, raw)), _NOTHING, below
    decoding.take(item.files, place)
    files, folio = session.file_array(decoding.memory, item, place, decoding.page_shift)
    return files, Extents.of([folio]), ()


def _file(item: File, decoding: Decoding, place: Place) -> Component:
    """A file by its handler; one that nobody knows keeps its data as it is."""
    name, label = item.handler.name or "file", f"{item.token:#x}"
    here = (place / f"{name}[{label}]").at(item.data)
    if not decoding.knows(item.handler, memfd.KNOWN, here):
        return Component(name, label, item.data, item.handler, item, _NOTHING)
    broken = Component(name, label, item.data, item.handler, None, decoding.pages(item.data))
    return decoding.tried(here, lambda: _memfd(item, broken, decoding, here)) or broken


def _memfd(item: File, component: Component, decoding: Decoding, place: Place) -> Component:
    decoding.take(item.data, place)
    version = decoding.as_known(item.handler)
    head = memfd.read_head(decoding.memory, item.data, version, place)
    area, folios = None, memfd.no_folios(decoding.page_shift)
    if head.count:
        area = decoding.area(head.folios, place / "vmalloc")
        folios = memfd.read_folios(decoding.memory, area, head.count, place / "vmalloc")
    value = Memfd(item.handler, head.pos, head.size, head.seals, head.flags, folios, area)
    if value.unknown_seals:
        message = f"seals {value.unknown_seals:#x} are unknown: the next kernel refuses the file"
        decoding.note(Problem.at(place, message, "version"))
    owned = component.owned | folios.owned(decoding.blocks)
    below = (vmalloc_component(area),) if area else ()
    return replace(component, value=value, owned=owned, children=below)


def _flbs(head: Luo, decoding: Decoding, place: Place) -> tuple[Component, ...]:
    """The page of FLBs with an object for each; nothing if there is no page."""
    address, version = head.flbs_at, head.flb_version
    if not address:
        return ()
    here, owned = (place / "flb").at(address), decoding.pages(address)
    page = None
    if version is None or decoding.knows(version, flb.KNOWN, here):
        page = decoding.tried(
            here, lambda: flb.read(decoding.memory, address, here, decoding.page_shift)
        )
    objects = tuple(_flb(item, decoding, here) for item in page.objects) if page else ()
    return (Component("flb", "", address, version, page, owned, objects),)


def _flb(item: Flb, decoding: Decoding, place: Place) -> Component:
    label = str(item.version)
    decoding.knows(item.version, flb.PLAIN, place / label)
    return Component("flb", label, None, item.version, item, _NOTHING)
