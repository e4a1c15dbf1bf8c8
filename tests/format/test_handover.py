from __future__ import annotations

import time

import pytest

from khoci.format import root as roots
from khoci.format.bitmaps import Layout
from khoci.format.blocks import Block
from khoci.format.components import walk
from khoci.format.errors import DecodeError, Place
from khoci.format.handover import (
    MAX_LOST,
    Handover,
    decode,
    decode_root,
    lost,
    orphan_reason,
    orphans,
    owned,
    owners,
)
from khoci.format.khotest import Shape
from khoci.format.memblock import Region
from khoci.format.memory import Recorder
from khoci.format.ranges import Range
from tests.format import encoders
from tests.format.encoders import GIB, Image
from tests.format.guests import REGION, Guest, guest, scratch_array

NOBODY = "no component refers to them"
FAMILIES = ("A", "B", "radix")
GUESTS = (
    pytest.param(("A", None), id="6.17"),
    pytest.param(("B", None), id="7.0"),
    pytest.param(("radix", "kho-v3"), id="7.1"),
    pytest.param(("radix", "kho-v4"), id="7.3"),
)


def release(kind: tuple[str, str | None]) -> Guest:
    """A guest with all that the release can hand over."""
    return guest(*kind, luo=kind[0] == "B")


def decoded(made: Guest, scratch: bytes | None = None) -> Handover:
    return decode(made.memory, made.fdt_addr, scratch=scratch)


def messages(handover: Handover) -> list[str]:
    return [f"{item.where}: {item.message}" for item in handover.problems]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_handover(family: str) -> None:
    made = guest(family)
    handover = decoded(made, scratch_array())
    assert messages(handover) == []
    assert (handover.family, tuple(handover.map.blocks)) == (family, made.blocks)
    assert handover.finalized
    assert handover.reserve_mem is not None
    assert handover.reserve_mem.regions == (Region("data", *REGION),)
    assert handover.kho_test is not None
    assert handover.kho_test.folios == made.folios
    assert handover.kho_test.shape is (Shape.INLINE if family == "A" else Shape.VMALLOC)
    assert handover.scratch is not None
    assert [area.kind for area in handover.scratch] == ["lowmem", "global", "node[0]"]


def test_only_kho_v1_has_to_be_decided() -> None:
    for family in ("A", "B"):
        decision = decoded(guest(family)).map.decision
        assert decision is not None
        assert (decision.layout.value, decision.sure) == (family, True)
    assert decoded(guest("radix")).map.decision is None


@pytest.mark.parametrize("version", ["kho-v3", "kho-v4"])
def test_components_of_the_radix_releases(version: str) -> None:
    handover = decoded(guest("radix", version))
    assert str(handover.version) == version
    assert handover.luo is not None
    assert (handover.luo.number, handover.luo.sessions) == (4, 3)
    assert handover.metadata is not None
    assert (handover.metadata.previous_release, handover.metadata.kexec_count) == ("7.3.4", 1)


@pytest.mark.parametrize("kind", GUESTS)
def test_every_block_has_its_owner(kind: tuple[str, str | None]) -> None:
    made = release(kind)
    handover = decoded(made, scratch_array())
    assert messages(handover) == []
    by_block = dict(owners(handover))
    assert tuple(by_block) == made.blocks
    assert by_block[Block(made.fdt_addr, 0)] == "root"
    assert {by_block[folio] for folio in made.folios} == {"kho_test"}
    assert by_block[Block(REGION[0], 14)] == "reserve_mem[data]"
    assert len(orphans(handover)) == 0
    assert lost(handover) == {}


@pytest.mark.parametrize("kind", GUESTS)
def test_every_component_owns_a_block(kind: tuple[str, str | None]) -> None:
    handover = decoded(release(kind))
    owning = {path for path, item in walk(handover.components) if len(item.owned)}
    assert set(dict(owners(handover)).values()) == {"root", *owning}


