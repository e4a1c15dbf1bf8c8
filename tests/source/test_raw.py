from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.errors import UsageError
from khoci.format.errors import DecodeError
from khoci.format.ranges import Range
from khoci.source.raw import EXAMPLE, open_raw, parse_layout

MIB, GIB = 1 << 20, 1 << 30


def test_layouts() -> None:
    assert parse_layout(EXAMPLE) == (Range(0, 2 * GIB), Range(4 * GIB, 2 * GIB))
    assert parse_layout("0-3G, 4g-0x180000000") == (Range(0, 3 * GIB), Range(4 * GIB, 2 * GIB))
    assert parse_layout("16M-17M") == (Range(16 * MIB, MIB),)
    assert parse_layout("010-20K") == (Range(10, 20480 - 10),)
    assert parse_layout("4G-5G,0-1G") == (Range(4 * GIB, GIB), Range(0, GIB))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no START-END"),
        ("0x1000", "'0x1000' is no START-END, write it like 0x0-"),
        ("0-1G,", "'' is no START-END"),
        ("0-x", "'x' is no address"),
        ("-1-5", "'' is no address"),
        ("0-1GB", "'1GB' is no address"),
        ("0-0xZ", "no address"),
        ("0-1²", "no address"),
        ("5-5", "'5-5' is empty"),
        ("2G-1G", "is empty"),
        ("0-0x1000000000000000000", "no address"),
        ("0-99999999999999999999", "behind 64 bits"),
        ("0-2G,1G-3G", "overlap"),
    ],
)
def test_bad_layouts(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_layout(text)


@given(st.text(max_size=30) | st.from_regex(r"[0-9a-fxkmgtKMGT,-]{0,40}", fullmatch=True))
def test_any_text_is_a_layout_or_refused(text: str) -> None:
    try:
        found = parse_layout(text)
    except UsageError:
        return
    assert all(item.size > 0 and item.end <= 2**64 for item in found)


def test_without_a_layout_the_offset_is_the_address() -> None:
    ram = open_raw(io.BytesIO(bytes(4096) + b"a" * 4096))
    assert ram.ram == (Range(0, 8192),)
    assert ram.read(4095, 2) == b"\0a"


def test_ranges_follow_each_other_in_the_file() -> None:
    file = io.BytesIO(b"a" * 4096 + b"b" * 8192 + b"c" * 4096)
    ram = open_raw(file, parse_layout("0x10000-0x11000,0x100000000-0x100002000,0x5000-0x6000"))
    assert ram.ram == (Range(0x5000, 4096), Range(0x1_0000, 4096), Range(1 << 32, 8192))
    assert ram.read(0x5FFF, 1) == b"c"
    assert ram.read(0x1_0000, 1) == b"a"
    assert ram.read((1 << 32) + 8191, 1) == b"b"
    assert [part.start for part in ram.data()] == [0x5000, 0x1_0000, 1 << 32]
    with pytest.raises(DecodeError):
        ram.read(0, 1)


@pytest.mark.parametrize("size", [1, 4095, 4097])
def test_no_whole_pages(size: int) -> None:
    with pytest.raises(DecodeError, match=f"^RAM: {size} bytes are no whole pages: it is cut off"):
        open_raw(io.BytesIO(bytes(size)))


@pytest.mark.parametrize("size", [4096, 12288])
def test_a_layout_of_another_file(size: int) -> None:
    with pytest.raises(DecodeError, match=f"layout describes 8192 bytes, the file has {size}"):
        open_raw(io.BytesIO(bytes(size)), parse_layout("0-8K"))
