"""The Abi of a patched kernel: its release's, with what its sources now say. Pure.

What text tells is taken over: version strings, the property that names a blob, the size of the
map's bitmaps or leaves. Of what else changed only that it did is known: it is `unmodelled`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from khoci.abi import places
from khoci.abi.changes import CONSTANT, NAMES, VERSION, Change
from khoci.config.abi import BLOBS, Abi, LuoAbi
from khoci.format.bitmaps import layout_of_size
from khoci.format.known import Known
from khoci.format.radix import NAME, named
from khoci.format.versions import parse

_MAP = "memory map"
_LONGEST = 240
"""Characters of a reason."""
_DIGITS = 10
_MOST_LOG2 = 32


def patched_abi(base: Abi, found: Iterable[Change], name: str) -> Abi:
    """The Abi of the kernel ``name``: a release, ``base``, with patches that change ``found``."""
    changes = tuple(found)
    versions = [change for change in changes if change.kind == VERSION]
    abi = replace(base, name=name, base=base.name)
    for change in versions:
        abi = _with_version(abi, change)
    abi, others = _with_layout(abi, [change for change in changes if change.kind != VERSION])
    unmodelled: dict[str, list[Change]] = {}
    for change in filter(_is_break, others):
        unmodelled.setdefault(change.component, []).append(change)
    reasons = {component: _reason(items) for component, items in unmodelled.items()}
    digests = {component: _digest(items) for component, items in unmodelled.items()}
    return replace(abi, unmodelled=reasons, digests=digests, meant=_meant(versions, reasons))


def known_of(abi: Abi | None) -> Known:
    """What the decoders may know of a producer with this Abi."""
    if abi is None or not abi.base:
        return Known()
    layout = None if _MAP in abi.unmodelled else abi.memory_map.layout
    return Known(layout, {parse(new): parse(old) for new, old in abi.meant.items()})


def _is_break(change: Change) -> bool:
    """Whether a reader of the one version may misunderstand the other.

    A limit that is new or gone is none; nor is what is in a header of its own, which is a new
    component, what only new code uses, or a member whose name alone is another.
    """
    if change.kind == NAMES:
        return not change.same_use
    if change.kind == CONSTANT and (change.old is None or change.new is None):
        return False
    return not (change.new_file or change.unused)


def _with_version(abi: Abi, change: Change) -> Abi:
    """The Abi with another version; one of a component that it does not have is not taken over."""
    new = _plain(change.new)
    if change.name == places.ROOT and new:
        return replace(abi, root=replace(abi.root, compatible=new))
    if change.name in _RESERVE_MEM and new:
        key = _RESERVE_MEM[change.name]
        return replace(abi, reserve_mem=replace(abi.reserve_mem, **{key: new}))
    if change.name == places.KHO_TEST and new and abi.kho_test:
        return replace(abi, kho_test=replace(abi.kho_test, compatible=new))
    if change.name == places.METADATA:
        return replace(abi, metadata=int(new) if _is_number(new) else None)
    if abi.luo and change.name in _LUO:
        return replace(abi, luo=_LUO[change.name](abi.luo, _plain(change.old), new))
    return abi


def _luo(form: str) -> Callable[[LuoAbi, str, str], LuoAbi]:
    def changed(luo: LuoAbi, _: str, new: str) -> LuoAbi:
        return replace(luo, compatible=new, form=form) if new else luo

    return changed


def _handler(luo: LuoAbi, old: str, new: str) -> LuoAbi:
    kept = (handler for handler in luo.handlers if handler != old)
    return replace(luo, handlers=(*kept, *([new] if new else [])))


_RESERVE_MEM: Mapping[str, str] = {places.RESERVE_MEM: "compatible", places.REGION: "region"}
_LUO: Mapping[str, Callable[[LuoAbi, str, str], LuoAbi]] = {
    "LUO_ABI_COMPATIBLE": _luo("struct"),
    "LUO_FDT_COMPATIBLE": _luo("fdt"),
    places.SESSION: lambda luo, _, new: replace(luo, session=new or None),
    places.FLB: lambda luo, _, new: replace(luo, flb=new or None),
    places.MEMFD: _handler,
}


def _with_layout(abi: Abi, changes: list[Change]) -> tuple[Abi, list[Change]]:
    """The Abi with the layout of the map and the name of the property, and what is left."""
    layout = _bitmaps(changes) or _leaves(abi, changes)
    if layout:
        abi = replace(abi, memory_map=replace(abi.memory_map, layout=layout.name))
    left = []
    for change in changes:
        blob = _plain(change.new) if change.name in places.BLOB else ""
        if blob in BLOBS:
            abi = replace(abi, root=replace(abi.root, blob=blob))
        elif change.name in places.BLOB and change.new is None:
            continue  # what is there in its place is a change too
        elif not (layout and layout.explains(change)):
            left.append(change)
    return abi, left


@dataclass(frozen=True, slots=True)
class _Layout:
    """A layout that khoci reads, and the numbers of which it follows: before, and now."""

    name: str
    numbers: Mapping[str, str]

    def explains(self, change: Change) -> bool:
        """Whether a change is one of the numbers itself, or of a struct that has so many."""
        return change.component == _MAP and any(
            " ".join(new if word == old else word for word in (change.old or "").split(" "))
            == change.new
            for old, new in self.numbers.items()
        )


def _bitmaps(changes: Iterable[Change]) -> _Layout | None:
    """Bitmaps of another size, if that is what changed and khoci can read them."""
    bits = _number(places.BITMAP_BITS, changes)
    if bits is None or int(bits[1]) % 8:
        return None
    layout = layout_of_size(int(bits[1]) // 8)
    return _Layout(str(layout.value), {bits[0]: bits[1]}) if layout else None


def _leaves(abi: Abi, changes: list[Change]) -> _Layout | None:
    """A tree with leaves of another size, if that is what changed and khoci can read it."""
    bits = _number(places.LEAF_LOG2, changes)
    layout = f"{NAME}/{bits[1]}" if bits else ""
    geometry = named(layout)
    if bits is None or int(bits[0]) > _MOST_LOG2:
        return None
    if geometry is None or abi.memory_map.layout != NAME:
        return None
    depth = _number(places.TREE_DEPTH, changes)
    if depth and int(depth[1]) != geometry.depth:
        return None
    sizes = {str(1 << int(bits[0])): str(1 << int(bits[1]))}
    return _Layout(layout, {**sizes, bits[0]: bits[1], **({depth[0]: depth[1]} if depth else {})})


def _number(name: str, changes: Iterable[Change]) -> tuple[str, str] | None:
    """The number that a constant was and is, None if it is no other number now."""
    found = next((change for change in changes if change.name == name), None)
    old, new = (found.old or "", found.new or "") if found else ("", "")
    return (old, new) if _is_number(old) and _is_number(new) else None


def _is_number(text: str) -> bool:
    """Whether this is a number as C writes it, and one of 32 bits at most."""
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) < 1 << 32


def _meant(versions: Iterable[Change], unmodelled: Mapping[str, str]) -> dict[str, str]:
    """Which new strings stand for an old format: those whose components are all understood."""
    return {
        _plain(change.new): _plain(change.old)
        for change in versions
        if change.old and change.new and change.component not in unmodelled
    }


def _reason(items: Iterable[Change]) -> str:
    text = "; ".join(map(str, items))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _digest(items: Iterable[Change]) -> str:
    """The same only for the same definitions: a reason names structs, and not what is in them."""
    each = sorted((item.kind, item.name, item.old or "", item.new or "") for item in items)
    return hashlib.sha256(json.dumps(each).encode()).hexdigest()


def _plain(text: str | None) -> str:
    return (text or "").strip('"')
