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
from khoci.format.memblock import ReserveMem
from khoci.format.ranges import Range
from khoci.scenario import definitions, select
from khoci.scenario.base import Checked, Definition, Outcome, Shape
from khoci.scenario.luo_flb import objects
from khoci.scenario.reserve_mem import fill, pattern
from khoci.vm.ram import GuestRam
from tests.format.guests import REGION, guest

MIB = 1 << 20


@pytest.fixture(scope="module")
def handover() -> Handover:
    made = guest("B")
    return decode(made.memory, made.fdt_addr)


NAMES = [
    "crash",
    "empty",
    "kaslr",
    "kho-off",
    "kho-test",
    "luo-flb",
    "luo-sessions",
    "memfd",
    "memory-shape",
    "reserve-mem",
    "unfinalized",
    "vmalloc",
]


def test_every_module_with_a_scenario_is_one() -> None:
    assert sorted(definitions()) == NAMES


@pytest.mark.parametrize("definition", definitions().values(), ids=lambda item: item.name)
def test_what_every_scenario_says(definition: Definition) -> None:
    scenario = definition.with_values({})
    assert scenario.name == definition.name
    assert scenario.summary == definition.summary
    assert "KEXEC_HANDOVER" in scenario.needs
    assert {scenario.component, *scenario.components} <= set(RULES)
    for parameter in definition.parameters.values():
        assert parameter.summary


def test_select_keeps_the_order() -> None:
    names = ("reserve-mem", "kho-test")
    assert tuple(scenario.name for scenario in select(names)) == names


def test_parameters_are_in_the_name() -> None:
    (scenario,) = select(["memory-shape:nodes=2:memory=1G"])
    assert scenario.name == "memory-shape:memory=1G:nodes=2"
    assert scenario.shape == Shape(memory=1 << 30, scratch="16M,128M,64M", nodes=2)
    assert select([scenario.name]) == (scenario,)


def test_an_unknown_scenario_is_one_line_with_those_that_are_known() -> None:
    with pytest.raises(UsageError) as caught:
        select(["kho-test", "memdf"])
    assert str(caught.value) == f"unknown scenario 'memdf': there are {', '.join(NAMES)}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vmalloc:seize=1", "has no parameter 'seize': it has size"),
        ("empty:size=1", "has no parameter 'size': it has none"),
        ("memfd:size=big", "size is a number or size, not 'big'"),
        ("memfd:size", "'size' is no NAME=VALUE"),
        ("memfd:size=8K:holes=3", "3 holes of a page each do not fit into 8192 bytes"),
        ("reserve-mem:regions=9", "regions must be 1 to 8"),
        ("memory-shape:memory=1000", "memory must be whole megabytes, at least 128M"),
        ("memory-shape:nodes=0", "nodes must be 1 to 8"),
        ("memory-shape:scratch=zz", "scratch must be three sizes"),
        ("memory-shape:scratch=16M+128M", "scratch must be three sizes"),
        ("reserve-mem:align=3", "align must be a power of 2, at least 4K"),
        ("reserve-mem:align=12K", "align must be a power of 2, at least 4K"),
        ("reserve-mem:size=0", "size must be whole pages of 4K, at least one"),
        ("reserve-mem:size=5000", "size must be whole pages of 4K, at least one"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        select([text])
    assert str(caught.value).startswith("scenario '")
    assert message in str(caught.value)


@pytest.mark.parametrize(("regions", "sizes"), [(1, ["8M"]), (2, ["8M", "64K"]), (4, ["8M"] * 3)])
def test_the_regions_of_reserve_mem(regions: int, sizes: list[str]) -> None:
    (scenario,) = select([f"reserve-mem:regions={regions}"])
    asked = [word for word in scenario.cmdline.split() if word.startswith("reserve_mem=")]
    assert len(asked) == regions
    assert len({word.rpartition(":")[2] for word in asked}) == regions
    assert all(len(word.rpartition(":")[2]) < 16 for word in asked)
    assert sum("=8M:" in word for word in asked) == sizes.count("8M")


FOUND = "[ 1.2] liveupdate test: liveupdate-test-flb-v{}: found flb data from the previous boot"
FINISHED = "[ 1.3] liveupdate test: liveupdate-test-flb-v{}: finish was triggered"
WRONG = "[ 1.2] liveupdate test: liveupdate-test-flb-v1: ERROR - incorrect data handle: 1"


def test_objects_that_were_found_and_finished_are_the_same() -> None:
    log = [line.format(number) for number in range(3) for line in (FOUND, FINISHED)]
    assert {item.outcome for item in objects(log)} == {Outcome.SAME}
    assert len(objects(log)) == 3


@pytest.mark.parametrize(
    ("log", "outcomes"),
    [
        ([], ["missing"] * 3),
        ([FOUND.format(0)], ["missing"] * 3),
        ([FOUND.format(0), FINISHED.format(0), WRONG], ["same", "different", "missing"]),
    ],
)
def test_objects_that_were_not(log: list[str], outcomes: list[str]) -> None:
    assert [item.outcome for item in objects(log)] == outcomes
    assert all(isinstance(item, Checked) and item.component == "flb" for item in objects(log))


def test_kho_test_leaves_memory_alone(handover: Handover) -> None:
    ram = GuestRam.create(1 << 30)
    try:
        select(["kho-test"])[0].fill(ram, handover)
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


@pytest.mark.parametrize("broken", ["the root", "not preserved"])
def test_reserve_mem_fills_nothing_that_is_not_its_own(handover: Handover, broken: str) -> None:
    assert handover.fdt_addr is not None
    start = handover.fdt_addr if broken == "the root" else REGION[0] + 4096
    [top] = [item for item in handover.components if item.name == "reserve_mem"]
    assert isinstance(top.value, ReserveMem)
    region = replace(top.value.regions[0], start=start)
    moved = replace(top, value=replace(top.value, regions=(region,)))
    others = [item for item in handover.components if item is not top]
    ram = GuestRam.create(1 << 30)
    try:
        fill(ram, replace(handover, components=(moved, *others)))
        assert list(ram.data()) == []
    finally:
        ram.close()


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
