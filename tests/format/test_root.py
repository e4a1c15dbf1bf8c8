from __future__ import annotations

from pathlib import Path

import pytest

from khoci.format import capture, fdt, root
from khoci.format.errors import DecodeError, Place
from khoci.format.root import Root, Subtree
from khoci.format.versions import Version
from tests.format import encoders
from tests.format.encoders import Image, node

PLACE = Place("root", 0x5000)


def test_both_ways_to_name_a_blob() -> None:
    image = Image()
    subtrees = {"memblock": (0x1000, None), "kexec-metadata": (0x2000, 73)}
    address = image.put(encoders.root_tree("kho-v4", 0x116BE4000, subtrees))
    assert root.read(image.memory(), address) == Root(
        Version("kho", 4),
        0x116BE4000,
        (Subtree("memblock", 0x1000, None), Subtree("kexec-metadata", 0x2000, 73)),
    )


def test_the_memory_map_of_the_kernel_docs() -> None:
    cells = bytes.fromhex("0040be1601000000")
    tree = node("", {"compatible": b"kho-v1\0", "preserved-memory-map": cells})
    assert root.parse(tree, PLACE).memory_map == 0x116BE4000


@pytest.mark.parametrize("version", ["kho-v2", "kho-v99", "something else"])
def test_unknown_versions_are_read_as_far_as_they_look_known(version: str) -> None:
    tree = fdt.parse(encoders.root_tree(version, 7, {"a": (1, 2)}), PLACE).root
    found = root.parse(tree, PLACE)
    assert str(found.version) == version
    assert (found.memory_map, found.subtrees) == (7, (Subtree("a", 1, 2),))


def test_odd_properties_say_nothing() -> None:
    children = [
        node("empty"),
        node("short", {"fdt": b"1234"}),
        node("sizeless", {"preserved-data": bytes(8), "blob-size": b"1"}),
    ]
    tree = node("", {"compatible": b"kho-v3\0", "preserved-memory-map": b"1234"}, children)
    found = root.parse(tree, PLACE)
    assert found.memory_map is None
    assert [(item.address, item.size) for item in found.subtrees] == [
        (None, None),
        (None, None),
        (0, None),
    ]


def test_no_version_no_root() -> None:
    with pytest.raises(DecodeError, match="root/compatible at 0x5000: the property is missing"):
        root.parse(node(""), PLACE)


def test_names_that_are_no_text() -> None:
    tree = node("", {"compatible": b"kho-\xff\xfe"})
    assert str(root.parse(tree, PLACE).version) == "kho-\\xff\\xfe"


CAPTURES = Path(__file__).parent / "captures"


def real(name: str) -> bytes:
    """The bytes of the root FDT of a real kernel."""
    found = capture.load(CAPTURES / f"{name}.khocap")
    size = int.from_bytes(found.pages.read(found.fdt_addr + 4, 4), "big")
    return found.pages.read(found.fdt_addr, size)


def test_a_file_with_the_whole_tree() -> None:
    blob = real("v6.18.15-kho-test")
    assert root.parse_blob(blob, PLACE) == root.parse(fdt.parse(blob, PLACE).root, PLACE)


@pytest.mark.parametrize("name", ["v6.19.14-kho-test", "v7.0.13-reserve-mem"])
def test_what_debugfs_shows_of_6_19_and_7_0(name: str) -> None:
    blob = real(name)
    whole, cut = root.parse_blob(blob, PLACE), root.parse_blob(blob[:144], PLACE)
    assert (cut.truncated, whole.truncated) == (True, False)
    assert (cut.version, cut.memory_map) == (whole.version, whole.memory_map)
    assert cut.subtrees[0] == whole.subtrees[0]


@pytest.mark.parametrize("name", ["v7.1.13-kho-test", "v7.2.12-reserve-mem", "v7.3.4-kho-test"])
def test_what_debugfs_shows_from_7_1_on(name: str) -> None:
    blob = real(name)
    whole, cut = root.parse_blob(blob, PLACE), root.parse_blob(blob[:233], PLACE)
    assert (cut.version, cut.memory_map) == (whole.version, whole.memory_map)
    assert cut.subtrees[:2] == whole.subtrees[:2]


@pytest.mark.parametrize("name", ["v6.16.12-reserve-mem", "v6.19.14-kho-test", "v7.3.4-kho-test"])
def test_no_cut_makes_a_wrong_value(name: str) -> None:
    blob = real(name)
    whole = root.parse_blob(blob, PLACE)
    for size in range(120, len(blob)):
        cut = root.parse_blob(blob[:size], PLACE)
        assert (cut.version, cut.memory_map) == (whole.version, whole.memory_map)
        for found, right in zip(cut.subtrees, whole.subtrees, strict=False):
            assert found.address in {None, right.address}
            assert found.size in {None, right.size}
