"""From a file to the handover in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.decode.words import printable
from khoci.errors import UsageError
from khoci.format import locate
from khoci.format import scratch as scratches
from khoci.format.errors import DecodeError, Place
from khoci.format.handover import Handover, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from khoci.format.locate import Candidate
    from khoci.format.memory import Memory
    from khoci.source.opener import Source


@dataclass(frozen=True)
class Found:
    """A decoded handover and where it comes from.

    Attributes:
        handover: decoded.
        memory: what it was decoded from.
        name: the file, or the machine.
        kind: ``capture``, ``elf``, ``raw``, ``kcore``, or of the running machine ``out`` or ``in``.
        release: of the producer, None if the source does not say it.
        notes: how it was found, and what is special about the source.
    """

    handover: Handover
    memory: Memory
    name: str
    kind: str
    release: str | None = None
    notes: tuple[str, ...] = ()


def find(source: Source, root: int | None = None, scratch: bytes | None = None) -> Found:
    """Decode the one handover of ``source``.

    Args:
        source: open.
        root: physical address of the root FDT, if the user says it.
        scratch: the scratch array, if the user says it.

    Raises:
        UsageError: there is no root FDT, or several and nobody says which.
    """
    address, array, notes = _place(source) if root is None else (root, source.scratch, ())
    try:
        handover = decode(
            source.memory, address, scratch=scratch or array, page_shift=source.page_shift
        )
    except DecodeError as error:
        raise UsageError(f"{source.path}: {printable(str(error))}") from None
    release = source.release or told_release(handover)
    return Found(handover, source.memory, str(source.path), source.kind, release, notes)


def _place(source: Source) -> tuple[int, bytes | None, tuple[str, ...]]:
    """Address of the root FDT, the scratch array, and what pointed there."""
    if source.fdt_addr is not None:
        return source.fdt_addr, source.scratch, ()
    found = candidates(source)
    if not found:
        raise UsageError(
            f"{source.path}: no handover is in it: neither setup_data nor a device tree points to "
            "a root FDT, and no page begins with one"
        )
    best = choose(source, found)
    array = source.scratch or _scratch(source.memory, best)
    others = (f"not taken: the root FDT at {_said(item)}" for item in found if item is not best)
    return best.fdt_addr, array, (f"found by {', '.join(best.found)}", *others)


def candidates(source: Source) -> tuple[Candidate, ...]:
    """All root FDTs in ``source``.

    Raises:
        UsageError: its memory cannot be read.
    """
    try:
        return locate.candidates(source.memory)
    except DecodeError as error:
        raise UsageError(f"{source.path}: {printable(str(error))}") from None


def choose(source: Source, found: Sequence[Candidate]) -> Candidate:
    """The only one, or the only one with a hand-off.

    Raises:
        UsageError: there are several.
    """
    pointed = [item for item in found if item.scratch is not None] or list(found)
    if len(pointed) > 1:
        listed = "; ".join(map(_said, pointed))
        raise UsageError(f"{source.path}: {len(pointed)} handovers, say --root ADDRESS: {listed}")
    return pointed[0]


def _said(item: Candidate) -> str:
    return f"{item.fdt_addr:#x} ({', '.join(item.found)})"


def _scratch(memory: Memory, item: Candidate) -> bytes | None:
    """The array that a hand-off points to, if it is believable.

    While the producer still stands anything may be there: the segments are copied at the jump.
    """
    if item.scratch is None:
        return None
    try:
        array = memory.read(item.scratch.start, item.scratch.size)
        scratches.parse(array, memory.ram, Place("scratch"))
    except DecodeError:
        return None
    return array


def told_release(handover: Handover) -> str | None:
    """What the handover itself says of its producer, from 7.1 on."""
    return handover.metadata.previous_release if handover.metadata else None
