"""A whole handover: the root FDT, the memory map it points to, and every component."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from khoci.format import memorymap, subtrees
from khoci.format import root as roots
from khoci.format import scratch as scratches
from khoci.format.blocks import Blocks
from khoci.format.checks import SHOWN, UNDECODED, Problem, check_map, check_owned
from khoci.format.components import union, walk, whole
from khoci.format.decoding import MISSING, Decoding
from khoci.format.errors import DecodeError, Place
from khoci.format.extents import Extents
from khoci.format.khotest import KhoTest, Shape
from khoci.format.known import NOTHING, Known
from khoci.format.luo import Luo
from khoci.format.memblock import ReserveMem
from khoci.format.memory import PAGE_SHIFT, Memory, is_ram
from khoci.format.memorymap import BITMAPS, MemoryMap
from khoci.format.metadata import KexecMetadata
from khoci.format.ownership import ORPHAN, ROOT, Owners, assign, shares
from khoci.format.ranges import Range
from khoci.format.root import MEMORY_MAP, Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from khoci.format.components import Component
    from khoci.format.scratch import ScratchArea
    from khoci.format.versions import Version

MAX_LOST = 64
"""So many components that lose memory are problems of their own."""

MAX_EXPECTED = 1024
"""So many ranges that have to be in a map are enough to tell its layout."""

_PARTS_MISSING = frozenset({UNDECODED, MISSING, "version"})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Handover:
    """All that was decoded; ``problems`` is empty if it is complete and sound.

    Attributes:
        fdt_addr: physical address of the root FDT's page, None if the root is not from memory.
        root: the root FDT.
        map: the memory map, as its producer meant it.
        scratch: None if the array was not given or is not believable.
        components: one for each subtree of the root.
        problems: all that is wrong, or could not be decoded.
        page_shift: log2 of the page size in bytes.
    """

    fdt_addr: int | None
    root: Root
    map: MemoryMap
    scratch: tuple[ScratchArea, ...] | None
    components: tuple[Component, ...]
    problems: tuple[Problem, ...]
    page_shift: int = PAGE_SHIFT

    @property
    def version(self) -> Version:
        """The root's version."""
        return self.root.version

    @property
    def family(self) -> str | None:
        """See `MemoryMap`."""
        return self.map.family

    @property
    def finalized(self) -> bool:
        """Whether there is a map: a ``kho-v1`` producer that was not finalized points to 0."""
        return bool(self.root.memory_map)

    @property
    def reserve_mem(self) -> ReserveMem | None:
        """The decoded component, None if there is none or it is broken."""
        return self._value(ReserveMem)

    @property
    def kho_test(self) -> KhoTest | None:
        """The decoded component, None if there is none or it is broken."""
        return self._value(KhoTest)

    @property
    def luo(self) -> Luo | None:
        """The decoded component, None if there is none or it is broken."""
        return self._value(Luo)

    @property
    def metadata(self) -> KexecMetadata | None:
        """The decoded component, None if there is none or it is broken."""
        return self._value(KexecMetadata)

    def _value(self, kind: type[_T]) -> _T | None:
        values = (item.value for item in self.components)
        return next((value for value in values if isinstance(value, kind)), None)


def decode(
    memory: Memory,
    fdt_addr: int,
    *,
    scratch: bytes | None = None,
    page_shift: int = PAGE_SHIFT,
    known: Known = NOTHING,
) -> Handover:
    """Decode the handover whose root FDT lies at ``fdt_addr``.

    Args:
        memory: of the producer at the jump.
        fdt_addr: physical address of the root FDT's page.
        scratch: the producer's scratch array as it is in memory, if the caller knows it.
        page_shift: log2 of the page size in bytes.
        known: of the producer, beside what is in memory.

    Returns:
        The handover. What cannot be decoded is left out and noted in ``problems``.

    Raises:
        DecodeError: there is no root FDT at ``fdt_addr``.
    """
    root = roots.read(memory, fdt_addr, 1 << page_shift)
    return decode_root(
        memory, root, fdt_addr=fdt_addr, scratch=scratch, page_shift=page_shift, known=known
    )


