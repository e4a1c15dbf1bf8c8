"""The ``memblock`` subtree: regions named by ``reserve_mem=`` (``mm/memblock.c``, all releases)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.format import versions
from khoci.format.payload import string, u64
from khoci.format.ranges import Range
from khoci.format.versions import Version

if TYPE_CHECKING:
    from khoci.format.errors import Place
    from khoci.format.fdt import Node

MAX_REGIONS = 8
_ROOT = Version("memblock", 1)
_REGION = Version("reserve-mem", 1)


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


@dataclass(frozen=True, slots=True)
class ReserveMem:
    """All regions; none are read of an unknown ``version``."""

    version: Version
    regions: tuple[Region, ...]


def parse(root: Node, place: Place) -> ReserveMem:
    """Take the regions from the subtree's FDT.

    Raises:
        DecodeError: a property is missing or has a wrong size, a region is of another version,
            or there are more than the kernel can have.
    """
    version = versions.parse(string(root, "compatible", place))
    if version != _ROOT:
        return ReserveMem(version, ())
    if len(root.children) > MAX_REGIONS:
        raise place.error(f"{len(root.children)} regions, the kernel has at most {MAX_REGIONS}")
    return ReserveMem(version, tuple(_region(node, place / node.name) for node in root.children))


def _region(node: Node, place: Place) -> Region:
    compatible = string(node, "compatible", place)
    if versions.parse(compatible) != _REGION:
        raise place.error(f"the region is {compatible!r}, not {str(_REGION)!r}")
    return Region(node.name, u64(node, "start", place), u64(node, "size", place))
