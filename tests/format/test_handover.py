from __future__ import annotations

import time

import pytest

from khoci.format.bitmaps import Layout
from khoci.format.blocks import Block
from khoci.format.errors import DecodeError
from khoci.format.handover import Handover, decode, owned, owners
from khoci.format.khotest import Shape
from khoci.format.memblock import Region
from khoci.format.memory import Recorder
from khoci.format.ranges import Range
from tests.format import encoders
from tests.format.encoders import GIB, Image
from tests.format.guests import REGION, Guest, guest, scratch_array

FAMILIES = ("A", "B", "radix")


def decoded(made: Guest, scratch: bytes | None = None) -> Handover:
    return decode(made.memory, made.fdt_addr, scratch=scratch)


def messages(handover: Handover) -> list[str]:
    return [f"{item.where}: {item.message}" for item in handover.problems]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_whole_handover(family: str) -> None:
    made = guest(family)
    handover = decoded(made, scratch_array())
    assert messages(handover) == []
    assert (handover.family, handover.blocks) == (family, made.blocks)
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


@pytest.mark.parametrize("family", FAMILIES)
def test_every_block_has_its_owner(family: str) -> None:
    made = guest(family)
    by_block = dict(owners(decoded(made)))
    assert tuple(by_block) == made.blocks
    assert by_block[Block(made.fdt_addr, 0)] == "root"
    assert {by_block[folio] for folio in made.folios} == {"kho_test"}
    assert by_block[Block(REGION[0], 14)] == "reserve_mem"
    names = {"root", "reserve_mem", "kho_test"}
    assert set(by_block.values()) == names | (
        {"luo", "kexec-metadata"} if family == "radix" else set()
    )


def test_a_block_of_nobody() -> None:
    made = guest("radix")
    orphan = Block(0x3000_0000, 2)
    root = encoders.radix_tree(made.image, [*made.blocks, orphan])
    made.image.write(made.fdt_addr, encoders.root_tree("kho-v4", root, {}))
    by_block = dict(owners(decoded(made)))
    assert by_block[orphan] == "unowned"
    assert by_block[Block(made.fdt_addr, 0)] == "root"


def test_what_was_read_is_enough_to_decode_again() -> None:
    for family in FAMILIES:
        made = guest(family)
        recorder = Recorder(made.memory)
        first = decode(recorder, made.fdt_addr)
        recorded = recorder.recorded()
        assert decode(recorded, made.fdt_addr) == first
        assert len(recorded.pages) < 100


def test_an_unfinalized_producer() -> None:
    image = Image()
    address = image.put(encoders.root_tree("kho-v1", 0, {}))
    handover = decode(image.memory(), address)
    assert (handover.finalized, handover.family, handover.blocks) == (False, None, ())
    assert handover.problems == ()


def test_a_radix_tree_at_0_is_a_problem() -> None:
    image = Image((Range(0x10_0000, GIB),))
    address = image.put(encoders.root_tree("kho-v4", 0, {}))
    handover = decode(image.memory(), address)
    assert handover.family is None
    assert "not all in RAM" in messages(handover)[0]


def test_an_unknown_root_version() -> None:
    handover = decoded(guest("radix", "kho-v5"))
    assert messages(handover) == ["root: version kho-v5 is unknown, its map is not read"]
    assert handover.blocks == ()
    assert handover.metadata is not None


def test_an_unknown_subtree_keeps_its_blob_pages() -> None:
    image = Image()
    address, blob = image.alloc(), image.alloc(8192, 8192)
    blocks = [Block(address, 0), Block(blob, 1)]
    root = encoders.radix_tree(image, blocks)
    image.write(address, encoders.root_tree("kho-v4", root, {"iommu": (blob, 8000)}))
    handover = decode(image.memory(), address)
    assert messages(handover) == ["root/iommu: no decoder knows this subtree"]
    assert owners(handover) == [(blocks[0], "root"), (blocks[1], "iommu")]
    assert handover.components[0].value is None


def test_a_subtree_without_address() -> None:
    image = Image()
    children = [encoders.node("memblock")]
    properties = {"compatible": b"kho-v1\0", "preserved-memory-map": bytes(8)}
    address = image.put(encoders.fdt(encoders.node("", properties, children)))
    handover = decode(image.memory(), address)
    assert messages(handover) == ["root/memblock: the node does not say where its blob is"]
    assert owned(handover)["reserve_mem"] == ()


def test_a_map_that_is_no_address() -> None:
    image = Image()
    tree = encoders.node("", {"compatible": b"kho-v1\0", "preserved-memory-map": b"1234"})
    address = image.put(encoders.fdt(tree))
    found = messages(decode(image.memory(), address))
    assert found == ["root/preserved-memory-map: the property is missing or not 8 bytes long"]


def test_a_component_whose_memory_is_not_in_the_map() -> None:
    made = guest("radix")
    kept = [block for block in made.blocks if block.phys != REGION[0]]
    image = made.image
    root = encoders.radix_tree(image, kept)
    tree = image.memory().read(made.fdt_addr, 4096)
    old = decoded(made).root.memory_map
    assert old
    image.write(made.fdt_addr, tree.replace(encoders.u64(old), encoders.u64(root)))
    assert messages(decoded(made)) == [
        "root/preserved-memory-map/reserve_mem: 67108864 bytes of reserve_mem are not in the map"
    ]


def test_a_root_page_that_is_not_in_the_map() -> None:
    image = Image()
    address = image.alloc()
    root = encoders.radix_tree(image, [Block(0x3000_0000, 0)])
    image.write(address, encoders.root_tree("kho-v3", root, {}))
    handover = decode(image.memory(), address)
    assert messages(handover) == [
        "root/preserved-memory-map/root: 4096 bytes of root are not in the map"
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
    assert len(handover.blocks) == 32768
    assert time.monotonic() - began < 2
