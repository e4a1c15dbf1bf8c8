from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format import bitmaps, capture, memorymap, radix
from khoci.format import root as roots
from khoci.format.bitmaps import Layout, layout_named
from khoci.format.blocks import Block
from khoci.format.checks import Problem, check_map
from khoci.format.errors import DecodeError, Place
from khoci.format.memory import Memory, Recorder
from khoci.format.memorymap import MemoryMap
from khoci.format.ranges import Range
from khoci.format.reading import Reader, difference, read_as
from khoci.format.root import Root
from khoci.format.scratch import ScratchArea
from khoci.format.versions import Version
from tests.format import encoders
from tests.format.encoders import GIB, Image
from tests.format.strategies import block_sets

MAP = Place("root/preserved-memory-map")
CAPTURES = Path(__file__).parent / "captures"
RAM = (Range(0, 2 * GIB),)


def read(
    memory: Memory, pointer: int | None, version: int = 1, *expected: Range
) -> tuple[MemoryMap, tuple[Problem, ...]]:
    root = Root(Version("kho", version), pointer, ())
    return memorymap.read(memory, root, expected, MAP)


def written(image: Image, blocks: tuple[Block, ...], family: str) -> int:
    if family == "radix":
        return encoders.radix_tree(image, blocks)
    return encoders.bitmap_map(image, blocks, Layout[family], b"\xa5" * 0x600)


@settings(max_examples=60, deadline=None)
@given(block_sets(), st.sampled_from(["A", "B", "radix"]))
def test_round_trip_or_not_certain(blocks: tuple[Block, ...], family: str) -> None:
    image = Image(RAM, free=GIB)
    pointer = written(image, blocks, family)
    known = [block.range for block in blocks]
    found, problems = read(image.memory(), pointer, 4 if family == "radix" else 1, *known)
    if not problems:
        assert tuple(found.blocks) == blocks
    assert [problem.kind for problem in problems] in ([], ["uncertain"])
    assert found.tables.covers(Range(pointer or GIB, 1)) == bool(pointer)


@settings(max_examples=60, deadline=None)
@given(block_sets(), st.sampled_from(["64", "A", "1024", "B", "radix"]))
def test_a_layout_that_is_known(blocks: tuple[Block, ...], layout: str) -> None:
    image = Image(RAM, free=GIB)
    if layout == "radix":
        pointer = encoders.radix_tree(image, blocks)
    else:
        pointer = encoders.bitmap_map(image, blocks, layout_named(layout), b"\xa5" * 0x600)
    root = Root(Version("kho", 5), pointer, ())
    found, problems = memorymap.read_layout(image.memory(), root, layout, MAP)
    assert (tuple(found.blocks), found.family, problems) == (
        blocks,
        layout if pointer else None,
        (),
    )


def test_a_known_layout_may_be_broken_all_the_same() -> None:
    memory, version = Image().memory(), Version("kho", 1)
    found, problems = memorymap.read_layout(memory, Root(version, None, ()), "1024", MAP)
    assert (found.family, [item.message for item in problems]) == (
        None,
        ["the property is missing or not 8 bytes long"],
    )
    for layout in ("1024", "radix"):
        found, problems = memorymap.read_layout(memory, Root(version, 0x1008, ()), layout, MAP)
        assert (found.family, len(problems)) == (None, 1)


@settings(max_examples=40, deadline=None)
@given(block_sets(), st.sampled_from(["64", "1024"]))
def test_a_recording_of_a_known_layout_holds_what_any_reader_reads(
    blocks: tuple[Block, ...], layout: str
) -> None:
    image = Image(RAM, free=GIB)
    pointer = encoders.bitmap_map(image, blocks, layout_named(layout), b"\xa5" * 0x1000)
    recorder = Recorder(image.memory())
    memorymap.read_layout(recorder, Root(Version("kho", 1), pointer, ()), layout, MAP)
    for reader in (Reader.A, Reader.B):
        whole = read_as(image.memory(), pointer, reader, MAP, int_sizes=True)
        assert read_as(recorder.recorded(), pointer, reader, MAP, int_sizes=True) == whole


@pytest.mark.parametrize("version", [3, 4])
def test_a_radix_tree(version: int) -> None:
    image = Image()
    pointer = encoders.radix_tree(image, [Block(0, 3)])
    found, problems = read(image.memory(), pointer, version)
    assert (found.family, found.decision, problems) == ("radix", None, ())
    assert list(found.blocks) == [Block(0, 3)]
    assert list(found.tables) == [Range(pointer, 6 * 4096)]


def test_an_unfinalized_map_is_empty() -> None:
    assert read(Image().memory(), 0) == (MemoryMap(), ())


@pytest.mark.parametrize(
    ("pointer", "version", "kind", "text"),
    [
        (0x1000, 5, "version", "version kho-v5 is unknown, its map is not read"),
        (0x1000, 2, "version", "version kho-v2 is unknown, its map is not read"),
        (None, 1, "undecoded", "the property is missing or not 8 bytes long"),
        (0x1001, 1, "undecoded", "a chunk is not page aligned"),
        (4 * GIB, 4, "undecoded", "4096 bytes are not all in RAM"),
    ],
)
def test_what_cannot_be_read_is_a_problem(
    pointer: int | None, version: int, kind: str, text: str
) -> None:
    found, (problem,) = read(Image().memory(), pointer, version)
    assert found == MemoryMap()
    assert (problem.kind, problem.message) == (kind, text)
    assert problem.where.startswith(MAP.where)