def decode_root(
    memory: Memory,
    root: Root,
    *,
    fdt_addr: int | None = None,
    scratch: bytes | None = None,
    page_shift: int = PAGE_SHIFT,
    known: Known = NOTHING,
) -> Handover:
    """Decode what ``root`` points to, wherever it was read from; see `decode`."""
    place, problems = Place(ROOT, fdt_addr), list[Problem]()
    areas, wrong = scratch_areas(scratch, memory.ram)
    problems += wrong
    if root.truncated:
        problems.append(Problem.at(place, "it is cut off: there may be more subtrees"))
    here = place / MEMORY_MAP
    if known.layout is None:
        expected = _expected(memory, root, fdt_addr, page_shift)
        found, wrong = memorymap.read(memory, root, expected, here, page_shift, scratch=areas or ())
    else:
        found, wrong = memorymap.read_layout(memory, root, known.layout, here, page_shift)
    likely = _likely_list(found)
    decoding = Decoding(memory, found.blocks, likely, page_shift, meant=known.meant)
    components = _components(root, decoding, place)
    problems += (*wrong, *decoding.problems())
    handover = Handover(fdt_addr, root, found, areas, components, tuple(problems), page_shift)
    if not found.family:
        return handover
    problems += check_map(found.blocks, memory.ram, areas or (), here)
    problems += _check_owners(handover, here)
    return replace(handover, problems=tuple(problems))


def scratch_areas(
    raw: bytes | None, ram: Sequence[Range]
) -> tuple[tuple[ScratchArea, ...] | None, tuple[Problem, ...]]:
    """The areas of an array in ``ram``, None if there is no array or it is not believable."""
    if raw is None:
        return None, ()
    try:
        return scratches.parse(raw, ram, Place("scratch")), ()
    except DecodeError as error:
        return None, (Problem.of(error),)


def owned(handover: Handover) -> dict[str, Extents]:
    """The memory that has to be preserved for the root FDT and each component, by path.

    A component's own, without that of the components below it.
    """
    pieces: dict[str, list[Extents]] = {}
    if handover.fdt_addr is not None:
        pieces[ROOT] = [_page(handover.fdt_addr, handover.page_shift)]
    for path, item in walk(handover.components):
        pieces.setdefault(path, []).append(item.owned)
    return {path: union(items) for path, items in pieces.items()}


def owners(handover: Handover) -> Owners:
    """The owner of each preserved block: a path, ``root``, or `ORPHAN`."""
    return assign(handover.map.blocks, owned(handover))


def orphans(handover: Handover) -> Blocks:
    """The preserved blocks that nobody owns; `orphan_reason` says why there may be any."""
    return owners(handover).of(ORPHAN)


def orphan_reason(handover: Handover) -> str:
    """Why preserved blocks of this handover may have no owner, for people."""
    undecoded = [item.where for item in handover.problems if item.kind in _PARTS_MISSING]
    if handover.root.truncated:
        return "the root FDT is cut off, and they may belong to what is missing"
    if undecoded:
        return f"they may belong to {undecoded[0]}, which could not be decoded"
    if handover.luo and handover.luo.sessions == 0:
        return "no component refers to them (LUO does not list its sessions before the jump)"
    return "no component refers to them"


def lost(handover: Handover) -> dict[str, Extents]:
    """Owned memory that the map does not list, by path: the next kernel takes it for free."""
    by_path = owned(handover)
    missing = union(by_path.values()) - handover.map.blocks.extents
    return shares(by_path, missing)


def _page(address: int, page_shift: int) -> Extents:
    return Extents.of([Range(address, 1).widened(1 << page_shift)])


def _expected(
    memory: Memory, root: Root, fdt_addr: int | None, page_shift: int
) -> tuple[Range, ...]:
    """What a right map preserves, as far as it is known without one: where that is of use."""
    if root.version not in BITMAPS or not root.memory_map:
        return ()
    components = _components(root, Decoding(memory, page_shift=page_shift), Place(ROOT))
    own = [] if fdt_addr is None else [_page(fdt_addr, page_shift)]
    wanted = union((*own, whole(components)))
    return tuple(islice((item for item in wanted if is_ram(memory, item)), MAX_EXPECTED))


def _components(root: Root, decoding: Decoding, place: Place) -> tuple[Component, ...]:
    return tuple(
        subtrees.decode(subtree, decoding, place / subtree.name) for subtree in root.subtrees
    )


def _likely_list(found: MemoryMap) -> Shape | None:
    """How the kernels of a family write ``kho_test``'s list; an unsure family tells nothing."""
    if found.family is None or (found.decision and not found.decision.sure):
        return None
    return Shape.INLINE if found.family == "A" else Shape.VMALLOC


def _check_owners(handover: Handover, place: Place) -> Iterator[Problem]:
    """Owned memory that is not in the map, and blocks in the map that nobody owns."""
    missing = lost(handover)
    shown = dict(islice(missing.items(), MAX_LOST))
    yield from check_owned(Blocks.of(()), shown, place)
    if len(missing) > MAX_LOST:
        text = f"{len(missing) - MAX_LOST} more components have memory that is not in the map"
        yield Problem.at(place, text, "lost")
    reason = orphan_reason(handover)
    for run in islice(orphans(handover).runs(), SHOWN):
        text = f"{run.range.size} bytes in blocks of order {run.order} have no owner: {reason}"
        yield Problem.at(place.at(run.phys), text, "orphan")
