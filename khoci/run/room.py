"""How much memory a run may take at most, and how many cells at once fit into what there is. Pure.

A cell takes the RAM of its guest, which it may fill, and `BESIDE` it. A guest that is large for
its shape alone preserves no more than others do: of what is above `FILLED` it only touches what
its kernel needs to keep account of it. One thing would fill it, and asks first whether there is
memory for that (`khoci.compat.arrival`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from khoci.compat.ready import most_parked
from khoci.errors import UnfitError
from khoci.scenario.base import Scenario
from khoci.vm.ram import ACCOUNT, FILLED

KHOCI = 128 << 20
"""khoci itself."""
BESIDE = 128 << 20
"""Of a cell besides its guest's RAM: QEMU with its translated code, and what khoci looks at."""
_GIB = 1 << 30


@dataclass(frozen=True)
class Room:
    """How many at once.

    Attributes:
        jobs: cells that run.
        kept: producers that are kept.
    """

    jobs: int
    kept: int


@dataclass(frozen=True)
class Need:
    """What the largest cell of a run takes, in bytes.

    Attributes:
        cell: while it runs.
        kept: its producer, when it is kept.
        name: its scenario.
    """

    cell: int
    kept: int
    name: str

    def most(self, room: Room) -> int:
        """What all together take at most."""
        return KHOCI + room.jobs * self.cell + room.kept * self.kept


def need(scenarios: Iterable[Scenario], memory: int) -> Need:
    """What the largest cell of these scenarios takes.

    Args:
        scenarios: one or more.
        memory: RAM in bytes of a guest whose scenario has none of its own.
    """
    return max((_need(scenario, memory) for scenario in scenarios), key=lambda found: found.cell)


def _need(scenario: Scenario, memory: int) -> Need:
    own = scenario.shape.memory
    size = memory if own is None else min(own, FILLED + own // ACCOUNT)
    return Need(size + BESIDE, most_parked(own or memory), scenario.name)


def fitting(wanted: Need, jobs: int, available: int | None) -> Room | None:
    """As many cells as fit, at most ``jobs``, and beside them as many producers; None for none.

    Args:
        wanted: by the largest cell.
        jobs: one or more.
        available: bytes; None where nobody can tell.
    """
    if available is None:
        return Room(jobs, jobs + 1)
    for number in range(jobs, 0, -1):
        left = available - wanted.most(Room(number, 0))
        if left >= 0:
            return Room(number, min(number + 1, left // wanted.kept))
    return None


def room_of(
    wanted: Need, jobs: int | None, cores: int, available: int | None
) -> tuple[Room, str | None]:
    """The room that cells of a run have, and a line for the user if that is less than cores.

    Args:
        wanted: by the largest cell.
        jobs: what the user asks for; None for as many as is good.
        cores: of this machine.
        available: bytes; None where nobody can tell.

    Raises:
        UnfitError: no cell fits, or not as many as the user asks for.
    """
    asked, there = jobs or cores, _there(available or 0)
    room = fitting(wanted, asked, available)
    if room is None:
        takes = _up_to(wanted.most(Room(1, 0)))
        raise UnfitError(
            f"not enough memory: a cell of {wanted.name} takes {takes}, and {there}: free some, "
            "or choose a smaller [guest] memory or other --scenarios"
        )
    if room.jobs == asked:
        return room, None
    both = f"{asked} cells at once take {_up_to(wanted.most(Room(asked, 0)))}, and {there}"
    if jobs is not None:
        raise UnfitError(f"not enough memory: {both}: -j {room.jobs} fits")
    return room, f"{both}: running with -j {room.jobs}"


def _up_to(number: int) -> str:
    return f"up to {math.ceil(number * 10 / _GIB) / 10} GiB"


def _there(number: int) -> str:
    return f"{math.floor(number * 10 / _GIB) / 10} GiB are available"
