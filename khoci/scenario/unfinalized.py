"""The jump without finalizing, on a kernel where somebody has to: what is handed over then?

6.16 to 6.18 hand over nothing that was not finalized by debugfs; later kernels finalize by
themselves, or have nothing to finalize.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from khoci.guest.session import Agent, AgentError
from khoci.scenario import reserve_mem
from khoci.scenario.base import Definition, NotPossibleError, Scenario, State

NAME = "unfinalized"
SUMMARY = "the jump without finalize, where a kernel has that"
FILE = "/sys/kernel/debug/kho/out/finalize"


async def preserve(agent: Agent) -> State:
    """See whether there is something to finalize.

    Raises:
        NotPossibleError: there is not.
        AgentError: it cannot be seen.
    """
    try:
        await agent.command("read", path=FILE, max=16)
    except AgentError as error:
        if error.errno != errno.ENOENT:
            raise
        raise NotPossibleError("finalizes by itself: there is nothing to forget") from None
    return None


def make(_values: Mapping[str, Any]) -> Scenario:
    """The scenario; it has no parameters."""
    made = reserve_mem.SCENARIO.with_values({})
    return replace(made, summary=SUMMARY, finalize=False, preserve=preserve)


SCENARIO = Definition(name=NAME, summary=SUMMARY, make=make)
