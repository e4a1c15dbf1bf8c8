"""Finding the bytes of a handover that a fault changes."""

from __future__ import annotations

from collections.abc import Iterator

from khoci.fault.base import NotApplicableError, Write
from khoci.format.components import Component, walk
from khoci.format.handover import Handover
from khoci.format.memory import PAGE_SIZE, Memory

OUTSIDE = 1 << 45
"""A page-aligned physical address where no guest has memory."""


def field(memory: Memory, phys: int, new: bytes, what: str) -> Write:
    """Put ``new`` at ``phys``."""
    return Write(phys, memory.read(phys, len(new)), new, what)


def word(memory: Memory, phys: int, value: int, what: str) -> Write:
    """Put a little-endian u64 at ``phys``."""
    return field(memory, phys, value.to_bytes(8, "little"), what)


def swapped(memory: Memory, page: int, old: bytes, new: bytes, what: str) -> Write:
    """Put ``new`` in the place of the first ``old`` in the page at ``page``.

    Raises:
        NotApplicableError: there is none.
    """
    at = memory.read(page, PAGE_SIZE).find(old)
    if at < 0:
        raise NotApplicableError(f"{what} is not in the page at {page:#x}")
    return Write(page + at, old, new, what)


def renumbered(memory: Memory, page: int, name: str, version: object, step: int) -> Write:
    """Put another number into the version string ``name-vN`` that ends with a NUL.

    Raises:
        NotApplicableError: it is not in the page, or its number has more than one digit.
    """
    text = str(version)
    head, mark, digit = text.rpartition("-v")
    if head != name or not mark or len(digit) != 1:
        raise NotApplicableError(f"'{text}' is no {name}-vN of one digit")
    other = f"{name}-v{(int(digit) + step) % 10}"
    return swapped(memory, page, f"{text}\0".encode(), f"{other}\0".encode(), f"{text} to {other}")


def component(handover: Handover, name: str) -> Component:
    """The first component of this name that has an address.

    Raises:
        NotApplicableError: nothing of it is handed over.
    """
    for item in components(handover, name):
        if item.address is not None:
            return item
    raise NotApplicableError(f"there is no {name} in the handover")


def components(handover: Handover, name: str) -> Iterator[Component]:
    """All components of this name."""
    return (item for _, item in walk(handover.components) if item.name == name)


def address(item: Component) -> int:
    """Where it is.

    Raises:
        NotApplicableError: nobody knows.
    """
    if item.address is None:
        raise NotApplicableError(f"the address of {item.name} is not known")
    return item.address
