"""Each fault on captures of real kernels: what it writes, and what the decoders make of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from khoci.compat.verdict import RULES
from khoci.errors import UsageError
from khoci.fault import faults, select
from khoci.fault.base import Fault, NotApplicableError, Write
from khoci.format import capture
from khoci.format.errors import DecodeError
from khoci.format.handover import Handover, decode
from khoci.format.memory import Memory
from khoci.format.ranges import Range
from khoci.scenario import definitions

CAPTURES = Path(__file__).parents[1] / "format" / "captures"
FILES = {path.stem: path for path in sorted(CAPTURES.glob("*.khocap"))}
BEHIND = {"handoff-fdt-outside", "handoff-scratch-zeroed", "handoff-scratch-none"}
"""Captures do not have the setup_data; these are tried on real kernels only."""


@dataclass(frozen=True)
class Broken:
    """Memory with other bytes here and there."""

    memory: Memory
    writes: tuple[Write, ...]
    ram: tuple[Range, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ram", self.memory.ram)

    def read(self, phys: int, size: int) -> bytes:
        data = bytearray(self.memory.read(phys, size))
        for write in self.writes:
            for index, byte in enumerate(write.new):
                if 0 <= write.phys + index - phys < size:
                    data[write.phys + index - phys] = byte
        return bytes(data)

    def data(self) -> Iterator[Range]:
        return iter(self.memory.data())


def load(name: str) -> tuple[Memory, Handover, bytes | None]:
    kept = capture.load(FILES[name])
    return kept.pages, decode(kept.pages, kept.fdt_addr, scratch=kept.scratch), kept.scratch


def applied(fault: Fault, memory: Memory, handover: Handover) -> tuple[Write, ...] | None:
    try:
        return fault.apply(memory, handover)
    except NotApplicableError:
        return None


def seen(memory: Memory, handover: Handover, scratch: bytes | None) -> object:
    """All that the decoders say of a handover, or their error."""
    assert handover.fdt_addr is not None
    try:
        found = decode(memory, handover.fdt_addr, scratch=scratch)
        return found.root, found.map.blocks.phys.tolist(), found.components, found.problems
    except DecodeError as error:
        return str(error)


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_over_is_what_is_there(name: str) -> None:
    memory, handover, _ = load(name)
    for fault in faults().values():
        for write in applied(fault, memory, handover) or ():
            assert len(write.old) == len(write.new) > 0
            assert write.old != write.new
            assert memory.read(write.phys, len(write.old)) == write.old


@pytest.mark.parametrize("name", FILES)
def test_the_decoders_see_it(name: str) -> None:
    memory, handover, scratch = load(name)
    intact = seen(memory, handover, scratch)
    for fault in faults().values():
        writes = applied(fault, memory, handover)
        if writes is not None and fault.name not in BEHIND:
            assert seen(Broken(memory, writes), handover, scratch) != intact, fault.name


def test_each_fault_is_possible_somewhere() -> None:
    done = set(BEHIND)
    for name in FILES:
        memory, handover, _ = load(name)
        done |= {fault.name for fault in faults().values() if applied(fault, memory, handover)}
    assert done == set(faults())


@pytest.mark.parametrize("fault", faults().values(), ids=lambda fault: fault.name)
def test_what_a_fault_says(fault: Fault) -> None:
    assert fault.component in RULES
    assert fault.scenario in definitions()
    assert fault.summary


def test_a_chunk_list_has_no_nodes_and_a_tree_no_chunks() -> None:
    (absurd,) = select(["map-order-absurd"])
    memory, handover, _ = load("v7.3.4-reserve-mem")
    with pytest.raises(NotApplicableError, match="no chunks"):
        absurd.apply(memory, handover)


def test_the_bit_is_that_of_the_block() -> None:
    (cleared,) = select(["map-bit-cleared"])
    for name in (name for name in FILES if name.endswith("reserve-mem")):
        memory, handover, scratch = load(name)
        broken = Broken(memory, cleared.apply(memory, handover))
        assert handover.fdt_addr is not None
        after = decode(broken, handover.fdt_addr, scratch=scratch).map.blocks
        assert len(after) == len(handover.map.blocks) - 1


def test_none_is_all_and_a_wrong_name_is_told() -> None:
    assert [fault.name for fault in select([])] == list(faults())
    with pytest.raises(UsageError, match=r"unknown fault 'x': khoci fault run --list"):
        select(["x"])
