"""What came of putting a series on a commit. Values only."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from khoci.series.hunks import Misfit
from khoci.series.model import Outcome


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one patch.

    Attributes:
        number: as the patch says, from 1.
        msgid: without angle brackets.
        subject: of the patch.
        outcome: applied, already in or conflict; None if it was not tried.
        commit: the id of what it became, '' if it became nothing.
        three_way: whether a merge was needed.
        elsewhere: the files that the merge changed and the patch does not name: git found that
            what the patch names had moved there, which a reader should see.
    """

    number: int
    msgid: str
    subject: str
    outcome: Outcome | None
    commit: str = ""
    three_way: bool = False
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Application:
    """What came of a series on a commit.

    Attributes:
        outcome: of the whole; applied if at least one patch became a commit and the base has or
            took all others.
        of: how many patches the series says it has.
        base: the id of the commit, '' if it is not known.
        steps: one a patch that is there, in order.
        head: the id of the last commit made, '' unless applied.
        why: of all but applied, in one line.
        misfits: of a conflict, the files at fault.
        branch: the branch that was set, '' if none.
    """

    outcome: Outcome
    of: int
    base: str = ""
    steps: tuple[Step, ...] = ()
    head: str = ""
    why: str = ""
    misfits: tuple[Misfit, ...] = ()
    branch: str = ""

    @property
    def applied(self) -> int:
        """How many patches became commits."""
        return sum(step.outcome is Outcome.APPLIED for step in self.steps)

    @property
    def already_in(self) -> tuple[int, ...]:
        """The numbers of the patches that the base has."""
        return tuple(step.number for step in self.steps if step.outcome is Outcome.ALREADY_IN)

    @property
    def stopped_at(self) -> int | None:
        """The number of the patch that does not apply."""
        conflicts = (step.number for step in self.steps if step.outcome is Outcome.CONFLICT)
        return next(conflicts, None)


def to_json(done: Application, kernel: str = "") -> dict[str, object]:
    """An application as plain JSON values: a row of the table series x kernels.

    ``patches`` has one object a patch; ``outcome`` in it is null where it was not tried.
    """
    named: dict[str, object] = {"kernel": kernel} if kernel else {}
    return {
        **named,
        "outcome": str(done.outcome),
        "applied": done.applied,
        "of": done.of,
        "already_in": list(done.already_in),
        "stopped_at": done.stopped_at,
        "why": done.why,
        "base": done.base or None,
        "head": done.head or None,
        "branch": done.branch or None,
        "patches": [asdict(step) for step in done.steps],
        "misfits": [asdict(each) for each in done.misfits],
    }
