"""Faults of LUO: head, sessions, files, blocks (``include/linux/kho/abi/luo.h``, ``block.h``)."""

from __future__ import annotations

from collections.abc import Callable

from khoci.fault.base import Fault, NotApplicableError, Write
from khoci.fault.patching import OUTSIDE, address, component, components, field, swapped, word
from khoci.format import fdt
from khoci.format.block import Chain
from khoci.format.handover import Handover
from khoci.format.luo import Luo, Shape
from khoci.format.memory import PAGE_SIZE, Memory
from khoci.format.session import FILE_SIZE, SESSION_SIZE

_HANDLER = b"memfd-v"
_HEADER = 16
"""Of a block: next, count."""

Apply = Callable[[Memory, Handover], tuple[Write, ...]]


def _head(handover: Handover) -> Luo:
    value = component(handover, "luo").value
    if not isinstance(value, Luo) or not value.sessions_at:
        raise NotApplicableError("there is no list of sessions")
    return value


def _version(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    item = component(handover, "luo")
    old = str(item.version)
    new = f"{old[:-1]}{(int(old[-1]) + 1) % 10}"
    is_tree = memory.read(address(item), 4) == fdt.MAGIC
    end = b"\0" if is_tree else b""
    what = f"{old} to {new}"
    return (swapped(memory, address(item), old.encode() + end, new.encode() + end, what),)


def _sessions_outside(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    at = _head(handover).sessions_at or 0
    old, new = (value.to_bytes(8, "little") for value in (at, OUTSIDE))
    page = address(component(handover, "luo"))
    return (swapped(memory, page, old, new, "the pointer to the sessions"),)


def _session_count(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    head = _head(handover)
    at = (head.sessions_at or 0) + (8 if head.shape is Shape.STRUCT else 0)
    return (word(memory, at, PAGE_SIZE, "the number of sessions"),)


def _first_block(handover: Handover) -> int:
    for item in components(handover, "block"):
        if isinstance(item.value, Chain) and item.value.pages:
            return item.value.pages[0]
    raise NotApplicableError("there are no KHO blocks")


def _block_cycle(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    first = _first_block(handover)
    return (word(memory, first, first, "next of the first block"),)


def _block_empty(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    return (word(memory, _first_block(handover) + 8, 0, "count of the first block"),)


def _block_outside(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    return (word(memory, _first_block(handover), OUTSIDE, "next of the first block"),)


def _first_file(memory: Memory, handover: Handover) -> int:
    """The address of the first file's entry."""
    for item in components(handover, "session"):
        if item.address:
            raw = memory.read(item.address, PAGE_SIZE)
            at = raw.find(_HANDLER)
            if at >= 0:
                return item.address + at
    raise NotApplicableError("there is no file in a session")


def _handler(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    at = _first_file(memory, handover) + len(_HANDLER)
    return (field(memory, at, b"9", "the file's handler"),)


def _file_data(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    at = _first_file(memory, handover) + FILE_SIZE - 16
    return (word(memory, at, OUTSIDE, "the file's data"),)


def _file_count(memory: Memory, handover: Handover) -> tuple[Write, ...]:
    """One file more than there is, where a session tells the number of its files."""
    head = _head(handover)
    start = head.sessions_at or 0
    first = start + (_HEADER if head.shape is Shape.STRUCT else 8)
    for index in range((PAGE_SIZE - _HEADER) // SESSION_SIZE):
        at = first + index * SESSION_SIZE + SESSION_SIZE - 8
        count = int.from_bytes(memory.read(at, 8), "little")
        if count:
            return (word(memory, at, count + 1, "the number of files in a session"),)
    raise NotApplicableError("there is no file in a session")


def _fault(name: str, summary: str, component: str, apply: Apply) -> Fault:
    return Fault(name, summary, component, "memfd", apply)


FAULTS = (
    _fault("luo-version-bumped", "LUO is of the next version", "luo", _version),
    _fault("luo-sessions-outside", "the sessions are not in RAM", "luo", _sessions_outside),
    _fault("luo-session-count", "there are 4096 sessions", "session", _session_count),
    _fault("luo-file-count", "a session has one file more than it has", "session", _file_count),
    _fault("luo-file-handler", "a file's handler is memfd-v9", "session", _handler),
    _fault("luo-file-data-outside", "a file's data is not in RAM", "session", _file_data),
    _fault("block-cycle", "the first block is its own next", "block", _block_cycle),
    _fault("block-empty", "the first block has no entry", "block", _block_empty),
    _fault("block-outside", "the next block is not in RAM", "block", _block_outside),
)
