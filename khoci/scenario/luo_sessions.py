"""Many live update sessions: some with files, many that are empty.

A kernel that is full takes no more (LUO_SESSION_MAX and LUO_FILE_MAX of kernel/liveupdate before
7.2: 819 sessions, 128 files in each): what it took has to come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from khoci.guest.memfd import Memfd
from khoci.scenario import luo
from khoci.scenario.base import Definition, Parameter, Scenario
from khoci.scenario.sessions import Files, Session

NAME = "luo-sessions"
SUMMARY = "many LUO sessions: some with files, many that are empty"


def make(values: Mapping[str, Any]) -> Scenario:
    """The scenario for ``sessions``, ``files``, ``size`` and ``empty``."""
    wanted = [Session("khoci-empty-", count=values["empty"])] if values["empty"] else []
    for number in range(values["sessions"]):
        memfd = Memfd(values["size"], seed=1000 * (number + 1))
        files = (Files(1, memfd, values["files"]),) if values["files"] else ()
        wanted.append(Session(f"khoci-{number}", files))
    return luo.scenario(NAME, SUMMARY, wanted)


SCENARIO = Definition(
    name=NAME,
    summary=SUMMARY,
    make=make,
    parameters={
        "sessions": Parameter(3, "with files in them"),
        "files": Parameter(5, "in each of these"),
        "size": Parameter(4097, "of each file, in bytes"),
        "empty": Parameter(52, "empty sessions more; a kho block of 7.2 has room for 51"),
    },
)
