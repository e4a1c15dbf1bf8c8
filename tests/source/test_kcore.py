from __future__ import annotations

import pytest

from khoci.format.errors import DecodeError
from khoci.format.memory import Pages
from khoci.format.ranges import Range
from khoci.source.elfcore import Core, Segment, read_core
from khoci.source.kcore import open_kcore, system_ram
from tests.source.dumps import NOWHERE, Kcore

RAM = (Range(0x1000, 0x9E000), Range(0x10_0000, 63 << 20))
PAGES = Pages(RAM, {0x1000: b"a" * 4096, 0x100_0000: b"i" * 4096, 0x200_0000: b"b" * 4096})
IOMEM = """\
00000000-00000fff : Reserved
00001000-0009fbff : System RAM
000a0000-000bffff : PCI Bus 0000:00
00100000-03ffffff : System RAM
  01000000-019fffff : Kernel code
100000000-17fffffff : CXL Window 0
  100000000-13fffffff : dax0.0
    100000000-13fffffff : System RAM (kmem)
fee00000-fee00fff : Local APIC
"""


def core(kcore: Kcore) -> Core:
    return read_core(kcore)


@pytest.mark.parametrize("base", [0xFFFF_8880_0000_0000, 0xFFFF_8A41_4000_0000, 0xFFFF << 48])
def test_ram_is_the_direct_map_and_nothing_else(base: int) -> None:
    kcore = Kcore(PAGES, base)
    headers = core(kcore)
    assert headers.live
    assert headers.info is not None
    memory = open_kcore(kcore, headers)
    assert memory.ram == RAM
    assert memory.read(0x1000, 0x1001) == b"a" * 4096 + b"\0"
    assert memory.read(0x100_0000, 9000) == b"i" * 4096 + bytes(9000 - 4096)
    assert list(memory.data()) == list(RAM)


def test_arm64_ram_does_not_begin_at_zero() -> None:
    """There the first byte of the direct map is the first one of RAM, not address zero."""
    base, start = 0xFFFF_0000_0000_0000, 0x4000_0000
    loads = (
        Segment(0x7F00_0000_4000, 0xFFFF_8000_8000_0000, 0x4020_0000, 0x100_0000, 0x100_0000),
        Segment(0x7E00_0000_4000, 0xFFFF_8000_8000_0000, NOWHERE, 1 << 40, 1 << 40),
        Segment(0x4000, base, start, 1 << 30, 1 << 30),
        Segment(0x8000_4000, base + (1 << 31), start + (1 << 31), 1 << 30, 1 << 30),
    )
    memory = open_kcore(Kcore(PAGES), Core("aarch64", loads, None))
    assert memory.ram == (Range(start, 1 << 30), Range(start + (1 << 31), 1 << 30))
    assert [item.offset for item in memory.pieces] == [0x4000, 0x8000_4000]


def test_iomem_takes_nothing_away_that_is_ram() -> None:
    kcore = Kcore(PAGES)
    assert open_kcore(kcore, core(kcore), IOMEM).ram == RAM


def test_system_ram_is_what_has_the_name() -> None:
    assert system_ram(IOMEM) == (
        Range(0x1000, 0x9EC00),
        Range(0x10_0000, 0x3F0_0000),
        Range(1 << 32, 1 << 30),
    )


def test_less_ram_in_iomem_is_less_memory() -> None:
    kcore = Kcore(PAGES)
    memory = open_kcore(kcore, core(kcore), "00200000-002fffff : System RAM\n")
    assert memory.ram == (Range(0x20_0000, 0x10_0000),)
    assert memory.pieces[0].offset == 0x20_0000 + Kcore.DATA


@pytest.mark.parametrize("text", ["", "00000000-00000000 : System RAM\n" * 3, "junk\n"])
def test_iomem_without_addresses(text: str) -> None:
    with pytest.raises(DecodeError, match=r"^/proc/iomem: it names no System RAM: run as root"):
        system_ram(text)


@pytest.mark.parametrize("offset", [0x4000, 1 << 63])
def test_no_direct_map(offset: int) -> None:
    nowhere = Segment(0x4000, 0xFFFF_8000_0000_0000, NOWHERE, 1 << 40, 1 << 40)
    empty = Segment(offset, 0xFFFF_8000_0000_0000, 0, offset >> 63, 0)
    with pytest.raises(DecodeError, match=r"^kcore: it has no direct map"):
        open_kcore(Kcore(PAGES), Core("x86_64", (nowhere, empty), None))
