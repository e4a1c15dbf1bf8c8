from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from khoci.format.bits import set_bits


@given(st.binary(max_size=64))
def test_all_set_bits_in_ascending_order(bitmap: bytes) -> None:
    bits = [b for b in range(len(bitmap) * 8) if bitmap[b // 8] >> (b % 8) & 1]
    assert set_bits(bitmap).tolist() == bits


def test_whole_and_empty_bitmaps() -> None:
    assert set_bits(b"\xff" * 4096).tolist() == list(range(32768))
    assert set_bits(bytes(4096)).tolist() == []
    assert set_bits(b"").tolist() == []


def test_numbers_are_addresses_without_conversion() -> None:
    assert set_bits(b"\x80").dtype == "uint64"
