from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat.verdict import RULES
from khoci.errors import UsageError
from khoci.format.handover import Handover, decode
from khoci.format.ranges import Range
from khoci.scenario import scenarios, select
from khoci.scenario.base import Scenario
from khoci.scenario.reserve_mem import fill, pattern
from khoci.vm.ram import GuestRam
from tests.format.guests import REGION, guest

MIB = 1 << 20


@pytest.fixture(scope="module")
def handover() -> Handover:
    made = guest("B")
    return decode(made.memory, made.fdt_addr)


def test_every_module_with_a_scenario_is_one() -> None:
    assert sorted(scenarios()) == ["kho-test", "reserve-mem"]


@pytest.mark.parametrize("scenario", scenarios().values(), ids=str)
def test_what_every_scenario_says(scenario: Scenario) -> None:
    assert scenario.summary
    assert "KEXEC_HANDOVER" in scenario.needs
    assert scenario.component in RULES


def test_select_keeps_the_order() -> None:
    names = ("reserve-mem", "kho-test")
    assert tuple(scenario.name for scenario in select(names)) == names


def test_an_unknown_scenario_is_one_line_with_those_that_are_known() -> None:
    with pytest.raises(UsageError) as caught:
        select(["kho-test", "memfd"])
    assert str(caught.value) == "unknown scenario 'memfd': there are kho-test, reserve-mem"


def test_kho_test_leaves_memory_alone(handover: Handover) -> None:
    ram = GuestRam.create(1 << 30)
    try:
        scenarios()["kho-test"].fill(ram, handover)
        assert list(ram.data()) == []
    finally:
        ram.close()


def test_reserve_mem_fills_its_regions_and_nothing_else(handover: Handover) -> None:
    ram = GuestRam.create(1 << 30)
    try:
        fill(ram, handover)
        assert list(ram.data()) == [Range(*REGION)]
        chunks = [ram.read(REGION[0] + at, MIB) for at in range(0, REGION[1], MIB)]
    finally:
        ram.close()
    assert len({hashlib.sha256(chunk).digest() for chunk in chunks}) == len(chunks)
    assert chunks[1] == pattern("data", MIB, MIB)


def test_reserve_mem_without_regions_fills_nothing(handover: Handover) -> None:
    ram = GuestRam.create(1 << 30)
    try:
        fill(ram, replace(handover, components=()))
        assert list(ram.data()) == []
    finally:
        ram.close()


@given(st.text(max_size=15), st.integers(0, 1 << 40), st.integers(0, 1 << 12))
def test_the_pattern_has_the_size_and_is_always_the_same(name: str, offset: int, size: int) -> None:
    assert len(pattern(name, offset, size)) == size
    assert pattern(name, offset, size) == pattern(name, offset, size)


def test_the_pattern_depends_on_region_and_place() -> None:
    found = sorted(pattern(name, offset, 64) for name in ("a", "b") for offset in (0, 4096))
    assert all(one != other for one, other in pairwise(found))
