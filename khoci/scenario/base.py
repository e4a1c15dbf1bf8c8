"""What a scenario is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from khoci.format.handover import Handover


class WritableMemory(Protocol):
    """Guest memory that a scenario may fill at the jump."""

    def write(self, phys: int, data: bytes) -> None:
        """Write ``data`` at guest-physical ``phys``."""


def leave_as_is(_memory: WritableMemory, _handover: Handover) -> None:
    """Fill nothing: the producer itself made the content."""


@dataclass(frozen=True)
class Scenario:
    """One thing to preserve, how it is filled, and what its cell is about.

    Attributes:
        name: as on the command line.
        summary: one line for people.
        needs: kconfig symbols without which a producer has nothing of this to hand over.
        cmdline: kernel parameters of both sides.
        component: the component whose absence makes the whole cell ``absent``.
        fill: writes content into guest memory at the jump, so that it can be recognised later.
    """

    name: str
    summary: str
    needs: tuple[str, ...]
    cmdline: str
    component: str
    fill: Callable[[WritableMemory, Handover], None] = leave_as_is
