"""One handover, in every kind of file: all decode to the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from khoci.format import capture
from khoci.format.capture import Capture
from khoci.format.handoff import locate
from khoci.format.handover import decode
from khoci.format.memory import Memory, Pages, Recorder
from khoci.format.ranges import Range
from khoci.source.elfcore import read_core
from khoci.source.kcore import open_kcore
from khoci.source.opener import Source, open_source
from tests.format.encoders import setup_data
from tests.format.guests import Guest, guest, scratch_array
from tests.source.dumps import Kcore, elf, vmcoreinfo, write_raw

SCRATCH = scratch_array()


def made(family: str) -> Guest:
    """A guest with its hand-off in a page of its own."""
    found = guest(family)
    found.image.write(0x30_0000, setup_data(found.fdt_addr))
    return found


def raw_file(path: Path, memory: Pages, fdt_addr: int) -> Source:
    return open_source(write_raw(path, memory, memory.ram))


def split_file(path: Path, memory: Pages, fdt_addr: int) -> Source:
    """As a machine has it whose RAM is cut in two, and its upper half first in the file."""
    layout = (Range(256 << 20, 768 << 20), Range(0, 256 << 20))
    return open_source(write_raw(path, memory, layout), layout="256M-1G,0-256M")


def elf_file(path: Path, memory: Pages, fdt_addr: int) -> Source:
    path.write_bytes(elf(memory, vmcoreinfo()))
    return open_source(path)


def capture_file(path: Path, memory: Pages, fdt_addr: int) -> Source:
    recorder = Recorder(memory)
    decode(recorder, fdt_addr, scratch=SCRATCH)
    recorder.read(0x30_0000, 1)
    capture.save(path, Capture(recorder.recorded(), fdt_addr, SCRATCH))
    return open_source(path)


FILES = (raw_file, split_file, elf_file, capture_file)


@pytest.mark.parametrize("family", ["A", "B", "radix"])
@pytest.mark.parametrize("write", FILES, ids=lambda write: write.__name__)
def test_files(write: Callable[[Path, Pages, int], Source], family: str, tmp_path: Path) -> None:
    original = made(family)
    expected = decode(original.memory, original.fdt_addr, scratch=SCRATCH)
    assert expected.problems == ()
    with write(tmp_path / "dump", original.memory, original.fdt_addr) as source:
        check(source.memory, original)


@pytest.mark.parametrize("family", ["A", "B", "radix"])
def test_kcore(family: str) -> None:
    original = made(family)
    kcore = Kcore(original.memory)
    check(open_kcore(kcore, read_core(kcore)), original, search=False)


def check(memory: Memory, original: Guest, *, search: bool = True) -> None:
    found = decode(memory, original.fdt_addr, scratch=SCRATCH)
    assert found == decode(original.memory, original.fdt_addr, scratch=SCRATCH)
    assert memory.ram == original.memory.ram
    if search:
        handoff = locate(memory)
        assert handoff is not None
        assert handoff.fdt_addr == original.fdt_addr
