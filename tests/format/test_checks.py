from __future__ import annotations

from khoci.format import checks
from khoci.format.blocks import Run
from khoci.format.checks import Problem
from khoci.format.errors import Place
from khoci.format.ranges import Range
from khoci.format.scratch import ScratchArea

MAP = Place("root/preserved-memory-map", 0x5000)
RAM = (Range(0, 0x100_0000),)


def problems(runs: list[Run], *scratch: ScratchArea) -> list[Problem]:
    return list(checks.check_map(runs, RAM, scratch, MAP))


def test_a_sound_map_has_no_problems() -> None:
    area = ScratchArea("global", 0x8000, 0x1000)
    assert problems([Run(0, 0, 8), Run(0x9000, 0), Run(0xFF_F000, 0)], area) == []


def test_each_kind_has_its_message() -> None:
    assert problems([Run(0, 1), Run(0x1000, 0)]) == [
        Problem(MAP.where, 0x1000, "a block of order 0 overlaps one of order 1")
    ]
    assert problems([Run(0xFF_F000, 1)]) == [
        Problem(MAP.where, 0xFF_F000, "a block is not all in RAM")
    ]
    area = ScratchArea("lowmem", 0x1000, 0x1000)
    assert problems([Run(0, 1)], area) == [Problem(MAP.where, 0, "a block is in a scratch area")]


def test_many_of_a_kind_are_counted() -> None:
    found = problems([Run(0x100_0000 + (n << 12), 0) for n in range(100)])
    assert len(found) == checks.SHOWN + 1
    assert found[-1] == Problem(MAP.where, 0x5000, "84 more like the last one")


def test_memory_that_the_map_does_not_list() -> None:
    owned = {"root": [Range(0x5000, 0x1000)], "luo": [Range(0x7000, 0x2000)]}
    assert list(checks.check_owned([Run(0x5000, 0), Run(0x7000, 0, 2)], owned, MAP)) == []
    assert list(checks.check_owned([Run(0x5000, 0, 3)], owned, MAP)) == [
        Problem(f"{MAP.where}/luo", 0x7000, "8192 bytes of luo are not in the map")
    ]
