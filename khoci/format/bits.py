"""Bitmaps to the numbers of their set bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def set_bits(bitmap: bytes) -> NDArray[np.uint64]:
    """The numbers of all set bits, in ascending order.

    Bit ``b`` is ``1 << (b % 8)`` of byte ``b // 8``, as in a little-endian kernel bitmap.
    """
    octets = np.frombuffer(bitmap, dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(octets, bitorder="little")).astype(np.uint64)
