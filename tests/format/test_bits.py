from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from khoci.format.bits import bit_runs


@given(st.binary(max_size=64))
def test_runs_are_all_set_bits_and_as_few_as_possible(bitmap: bytes) -> None:
    bits = [b for b in range(len(bitmap) * 8) if bitmap[b // 8] >> (b % 8) & 1]
    runs = list(bit_runs(bitmap))
    assert [first + i for first, count in runs for i in range(count)] == bits
    assert all(a + n < b for (a, n), (b, _) in pairwise(runs))


def test_whole_and_empty_bitmaps() -> None:
    assert list(bit_runs(b"\xff" * 4096)) == [(0, 32768)]
    assert list(bit_runs(bytes(4096))) == []
    assert list(bit_runs(b"")) == []
