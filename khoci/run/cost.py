"""How long cells take, told before they run. Pure.

The same plan has the same estimate everywhere: what is cached, or how fast a machine is, does not
count. A wrong one makes a shard end later than its fellows, and no result different.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from khoci.compat.plan import Cell
from khoci.scenario.base import Scenario

_BOOT = 3.0
"""Seconds of one core under TCG: both kernels until their user space is up, and the jump."""
_SCENARIO = 0.8
"""What a scenario of a boot adds: it is filled, asked for, compared and judged."""
_GIGABYTE = 0.4
"""A gigabyte of guest memory, captured and looked through."""


def seconds_of(group: Sequence[Cell], scenarios: Mapping[str, Scenario], memory: int) -> float:
    """Seconds of one core that cells of one boot take.

    Args:
        group: the cells.
        scenarios: by name.
        memory: of a guest in bytes, where a scenario has none of its own.
    """
    size = scenarios[group[0].scenario].shape.memory or memory
    return round(_BOOT + _SCENARIO * len(group) + _GIGABYTE * size / (1 << 30), 3)