@pytest.mark.parametrize("kind", GUESTS[1:])
def test_the_tree_of_a_luo(kind: tuple[str, str | None]) -> None:
    found = [path for path, _ in walk(decoded(release(kind)).components)]
    assert "luo/session[empty]" in found
    assert "luo/session[vm-1]/memfd[0x1a]/vmalloc" in found
    assert "luo/session[vm-1]/memfd[0x7fffffffffffffff]" in found
    assert "luo/flb[liveupdate-test-flb-v2]" in found
    assert ("luo/block" in found) == ("luo/session[vm-1]/block" in found) == (kind[1] == "kho-v4")


def with_map(made: Guest, blocks: list[Block]) -> Handover:
    """The guest's handover with another map of a radix tree."""
    image, old = made.image, decoded(made).root.memory_map
    assert old
    tree = image.memory().read(made.fdt_addr, 4096)
    root = encoders.radix_tree(image, blocks)
    image.write(made.fdt_addr, tree.replace(encoders.u64(old), encoders.u64(root)))
    return decoded(made)


def test_a_block_of_nobody() -> None:
    made = guest("radix")
    orphan = [Block(0x3000_0000, 2), Block(0x3000_4000, 2), Block(0x3800_0000, 0)]
    handover = with_map(made, [*made.blocks, *orphan])
    assert list(orphans(handover)) == orphan
    assert messages(handover) == [
        f"root/preserved-memory-map: 32768 bytes in blocks of order 2 have no owner: {NOBODY}",
        f"root/preserved-memory-map: 4096 bytes in blocks of order 0 have no owner: {NOBODY}",
    ]
    assert {item.kind for item in handover.problems} == {"orphan"}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"luo-v5", b"luo-v6", "they may belong to root/LUO, which could not be decoded"),
        (b"memfd-v2", b"memfd-v3", "they may belong to root/LUO/session[vm-1]/memfd[0x1a], which"),
    ],
)
def test_why_a_block_has_no_owner(old: bytes, new: bytes, reason: str) -> None:
    made = guest("radix")
    for page in made.image.pages.values():
        page[:] = page.replace(old, new)
    handover = decoded(made)
    assert orphan_reason(handover).startswith(reason)
    assert {item.kind for item in handover.problems} == {"version", "orphan"}
    assert len(orphans(handover)) > 0


def test_sessions_are_not_listed_before_the_jump() -> None:
    image = Image()
    address, file = image.alloc(), image.alloc()
    blob = image.put(encoders.luo_struct(1, 0, 0))
    blocks = [Block(address, 0), Block(blob, 0), Block(file, 0)]
    root = encoders.radix_tree(image, blocks)
    image.write(address, encoders.root_tree("kho-v4", root, {"LUO": (blob, 32)}))
    handover = decode(image.memory(), address)
    assert list(orphans(handover)) == [Block(file, 0)]
    assert "LUO does not list its sessions before the jump" in orphan_reason(handover)


def test_what_is_lost_by_path() -> None:
    made = guest("radix")
    file = dict(walk(decoded(made).components))["luo/session[vm-1]/memfd[0x1a]"]
    gone = [item.start for item in file.owned]
    kept = [block for block in made.blocks if block.phys not in gone]
    assert len(kept) < len(made.blocks)
    handover = with_map(made, kept)
    assert list(lost(handover)) == ["luo/session[vm-1]/memfd[0x1a]"]
    assert {item.kind for item in handover.problems} == {"lost"}


def test_a_root_that_is_not_from_memory() -> None:
    made = guest("radix")
    tree = made.memory.read(made.fdt_addr, 4096)
    whole = roots.parse_blob(tree, Place("out/fdt"))
    handover = decode_root(made.memory, whole, scratch=scratch_array())
    assert handover.fdt_addr is None
    assert handover.components == decoded(made).components
    assert [block.phys for block in orphans(handover)] == [made.fdt_addr]


