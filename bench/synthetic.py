"""Handovers of millions of order-0 blocks, made by the encoders of the tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from khoci.format.bitmaps import Layout
from khoci.format.blocks import Blocks
from khoci.format.capture import Capture
from khoci.format.ranges import Range
from khoci.format.scratch import ScratchArea
from tests.format import encoders
from tests.format.encoders import GIB, Image

if TYPE_CHECKING:
    from khoci.format.extents import Addresses

LAYOUTS = ("A", "B", "radix")
PATTERNS = ("contiguous", "alternate", "random")
SCRATCH = (ScratchArea("global", GIB, 256 << 20),)
BASE = 4 * GIB
"""Preserved memory begins here; below are the map itself and the scratch area."""
_SPREAD = {"contiguous": 1, "alternate": 2, "random": 4}
_PAGE = 4096


def memory_size(count: int, pattern: str) -> int:
    """Bytes that ``count`` blocks are spread over."""
    return count * _SPREAD[pattern] * _PAGE


def handover(layout: str, pattern: str, count: int) -> Capture:
    """A root FDT and a map of its page and of ``count`` other pages."""
    image = Image((Range(0, BASE + memory_size(count, pattern)),), free=GIB // 2)
    fdt_addr = image.alloc()
    numbers = np.insert(_numbers(pattern, count), 0, np.uint64(fdt_addr))
    blocks = Blocks(numbers, np.zeros(len(numbers), dtype=np.uint8))
    if layout == "radix":
        first, version = encoders.radix_tree(image, blocks), "kho-v4"
    else:
        first, version = encoders.bitmap_map(image, blocks, Layout(layout)), "kho-v1"
    image.write(fdt_addr, encoders.root_tree(version, first, {}))
    return Capture(image.memory(), fdt_addr)


def _numbers(pattern: str, count: int) -> Addresses:
    pages = np.arange(count * _SPREAD[pattern], dtype=np.uint64)
    if pattern == "alternate":
        pages = pages[::2]
    if pattern == "random":
        chosen = np.random.default_rng(1).choice(len(pages), count, replace=False)
        pages = np.sort(chosen).astype(np.uint64)
    return np.uint64(BASE) + pages * np.uint64(_PAGE)