def test_what_nobody_can_decide_is_said() -> None:
    image = Image()
    pointer = encoders.bitmap_map(image, [Block(0, 0)], Layout.B)
    found, (problem,) = read(image.memory(), pointer)
    assert (found.family, list(found.blocks)) == ("B", [Block(0, 0)])
    assert problem.kind == "uncertain"
    assert problem.message == "layout B is not certain: A and B list the same blocks"
    assert problem.address == pointer


def test_scratch_is_asked_for() -> None:
    image = Image(RAM, free=GIB)
    pointer = encoders.bitmap_map(image, [Block(0, 0), Block(0x500_0000, 0)], Layout.B)
    root, area = Root(Version("kho", 1), pointer, ()), ScratchArea("global", 0x500_0000, 4096)
    found, _ = memorymap.read(image.memory(), root, (), MAP, scratch=[area])
    assert found.decision
    assert found.decision.reasons[0].startswith("not B: blocks are in scratch areas: 1")


def test_what_the_better_layout_cannot_list_is_a_problem() -> None:
    image = Image((Range(0, 0x200_0000),), free=0x100_0000)
    bitmap = image.put(b"\xff" * 4096)
    first = encoders.chunks(image, [(order, [(0, bitmap + 512 * order)]) for order in range(8)])
    found, problems = read(image.memory(), first)
    assert found.family is None
    assert not len(found.blocks)
    assert len(found.tables) == 1
    assert problems[-1].message == "more blocks than RAM has pages (8192)"


@pytest.mark.parametrize("layout", Layout)
def test_a_recording_holds_what_either_layout_reads(layout: Layout) -> None:
    image = Image(RAM, free=GIB)
    blocks = [Block(n << 20, n % 3) for n in range(1, 200)]
    pointer = encoders.bitmap_map(image, blocks, layout, b"\xa5" * 0x1E00)
    recorder = Recorder(image.memory())
    found, _ = read(recorder, pointer)
    recorded = recorder.recorded()
    assert read(recorded, pointer)[0] == found
    entries = bitmaps.entries(recorded, pointer, MAP)
    for either in Layout:
        assert (bitmaps.counts(recorded, entries, either) > 0).all()


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.khocap")), ids=lambda path: path.stem)
def test_real_maps_are_decided_without_their_components(path: Path) -> None:
    found = capture.load(path)
    root = roots.read(found.pages, found.fdt_addr)
    page = Range(found.fdt_addr, 4096)
    made, problems = memorymap.read(found.pages, root, [page], MAP)
    assert problems == ()
    assert made.family == found.extra["expect"]["family"]
    assert made.blocks.extents.covers(page)
    assert not len(made.tables & made.blocks.extents)


WORDS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**52, 2**63, 2**64 - 4096, 2**64 - 1]),
    st.integers(0, 1 << 18).map(lambda page: page << 12),
    st.tuples(st.integers(0, 255), st.integers(0, 60)).map(lambda pair: pair[0] << 32 | pair[1]),
)


@st.composite
def damaged(draw: st.DrawFn) -> tuple[Image, int]:
    """A map with a few words changed; its pages also point to one another."""
    image = Image(free=GIB // 2)
    pointer = written(image, draw(block_sets()), draw(st.sampled_from(["A", "B", "radix"])))
    pages = sorted(image.pages)
    for _ in range(draw(st.integers(1, 5)) if pages else 0):
        page = image.pages[draw(st.sampled_from(pages))]
        offset = draw(st.integers(0, min(len(page.rstrip(b"\0")) + 16, 4088)))
        size = draw(st.sampled_from([1, 4, 8]))
        word = draw(st.one_of(WORDS, st.sampled_from(pages)))
        page[offset : offset + size] = word.to_bytes(8, "little")[:size]
    return image, draw(st.sampled_from([pointer, *pages]))


@settings(max_examples=300, deadline=None)
@given(damaged(), st.sampled_from([1, 3, 4]), st.booleans())
def test_whatever_a_map_holds_it_is_read_or_a_problem(
    made: tuple[Image, int], version: int, int_sizes: bool
) -> None:
    image, pointer = made
    found, problems = read(image.memory(), pointer, version, Range(0x1000, 4096))
    assert (found.family is None) <= bool(problems) or not pointer
    assert len(found.blocks) <= GIB >> 12
    list(check_map(found.blocks, RAM, (), MAP))
    for reader in Reader:
        taken = read_as(image.memory(), pointer, reader, MAP, int_sizes=int_sizes)
        changed = difference(found.blocks, taken.blocks)
        assert (found.blocks.extents - changed.lost | changed.gained) == taken.blocks.extents


@settings(max_examples=200, deadline=None)
@given(damaged())
def test_decoders_of_the_formats_raise_nothing_but_decode_errors(made: tuple[Image, int]) -> None:
    image, pointer = made
    memory = image.memory()
    with suppress(DecodeError):
        radix.read(memory, pointer, MAP)
    with suppress(DecodeError):
        entries = bitmaps.entries(memory, pointer, MAP)
        for layout in Layout:
            with suppress(DecodeError):
                assert len(bitmaps.listing(memory, entries, layout)) <= GIB >> 12