def test_a_root_that_is_cut_off() -> None:
    made = guest("radix")
    tree = made.memory.read(made.fdt_addr, 233)
    handover = decode_root(made.memory, roots.parse_blob(tree, Place("out/fdt")))
    assert handover.map == decoded(made).map
    assert [item.name for item in handover.components][:2] == ["reserve_mem", "kho_test"]
    assert messages(handover)[0] == "root: it is cut off: there may be more subtrees"
    assert "is cut off" in orphan_reason(handover)


def test_a_page_that_the_copy_does_not_have() -> None:
    made = guest("radix")
    recorder = Recorder(made.memory)
    first = decode(recorder, made.fdt_addr)
    recorded = recorder.recorded()
    page = dict(walk(first.components))["luo/flb"].address
    assert page is not None
    del recorded.pages[page]
    handover = decode(recorded, made.fdt_addr)
    assert [(item.where, item.kind) for item in handover.problems] == [("root/LUO/flb", "missing")]
    assert owned(handover)["luo/flb"] == owned(first)["luo/flb"]


def test_what_was_read_is_enough_to_decode_again() -> None:
    for family in FAMILIES:
        made = guest(family, luo=family == "B")
        recorder = Recorder(made.memory)
        first = decode(recorder, made.fdt_addr)
        recorded = recorder.recorded()
        assert decode(recorded, made.fdt_addr) == first
        assert len(recorded.pages) < 110


def test_an_unfinalized_producer() -> None:
    image = Image()
    address = image.put(encoders.root_tree("kho-v1", 0, {}))
    handover = decode(image.memory(), address)
    assert (handover.finalized, handover.family, len(handover.map.blocks)) == (False, None, 0)
    assert handover.problems == ()


def test_a_radix_tree_at_0_is_a_problem() -> None:
    image = Image((Range(0x10_0000, GIB),))
    address = image.put(encoders.root_tree("kho-v4", 0, {}))
    handover = decode(image.memory(), address)
    assert handover.family is None
    assert "not all in RAM" in messages(handover)[0]


def test_an_unknown_root_version() -> None:
    handover = decoded(guest("radix", "kho-v5"))
    assert "version kho-v5 is unknown" in messages(handover)[0]
    assert [item.kind for item in handover.problems] == ["version"]
    assert len(handover.map.blocks) == 0
    assert handover.metadata is not None


def test_an_unknown_subtree_keeps_its_blob_pages() -> None:
    image = Image()
    address, blob = image.alloc(), image.alloc(8192, 8192)
    blocks = [Block(address, 0), Block(blob, 1)]
    root = encoders.radix_tree(image, blocks)
    image.write(address, encoders.root_tree("kho-v4", root, {"iommu": (blob, 8000)}))
    handover = decode(image.memory(), address)
    assert messages(handover) == [
        "root/iommu: no decoder knows this subtree: what it owns is not known"
    ]
    assert handover.problems[0].kind == "version"
    assert list(owners(handover)) == [(blocks[0], "root"), (blocks[1], "iommu")]
    assert handover.components[0].value is None


@pytest.mark.parametrize("name", ["orphan", "root", "luo", "reserve_mem", ""])
def test_a_subtree_whose_name_means_something_else(name: str) -> None:
    image = Image()
    address, blob = image.alloc(), image.alloc()
    blocks = [Block(address, 0), Block(blob, 0), Block(0x3000_0000, 0)]
    root = encoders.radix_tree(image, blocks)
    image.write(address, encoders.root_tree("kho-v4", root, {name: (blob, 8)}))
    handover = decode(image.memory(), address)
    assert [owner for _, owner in owners(handover)] == ["root", repr(name), "orphan"]
    assert list(orphans(handover)) == [blocks[2]]


