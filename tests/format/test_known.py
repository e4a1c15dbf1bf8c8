"""Handovers of patched kernels: versions of their own, and formats that only the sources tell."""

from __future__ import annotations

import pytest

from khoci.format.components import walk
from khoci.format.handover import Handover, decode
from khoci.format.known import Known
from khoci.format.memory import Pages
from khoci.format.versions import Version
from tests.format.guests import Guest, guest

OWN = {"kho": (5, 4), "luo": (6, 5), "memfd": (3, 2)}
MEANT = {Version(name, own): Version(name, old) for name, (own, old) in OWN.items()}


def renamed(made: Guest, *names: str) -> Pages:
    """The guest with versions of its own in place of those of the release."""
    pages = dict(made.memory.pages)
    for name in names:
        own, old = OWN[name]
        before, after = (f"{name}-v{number}\0".encode() for number in (old, own))
        pages = {address: page.replace(before, after) for address, page in pages.items()}
    return Pages(made.memory.ram, pages)


def versions(handover: Handover) -> set[str]:
    found = {str(item.version) for _, item in walk(handover.components) if item.version}
    return {str(handover.version), *found}


def test_what_nobody_told_is_not_understood() -> None:
    made = guest("radix", "kho-v4")
    handover = decode(renamed(made, "kho"), made.fdt_addr)
    assert (handover.family, len(handover.map.blocks)) == (None, 0)
    handover = decode(renamed(made, "luo"), made.fdt_addr)
    assert handover.luo
    assert handover.luo.sessions is None


@pytest.mark.parametrize("names", [("kho",), ("luo",), ("memfd",), ("kho", "luo", "memfd")])
def test_versions_that_stand_for_known_formats(names: tuple[str, ...]) -> None:
    made = guest("radix", "kho-v4")
    handover = decode(renamed(made, *names), made.fdt_addr, known=Known("radix", MEANT))
    assert handover.problems == ()
    assert tuple(handover.map.blocks) == made.blocks
    assert handover.luo
    assert handover.luo.sessions == 3
    paths = [path for path, _ in walk(handover.components)]
    assert paths == [path for path, _ in walk(decode(made.memory, made.fdt_addr).components)]
    assert {f"{name}-v{OWN[name][0]}" for name in names} <= versions(handover)


@pytest.mark.parametrize("family", ["A", "B"])
def test_a_layout_that_is_known_is_not_guessed(family: str) -> None:
    made = guest(family)
    guessed = decode(made.memory, made.fdt_addr)
    told = decode(made.memory, made.fdt_addr, known=Known(family))
    assert (told.map.decision, told.family) == (None, family)
    assert told.map.blocks == guessed.map.blocks
    assert told.components == guessed.components
