"""The words a cell is judged with."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What became of one component, or of a whole cell; from best to worst."""

    ABSENT = "absent"
    RESTORED = "restored"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DROPPED = "dropped"
    CORRUPT = "corrupt"
    PANIC = "panic"
    RESET = "reset"
    HANG = "hang"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Position from best (0) to worst."""
        return _RANKS[self]


_RANKS = {verdict: rank for rank, verdict in enumerate(Verdict)}

MEANING = {
    Verdict.ABSENT: "the producer has nothing of this to hand over",
    Verdict.RESTORED: "taken over, content proven equal",
    Verdict.ACCEPTED: "taken over, and nothing in it could be checked",
    Verdict.REFUSED: "the consumer says so, and runs on",
    Verdict.DROPPED: "silently gone",
    Verdict.CORRUPT: "taken over, and content or memory map is wrong",
    Verdict.PANIC: "the consumer panics",
    Verdict.RESET: "the consumer dies with no word",
    Verdict.HANG: "the consumer hangs",
    Verdict.ERROR: "the harness failed, no kernel is judged",
}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts; ``absent`` if there are none."""
    return max(verdicts, key=lambda verdict: verdict.rank, default=Verdict.ABSENT)