def test_many_components_that_lose_memory() -> None:
    image = Image()
    address = image.alloc()
    names = [f"u{number}" for number in range(70)]
    properties = {"compatible": b"kho-v4\0", "preserved-memory-map": encoders.u64(GIB // 2)}
    nodes = [encoders.node(n, {"preserved-data": encoders.u64(image.alloc())}) for n in names]
    image.write(address, encoders.fdt(encoders.node("", properties, nodes)))
    found = decode(image.memory(), address)
    assert list(lost(found)) == ["root", *names]
    problems = [item for item in found.problems if item.kind == "lost"]
    assert len(problems) == MAX_LOST + 1
    assert problems[-1].message == "7 more components have memory that is not in the map"


def test_a_subtree_without_address() -> None:
    image = Image()
    children = [encoders.node("memblock")]
    properties = {"compatible": b"kho-v1\0", "preserved-memory-map": bytes(8)}
    address = image.put(encoders.fdt(encoders.node("", properties, children)))
    handover = decode(image.memory(), address)
    assert messages(handover) == ["root/memblock: the node does not say where its blob is"]
    assert len(owned(handover)["reserve_mem"]) == 0


def test_a_map_that_is_no_address() -> None:
    image = Image()
    tree = encoders.node("", {"compatible": b"kho-v1\0", "preserved-memory-map": b"1234"})
    address = image.put(encoders.fdt(tree))
    found = messages(decode(image.memory(), address))
    assert found == ["root/preserved-memory-map: the property is missing or not 8 bytes long"]


def test_a_component_whose_memory_is_not_in_the_map() -> None:
    made = guest("radix")
    kept = [block for block in made.blocks if block.phys != REGION[0]]
    found = with_map(made, kept).problems
    assert [(item.where, item.message, item.kind) for item in found] == [
        (
            "root/preserved-memory-map/reserve_mem[data]",
            "67108864 bytes of reserve_mem[data] are not in the map",
            "lost",
        )
    ]


def test_a_root_page_that_is_not_in_the_map() -> None:
    image = Image()
    address = image.alloc()
    root = encoders.radix_tree(image, [Block(0x3000_0000, 0)])
    image.write(address, encoders.root_tree("kho-v3", root, {}))
    handover = decode(image.memory(), address)
    assert messages(handover) == [
        "root/preserved-memory-map/root: 4096 bytes of root are not in the map",
        f"root/preserved-memory-map: 4096 bytes in blocks of order 0 have no owner: {NOBODY}",
    ]
    assert handover.problems[0].address == address


def test_an_undecided_family_is_said() -> None:
    image = Image()
    address = image.alloc()
    first = encoders.bitmap_map(image, [Block(address, 0)], Layout.B)
    image.write(address, encoders.root_tree("kho-v1", first, {}))
    handover = decode(image.memory(), address)
    assert handover.map.decision is not None
    assert not handover.map.decision.sure
    assert messages(handover) == [
        "root/preserved-memory-map: layout B is not certain: A and B list the same blocks"
    ]


def test_scratch_that_is_not_believable_is_no_scratch() -> None:
    handover = decoded(guest("B"), b"\xa5" * 48)
    assert handover.scratch is None
    assert messages(handover)[0].startswith("scratch/")


def test_blocks_inside_scratch() -> None:
    area = encoders.u64(REGION[0]) + encoders.u64(4096)
    handover = decoded(guest("radix"), area)
    assert messages(handover) == ["root/preserved-memory-map: a block is in a scratch area"]


@pytest.mark.parametrize("address", [0, 0x1000, GIB, 2**64 - 4096])
def test_no_root_is_an_error(address: int) -> None:
    with pytest.raises(DecodeError, match=r"^root at 0x"):
        decode(guest("B").memory, address)


def test_a_quarter_million_blocks_are_decoded_quickly() -> None:
    image = Image()
    address = image.alloc()
    leaf = image.put(b"\xff" * 4096)
    for index in (0, 0, 0, 0, 2):
        leaf = image.put(bytes(index * 8) + encoders.u64(leaf))
    image.write(address, encoders.root_tree("kho-v4", leaf, {}))
    began = time.monotonic()
    handover = decode(image.memory(), address)
    assert len(handover.map.blocks) == 32768
    assert time.monotonic() - began < 2
