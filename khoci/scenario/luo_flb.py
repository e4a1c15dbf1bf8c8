"""Objects that are bound to files (FLB), by the kernel's own test in lib/tests/liveupdate.c.

The test binds three objects to every kind of file: they are handed over with the first file that
is preserved, and finished with the last. It tells in the log what it gets back, and whether that is
what it left; 7.0 and later have it. So no other file may be preserved in the same boot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from khoci.guest.memfd import Memfd
from khoci.guest.session import Agent
from khoci.scenario import luo, retrieving
from khoci.scenario.base import Checked, Definition, Outcome, Scenario, Verified
from khoci.scenario.sessions import Files, Preserved, Session

NAME = "luo-flb"
SUMMARY = "objects bound to a file, by the kernel's own lib/tests/liveupdate.c"
_OBJECTS = 3
_SAID = re.compile(r"(?P<name>\S*flb\S*): (?P<what>found flb data|finish was triggered|ERROR.*)")


async def verify(agent: Agent, state: Preserved) -> Verified:
    """What sessions do, and what the kernel's test says of its objects."""
    found = await retrieving.verify(agent, state)
    lines = (await agent.command("kmsg"))["lines"]
    return replace(found, checked=(*found.checked, *objects(lines)))


def objects(log: Iterable[str]) -> list[Checked]:
    """What a log says of each object; one that it does not name is missing."""
    said: dict[str, list[str]] = {}
    for match in filter(None, map(_SAID.search, log)):
        said.setdefault(match["name"], []).append(match["what"])
    found = [_object(name, said[name]) for name in sorted(said)]
    missing = [
        Checked("flb", f"object {number + 1} of {_OBJECTS}", Outcome.MISSING, "not in the log")
        for number in range(len(found), _OBJECTS)
    ]
    return [*found, *missing]


def _object(name: str, said: list[str]) -> Checked:
    wrong = [text for text in said if text.startswith("ERROR")]
    if wrong:
        return Checked("flb", name, Outcome.DIFFERENT, wrong[0])
    if said[-1] != "finish was triggered":
        return Checked("flb", name, Outcome.MISSING, "it was found, and never finished")
    return Checked("flb", name, Outcome.SAME)


def make(_values: Mapping[str, Any]) -> Scenario:
    """The scenario; it has no parameters."""
    wanted = (Session("khoci-flb", (Files(1, Memfd(8192, seed=60)),)),)
    made = luo.scenario(NAME, SUMMARY, wanted, needs=("LIVEUPDATE_TEST",), components=("flb",))
    return replace(made, verify=verify, component="flb", joint=False)


SCENARIO = Definition(name=NAME, summary=SUMMARY, make=make)
