"""What a fault is: bytes of a handover that are changed on purpose at the jump."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from khoci.format.handover import Handover
from khoci.format.memory import Memory


class NotApplicableError(Exception):
    """The handover has nothing that could be broken this way; the message says what it lacks."""


@dataclass(frozen=True)
class Write:
    """Bytes to be written.

    Attributes:
        phys: guest-physical address in bytes.
        old: what is there.
        new: what comes in its place, as many bytes.
        what: the field, for people.
    """

    phys: int
    old: bytes
    new: bytes
    what: str


@dataclass(frozen=True)
class Fault:
    """One way to break a handover.

    Attributes:
        name: as on the command line.
        summary: what is broken, in terms of the format.
        component: whose format it is.
        scenario: what hands over that which is broken.
        apply: what to write. It writes nothing itself, and raises `NotApplicableError`.
    """

    name: str
    summary: str
    component: str
    scenario: str
    apply: Callable[[Memory, Handover], tuple[Write, ...]]
