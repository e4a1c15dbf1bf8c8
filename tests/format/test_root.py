from __future__ import annotations

import pytest

from khoci.format import fdt, root
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
