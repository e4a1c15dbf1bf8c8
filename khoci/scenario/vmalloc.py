"""Lists that are handed over as vmalloc areas, through who uses them: a large memory file.

``struct kho_vmalloc`` has no reader of its own. The list of a file's folios is one: 16 bytes a
folio of 4 KiB. A chunk of it has room for 511 pages, so a file of more than 511 MiB needs a second
one: ``vmalloc:size=600M``, with a guest of 2 GiB. That takes two minutes under TCG.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from khoci.guest.memfd import Memfd
from khoci.scenario import luo
from khoci.scenario.base import Definition, Parameter, Scenario
from khoci.scenario.sessions import Files, Session

NAME = "vmalloc"
SUMMARY = "a vmalloc area of many pages: the list of a large memory file's folios"


def make(values: Mapping[str, Any]) -> Scenario:
    """The scenario for ``size``."""
    wanted = (Session("khoci-vmalloc", (Files(1, Memfd(values["size"], seed=70)),)),)
    return luo.scenario(NAME, SUMMARY, wanted, components=("vmalloc",))


SCENARIO = Definition(
    name=NAME,
    summary=SUMMARY,
    make=make,
    parameters={"size": Parameter(8 << 20, "of the file, in bytes")},
)
