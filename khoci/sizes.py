"""Sizes as people and the kernel's command line write them: ``512M``, ``4K``, ``4096``."""

from __future__ import annotations

import re

_SHIFTS = {"K": 10, "M": 20, "G": 30}
_SIZE = re.compile(r"(\d+)([KMG])?", re.ASCII)


def parse_size(text: str) -> int | None:
    """Bytes of ``512M``, ``1G``, ``4096``; None if it is no size."""
    match = _SIZE.fullmatch(text)
    return int(match[1]) << _SHIFTS.get(match[2] or "", 0) if match else None


def size_text(size: int) -> str:
    """The shortest text that is ``size`` bytes: ``8M``, ``64K``, ``4097``."""
    for unit, shift in reversed(_SHIFTS.items()):
        if size and not size % (1 << shift):
            return f"{size >> shift}{unit}"
    return str(size)
