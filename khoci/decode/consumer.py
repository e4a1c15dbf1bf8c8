"""The same handover as consumers would read it, and what lies between two readings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from khoci.compat import outlook
from khoci.decode.plain import heading
from khoci.decode.words import human, plural, printable
from khoci.format.components import union
from khoci.format.extents import Extents
from khoci.format.handover import owned
from khoci.format.ownership import ORPHAN, shares

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from khoci.config.abi import Abi
    from khoci.decode.found import Found
    from khoci.format.reading import Reading

_STEP = "  "
NOBODY = "memory that nobody preserved"


@dataclass(frozen=True)
class AsConsumer:
    """One consumer's reading.

    Attributes:
        name: of the consumer.
        refused: why it does not read the map at all, empty if it does.
        reading: None if it is refused.
        reserved: the memory that it keeps, none if it is refused.
    """

    name: str
    refused: str = ""
    reading: Reading | None = None
    reserved: Extents = field(default_factory=lambda: Extents.of(()))


@dataclass(frozen=True)
class Change:
    """What the second of two readings reserves more or less than the first, by owner.

    ``refusing`` are the names of those that refuse the handover.
    """

    first: str
    second: str
    lost: Mapping[str, Extents]
    gained: Mapping[str, Extents]
    refusing: tuple[str, ...] = ()


def read(found: Found, abi: Abi) -> AsConsumer:
    """Read the map of ``found`` as the release ``abi`` does, bug for bug."""
    root = found.handover.root
    if str(root.version) != abi.root.compatible:
        text = f"understands {abi.root.compatible}, not {root.version}"
        return AsConsumer(abi.name, text)
    if not root.memory_map and abi.memory_map.pointer_0_refused:
        return AsConsumer(abi.name, "refuses a memory map at address 0")
    reading = outlook.read(found.memory, found.handover, abi)
    return AsConsumer(abi.name, reading=reading, reserved=reading.blocks.extents)


def change(found: Found, first: AsConsumer, second: AsConsumer) -> Change:
    """The memory that only one of the two reserves; who refuses reserves nothing."""
    before, after = first.reserved, second.reserved
    return Change(
        first.name,
        second.name,
        lost=_by_owner(found, before - after),
        gained=_by_owner(found, after - before),
        refusing=tuple(reader.name for reader in (first, second) if reader.reading is None),
    )


def missing(found: Found, reader: AsConsumer) -> dict[str, Extents]:
    """What the reader does not reserve of the memory that components need, by owner."""
    needed = found.handover.map.blocks.extents
    return _by_owner(found, needed - reader.reserved)


def lines(found: Found, reader: AsConsumer) -> list[str]:
    """One reading for people."""
    if reader.reading is None:
        return [f"{reader.name} refuses the handover: {printable(reader.refused)}"]
    reading = reader.reading
    blocks = f"{plural(len(reading.blocks), 'block')}, {human(reader.reserved.size)}"
    text = [f"{reader.name} reserves {blocks}"]
    if reading.error:
        text.append(f"{_STEP}khoci cannot follow it further: {reading.error}")
    text += [f"{_STEP}{note}" for note in reading.notes]
    if len(reading.outside):
        text.append(f"{_STEP}{plural(len(reading.outside), 'block')} of memory that is not there")
    text += _owned_lines("lost", missing(found, reader))
    gained = _by_owner(found, reader.reserved - found.handover.map.blocks.extents)
    return [*text, *_owned_lines("reserved though nobody preserved it", gained)]


def change_lines(found: Change) -> list[str]:
    """A change for people, in the manner of a diff's summary."""
    refusals = [f"{name} refuses the handover, and reserves nothing" for name in found.refusing]
    if not found.lost and not found.gained:
        return refusals or [f"{found.first} and {found.second} reserve the same memory"]
    return [
        *refusals,
        f"from {found.first} to {found.second}",
        *_owned_lines("lost", found.lost),
        *_owned_lines("gained", found.gained),
    ]


def plain_reading(found: Found, reader: AsConsumer) -> dict[str, Any]:
    """One reading as JSON values."""
    reading = reader.reading
    return {
        **heading("reading"),
        "consumer": reader.name,
        "refused": reader.refused or None,
        "blocks": len(reading.blocks) if reading else 0,
        "size": reader.reserved.size,
        "outside": len(reading.outside) if reading else 0,
        "notes": list(reading.notes) if reading else [],
        "error": reading.error if reading else None,
        "lost": _plain(missing(found, reader)),
    }


def plain_change(found: Change) -> dict[str, Any]:
    """A change as JSON values."""
    return {
        **heading("difference"),
        "first": found.first,
        "second": found.second,
        "lost": _plain(found.lost),
        "gained": _plain(found.gained),
    }


def _by_owner(found: Found, memory: Extents) -> dict[str, Extents]:
    """``memory`` cut by owner; what nobody owns, and what nobody preserved, are last."""
    by_path = owned(found.handover)
    rest = memory - union(by_path.values())
    unknown = rest - found.handover.map.blocks.extents
    last = {ORPHAN: rest - unknown, NOBODY: unknown}
    return {**shares(by_path, memory), **{name: part for name, part in last.items() if part}}


def _owned_lines(word: str, shares: Mapping[str, Extents]) -> Iterable[str]:
    for owner, extents in shares.items():
        where = f"{extents.first[0]:#x}"
        pieces = plural(len(extents), "piece")
        yield f"{_STEP}{word}: {human(extents.size)} of {printable(owner)}, {pieces} from {where}"


def _plain(shares: Mapping[str, Extents]) -> list[dict[str, Any]]:
    return [
        {
            "owner": owner,
            "size": extents.size,
            "extents": [[f"{item.start:#x}", item.size] for item in extents],
        }
        for owner, extents in shares.items()
    ]
