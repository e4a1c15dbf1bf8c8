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


def entry(name: bytes, start: int, size: int) -> bytes:
    return struct.pack("<16sQQ", name, start, size)


def test_a_table_names_its_regions() -> None:
    raw = entry(b"large", 0x1000, 0x2000) + entry(b"sixteen-letters", 0x8000, 0x1000)
    wanted = {"large": Range(0x1000, 0x2000), "sixteen-letters": Range(0x8000, 0x1000)}
    assert parse_table(raw + bytes(6 * 32)) == wanted


def test_a_region_that_was_given_back_is_none() -> None:
    assert parse_table(entry(b"gone", 0x1000, 0)) == {}


def test_a_name_of_any_bytes_is_one() -> None:
    assert list(parse_table(entry(b"\xff" * 16, 0, 1))) == ["\ufffd" * 16]


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
