"""The ``memblock`` subtree: regions named by ``reserve_mem=`` (``mm/memblock.c``, all releases).

The reader takes the region of its own label, if the size is the one it wants and the start is
aligned as it wants. 6.16 and 6.17 preserve a region only if it is page aligned, later kernels
preserve ``size >> PAGE_SHIFT`` pages from the one where it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import versions
from khoci.format.memory import PAGE_SHIFT
from khoci.format.payload import string, u64
from khoci.format.ranges import Range
from khoci.format.versions import Version

if TYPE_CHECKING:
    from khoci.format.errors import Place
    from khoci.format.fdt import Node

MAX_REGIONS = 8
KNOWN = frozenset({Version("memblock", 1)})
REGION = Version("reserve-mem", 1)


@dataclass(frozen=True, slots=True)
class Region:
    """A reserved region; ``start`` and ``size`` in bytes."""

    name: str
    start: int
    size: int

    @property
    def range(self) -> Range:
        """The region's addresses."""
        return Range(self.start, self.size)

    def preserved(self, page_shift: int = PAGE_SHIFT) -> Range:
        """The whole pages that are preserved of it."""
        mask = (1 << page_shift) - 1
        return Range(self.start & ~mask, self.size & ~mask)


@dataclass(frozen=True, slots=True)
class ReserveMem:
    """All regions; none are read of an unknown ``version``."""

    version: Version
    regions: tuple[Region, ...]


def parse(root: Node, place: Place) -> ReserveMem:
    """Take the regions from the subtree's FDT.

    Raises:
        DecodeError: a property is missing or has a wrong size, a region is of another version or
            leaves 64 bits, or there are more than the kernel can have.
    """
    version = versions.parse(string(root, "compatible", place))
    if version not in KNOWN:
        return ReserveMem(version, ())
    if len(root.children) > MAX_REGIONS:
        raise place.error(f"{len(root.children)} regions, the kernel has at most {MAX_REGIONS}")
    return ReserveMem(version, tuple(_region(node, place / node.name) for node in root.children))


def _region(node: Node, place: Place) -> Region:
    compatible = string(node, "compatible", place)
    if versions.parse(compatible) != REGION:
        raise place.error(f"the region is {compatible!r}, not {str(REGION)!r}")
    region = Region(node.name, u64(node, "start", place), u64(node, "size", place))
    if region.range.end > 1 << 64:
        raise place.error(f"{region.size:#x} bytes from {region.start:#x} leave 64 bits")
    return region
