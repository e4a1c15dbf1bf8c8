"""Mutations of flattened device trees that keep them valid: nodes and properties change."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from khoci.format import fdt
from khoci.format.errors import DecodeError, Place
from khoci.format.fdt import Node
from tests.format import encoders

if TYPE_CHECKING:
    import random

NAMES = (
    *("compatible", "preserved-memory-map", "fdt", "preserved-data", "blob-size", "start", "size"),
    *("magic", "nr_folios", "folios_info", "csum", "liveupdate-number", "luo-session-header"),
    *("luo-flb-header", "linux,kho-fdt", "linux,kho-scratch", "#address-cells", "#size-cells"),
)
NODES = (
    *("", "memblock", "kho_test", "LUO", "kexec-metadata", "data", "luo-session", "luo-flb"),
    *("chosen", "x" * 64, "\\xff", "a/b", "root", "orphan", "vmalloc", "memfd[0x1a]"),
)
STRINGS = (
    *(b"kho-v1", b"kho-v2", b"kho-v3", b"kho-v4", b"kho-v5", b"memblock-v1", b"reserve-mem-v1"),
    *(b"kho-test-v1", b"luo-v1", b"luo-v5", b"luo-session-v2", b"luo-flb-v1", b"memfd-v1"),
    *(b"memfd-v2", b"a-v1;b-v2", b"kho-v", b"-v1", b"kho-v99999999999999999999", b"\x1b[2J"),
)


def change_tree(data: bytes, rng: random.Random) -> bytes | None:
    """A tree like ``data`` with one thing changed, None if it is no tree."""
    try:
        root = fdt.parse(data, Place("tree")).root
    except DecodeError:
        return None
    return encoders.fdt(_node(root, rng), nops=rng.choice((0, 0, 0, 1)))


def _node(node: Node, rng: random.Random) -> Node:
    if node.children and rng.random() < 0.6:
        return replace(node, children=_children(node.children, rng))
    if rng.random() < 0.1:
        return replace(node, name=rng.choice(NODES))
    return replace(node, properties=_properties(node.properties, rng))


def _children(children: tuple[Node, ...], rng: random.Random) -> tuple[Node, ...]:
    index = rng.randrange(len(children))
    child, kind = children[index], rng.randrange(8)
    if kind == 0:
        changed: tuple[Node, ...] = ()
    elif kind == 1:
        changed = (child, child)
    elif kind == 2:
        changed = (replace(child, children=(child,)),)
    else:
        changed = (_node(child, rng),)
    return children[:index] + changed + children[index + 1 :]


def _properties(
    properties: tuple[tuple[str, bytes], ...], rng: random.Random
) -> tuple[tuple[str, bytes], ...]:
    if not properties or rng.random() < 0.1:
        return (*properties, (rng.choice(NAMES), rng.randbytes(8)))
    index = rng.randrange(len(properties))
    name, value = properties[index]
    changed = {
        0: (),
        1: ((name, value), (name, rng.randbytes(len(value)))),
        2: ((rng.choice(NAMES), value),),
        3: ((name, rng.choice(STRINGS) + b"\0"),),
        4: ((name, value[: rng.randrange(len(value) + 1)]),),
        5: ((name, value * rng.choice((2, 3, 40))),),
    }.get(rng.randrange(6), ())
    return properties[:index] + changed + properties[index + 1 :]
