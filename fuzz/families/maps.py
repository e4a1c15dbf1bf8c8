"""The memory map: bitmaps in both layouts, and radix trees."""

from __future__ import annotations

from functools import partial
from itertools import pairwise, product
from typing import TYPE_CHECKING

from fuzz import claims, mutate, seeds
from fuzz.family import Family
from fuzz.guest import Guest
from khoci.format import bitmaps, memorymap, radix, reading
from khoci.format.bitmaps import Layout
from khoci.format.blocks import Block, Blocks
from khoci.format.checks import check_map
from khoci.format.errors import Place
from khoci.format.ranges import Range
from khoci.format.reading import Reader
from khoci.format.root import Root
from khoci.format.versions import parse as version
from tests.format import encoders
from tests.format.encoders import GIB, Image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.format.memory import Memory
    from khoci.format.reading import Reading

_PLACE = Place("root/preserved-memory-map")
_FEW = 48
"""So many blocks are written and read again: the encoders are not made for more."""
_BITMAPS, _RADIX = "kho-v1", "kho-v4"


def _bitmaps(data: bytes) -> None:
    guest = Guest.parse(data)
    blocks = _read(guest, _BITMAPS, guest.memory())
    for layout in Layout if _can_be_written(blocks) else ():
        image = Image(page_size=1 << guest.page_shift)
        pointer = encoders.bitmap_map(image, blocks, layout, page_shift=guest.page_shift)
        found = bitmaps.entries(image.memory(), pointer, _PLACE, guest.page_shift)
        again = bitmaps.listing(image.memory(), found, layout)
        assert again == blocks, f"other blocks, written as {layout} and read again"


def _radix(data: bytes) -> None:
    guest = Guest.parse(data)
    blocks = _read(guest, _RADIX, guest.memory())
    if _can_be_written(blocks):
        image = Image(page_size=1 << guest.page_shift)
        pointer = encoders.radix_tree(image, blocks, guest.page_shift)
        again = radix.read(image.memory(), pointer, _PLACE, guest.page_shift).blocks
        assert again == blocks, "other blocks, written and read again"


def _read(guest: Guest, compatible: str, memory: Memory) -> Blocks:
    """The arguments: the map's pointer, and pages that a right map preserves."""
    size, pointer = 1 << guest.page_shift, guest.arg(0)
    root = Root(version(compatible), pointer, ())
    expected = [Range(address & -size, size) for address in guest.args[1:9]]
    place = _PLACE.at(pointer)
    found, problems = memorymap.read(memory, root, expected, place, guest.page_shift)
    claims.named(problems)
    assert found.blocks.page_shift == guest.page_shift, "pages of another size"
    claims.bounded(found.blocks, memory)
    claims.apart(found.tables)
    claims.named(check_map(found.blocks, memory.ram, (), place))
    return found.blocks


def _readings(data: bytes) -> None:
    """The arguments: the map's pointer. What each consumer takes for it, whoever wrote it."""
    guest = Guest.parse(data)
    found = list(_as_each_reads(guest, guest.memory()))
    for before, after in pairwise(found):
        changed = reading.difference(before.blocks, after.blocks)
        claims.apart(changed.gained)
        claims.apart(changed.lost)
        assert not len(changed.gained & changed.lost), "both gained and lost"


def _as_each_reads(guest: Guest, memory: Memory) -> Iterator[Reading]:
    pointer, shift = guest.arg(0), guest.page_shift
    for reader, int_sizes in product(Reader, (False, True)):
        found = reading.read_as(memory, pointer, reader, _PLACE, shift, int_sizes=int_sizes)
        if not int_sizes:
            claims.bounded(found.blocks, memory)
        claims.sorted_blocks(found.blocks)
        claims.bounded(found.outside, memory)
        assert all(note.isprintable() for note in found.notes)
        yield found


def _can_be_written(blocks: Blocks) -> bool:
    """Whether these are blocks as a kernel has them: few, aligned, none twice, in the first GiB."""
    return (
        0 < len(blocks) <= _FEW and len(set(blocks)) == len(blocks) and all(map(_is_sane, blocks))
    )


def _is_sane(block: Block) -> bool:
    return block.range.end <= GIB and block.phys % block.size == 0


def _maps(compatible: str) -> Iterator[bytes]:
    yield from _large_pages(compatible)
    for whole in seeds.wholes():
        root = whole.root
        is_radix = str(root.version) != _BITMAPS
        if is_radix == (compatible == _RADIX):
            addresses = (item.address for item in root.subtrees if item.address)
            args = [root.memory_map or 0, whole.fdt_addr, *addresses]
            guest = Guest.of(whole.memory, args)
            yield seeds.read_by(partial(_read, guest, compatible), whole.memory, args)


def _large_pages(compatible: str) -> Iterator[bytes]:
    for shift in (14, 16):
        image = Image(page_size=1 << shift)
        blocks = [Block(0x1000_0000, order, shift) for order in (0, 3, 9)]
        if compatible == _RADIX:
            pointer = encoders.radix_tree(image, blocks, shift)
        else:
            pointer = encoders.bitmap_map(image, blocks, Layout.B, page_shift=shift)
        yield Guest.of(image.memory(), [pointer, 0x1000_0000]).pack()


def _all_maps() -> Iterator[bytes]:
    yield from _maps(_BITMAPS)
    yield from _maps(_RADIX)


FAMILIES = (
    Family("bitmaps", _bitmaps, partial(_maps, _BITMAPS), mutate.guest),
    Family("radix", _radix, partial(_maps, _RADIX), mutate.guest),
    Family("readings", _readings, _all_maps, mutate.guest),
)
