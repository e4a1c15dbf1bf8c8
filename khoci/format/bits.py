"""Bitmaps of set bits to runs of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ONES = re.compile("1+")


def bit_runs(bitmap: bytes) -> Iterator[tuple[int, int]]:
    """Yield ``(first, count)`` for each run of set bits in ascending order.

    Bit ``b`` is ``1 << (b % 8)`` of byte ``b // 8``, as in a little-endian kernel bitmap.
    """
    digits = f"{int.from_bytes(bitmap, 'little'):b}"[::-1]
    for ones in _ONES.finditer(digits):
        yield ones.start(), ones.end() - ones.start()
