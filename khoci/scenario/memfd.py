"""A memory file in a live update session: size, content, holes, position, seals.

The file is what a VMM keeps guest memory in: pages are written, some never were, and what is
compared was written after the file was preserved, as by a guest that still runs. It is sealed
against another size, as a VMM seals guest memory; before 7.1 that is not handed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from khoci.format.ranges import Range
from khoci.guest.memfd import Memfd, Seal
from khoci.scenario import luo
from khoci.scenario.base import Definition, Parameter, Scenario
from khoci.scenario.sessions import Files, Session

NAME = "memfd"
SUMMARY = "a memory file in a LUO session, compared byte by byte"
_PAGE = 4096
_POSITION = 4711
_SEALS = int(Seal.SHRINK | Seal.GROW)


def make(values: Mapping[str, Any]) -> Scenario:
    """The scenario for ``size``, ``holes``, ``position``, ``seals`` and ``flags``."""
    size, holes = values["size"], values["holes"]
    step = size // (holes + 1) // _PAGE * _PAGE
    if holes and step < 2 * _PAGE:
        raise ValueError(f"{holes} holes of a page each do not fit into {size} bytes")
    memfd = Memfd(
        size=size,
        seed=1,
        holes=tuple(Range(step * (number + 1), _PAGE) for number in range(holes)),
        position=values["position"],
        seals=values["seals"],
        allocate=bool(values["allocate"]),
        flags=values["flags"],
    )
    wanted = (Session("khoci-memfd", (Files(1, memfd),)),)
    return luo.scenario(NAME, SUMMARY, wanted)


SCENARIO = Definition(
    name=NAME,
    summary=SUMMARY,
    make=make,
    parameters={
        "size": Parameter((1 << 20) + 123, "of the file, in bytes"),
        "holes": Parameter(3, "pages that are never written, spread over the file"),
        "allocate": Parameter(1, "1 if holes have pages all the same (fallocate), 0 if not"),
        "position": Parameter(_POSITION, "of the file, in bytes"),
        "seals": Parameter(
            _SEALS, "F_SEAL_* as a number; with 8, 16 or 32 nothing is written later"
        ),
        "flags": Parameter(2, "of memfd_create; 2 allows sealing, 8 is MFD_NOEXEC_SEAL"),
    },
)
