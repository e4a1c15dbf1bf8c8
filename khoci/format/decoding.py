"""What the decoders of one handover share: the memory, what they found wrong, and their bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from khoci.format import vmalloc
from khoci.format.blocks import Blocks
from khoci.format.checks import UNDECODED, Problem
from khoci.format.errors import DecodeError
from khoci.format.extents import Extents
from khoci.format.memory import PAGE_SHIFT, Memory, ram_size
from khoci.format.ranges import Range
from khoci.format.versions import unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from khoci.format.errors import Place
    from khoci.format.khotest import Shape
    from khoci.format.versions import Version
    from khoci.format.vmalloc import Area, Descriptor

MAX_PROBLEMS = 256

MISSING = "missing"
"""Kind of a problem: the memory is a copy without this page."""

_NO_PLACE = "memory"

_T = TypeVar("_T")


@dataclass(slots=True)
class Decoding:
    """One pass over the components of a handover.

    Whatever the memory says, no page is a struct twice, and the vmalloc areas of all components
    together have no more pages than RAM: so the work is bounded by the size of RAM.

    Attributes:
        memory: of the producer at the jump.
        blocks: the memory map's, none if it was not read.
        likely: see `khotest.parse`.
        page_shift: log2 of the page size in bytes.
        meant: see `Known`.
        taken: pages that were read as a struct or a list.
    """

    memory: Memory
    blocks: Blocks = field(default_factory=lambda: Blocks.of(()))
    likely: Shape | None = None
    page_shift: int = PAGE_SHIFT
    meant: Mapping[Version, Version] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    _found: list[Problem] = field(default_factory=list)
    _more: int = 0
    _area_pages: int = 0

    def problems(self) -> Iterator[Problem]:
        """What was noted; of more than `MAX_PROBLEMS` only how many more there are."""
        yield from self._found
        if self._more:
            yield Problem("root", None, f"{self._more} more problems of components")

    def note(self, problem: Problem) -> None:
        """Keep a problem."""
        if len(self._found) < MAX_PROBLEMS:
            self._found.append(problem)
        else:
            self._more += 1

    def tried(self, place: Place, decode: Callable[[], _T]) -> _T | None:
        """What ``decode`` returns, None if it raises a `DecodeError`, which is then noted.

        A page that a partial copy does not have is a problem of the copy, of kind `MISSING`.
        """
        try:
            return decode()
        except DecodeError as error:
            missing = error.where == _NO_PLACE
            where = place.where if missing else error.where
            kind = MISSING if missing else UNDECODED
            self.note(Problem(where, error.address, error.message, kind))
            return None

    def as_known(self, version: Version) -> Version:
        """The version of a release that has the same format, if that is known."""
        return self.meant.get(version, version)

    def knows(self, version: Version, known: Collection[Version], place: Place) -> bool:
        """Whether ``version`` is one of ``known``; notes it if it is not."""
        if self.as_known(version) in known:
            return True
        message = f"version {unknown(version, known)}: what it owns is not known"
        self.note(Problem.at(place, message, "version"))
        return False

    def take(self, address: int, place: Place) -> None:
        """Read the page at ``address`` as a struct or a list.

        Raises:
            DecodeError: it was read before, or is not page aligned.
        """
        if address in self.taken or address % (1 << self.page_shift):
            raise place.at(address).error("it is not page aligned, or is reached twice")
        self.taken.add(address)

    def area(self, descriptor: Descriptor, place: Place) -> Area:
        """Read a vmalloc area.

        Raises:
            DecodeError: see `vmalloc.read`; or a chunk was read before, or all areas together
                have more pages than RAM.
        """
        self._area_pages += descriptor.total_pages
        if self._area_pages > ram_size(self.memory) >> self.page_shift:
            raise place.error("the vmalloc areas up to this one have more pages than RAM")
        area = vmalloc.read(self.memory, descriptor, place, self.page_shift)
        for chunk in area.chunks.tolist():
            self.take(chunk, place / "chunk")
        return area

    def pages(self, address: int, size: int = 1) -> Extents:
        """The whole pages of ``size`` bytes; of more than RAM has, the first."""
        if size > ram_size(self.memory) or address + size > 1 << 64:
            size = 1
        return Extents.of([Range(address, size).widened(1 << self.page_shift)])
