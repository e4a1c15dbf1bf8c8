"""The named regions of a running kernel."""

from __future__ import annotations

import struct

import pytest

from khoci.compat.revived import kernel_code, parse_table
from khoci.format.ranges import Range

IOMEM = """00000000-00000fff : Reserved
00100000-3fffffff : System RAM
  01000000-011fffff : Kernel code
  01200000-012fffff : Kernel rodata
"""


RAM = (Range(0, 1 << 30),)


def entry(name: bytes, start: int, size: int) -> bytes:
    return struct.pack("<16sQQ", name, start, size)


def test_a_table_names_its_regions() -> None:
    raw = entry(b"large", 0x1000, 0x2000) + entry(b"sixteen-letters", 0x8000, 0x1000)
    wanted = {"large": Range(0x1000, 0x2000), "sixteen-letters": Range(0x8000, 0x1000)}
    assert parse_table(raw + bytes(6 * 32), RAM) == wanted


def test_a_region_that_was_given_back_is_none() -> None:
    assert parse_table(entry(b"gone", 0x1000, 0), RAM) == {}


@pytest.mark.parametrize(
    "raw",
    [
        entry(b"\xff" * 16, 0x1000, 1),
        entry(b"two\0names", 0x1000, 1),
        entry(b"", 0x1000, 1),
        entry(b"nowhere", 0, 0x1000),
        entry(b"outside", RAM[0].end, 0x1000),
        struct.pack("<32sQQ", b"long", 0x1000, 0x2000) * 8,
    ],
)
def test_another_table_tells_nothing(raw: bytes) -> None:
    assert parse_table(raw[: 8 * 32], RAM) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (IOMEM, 0x100_0000),
        ("", None),
        (IOMEM.replace("Kernel code", "Crash kernel"), None),
        ("00000000-00000000 : Kernel code\n", None),
    ],
)
def test_where_the_kernel_is(text: str, address: int | None) -> None:
    assert kernel_code(text) == address
