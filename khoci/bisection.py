"""Finding the change that turned a cell: what to test next, and what is known then. Pure.

The words, and what is tested in which order, are those of git-bisect(1).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from khoci.results import CellResult
from khoci.verdicts import Verdict

SCHEMA = 1


class Mark(StrEnum):
    """What a test says of a candidate; ``skip`` is nothing: it does not build, or not boot."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Change:
    """One step from a kernel to the next.

    Attributes:
        id: in the history: the commit id, or the patch's number from 1.
        what: ``commit`` or ``patch``.
        subject: its first line, '' if unknown.
        author: ``Name <address>``, '' if unknown.
        date: as it stands in the commit or mail, '' if unknown.
        link: where it was discussed: a ``Link:`` of the commit, or the message-id in angle
            brackets; '' if unknown.
    """

    id: str
    what: str
    subject: str = ""
    author: str = ""
    date: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as bad: one of ``bad_when``, or if that is empty, what is worse than ``good``."""

    good: Verdict
    bad_when: tuple[Verdict, ...] = ()

    def mark(self, verdict: Verdict) -> Mark:
        """The mark of a candidate.

        An ``error`` says nothing of it. Without ``bad_when``, nor does a cell in which nothing was
        handed over: it is neither as good nor worse.
        """
        if verdict is Verdict.ERROR:
            return Mark.SKIP
        if self.bad_when:
            return Mark.BAD if verdict in self.bad_when else Mark.GOOD
        if verdict is Verdict.ABSENT:
            return Mark.SKIP
        return Mark.BAD if verdict.rank > self.good.rank else Mark.GOOD


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kernel that was tested; ``id`` is its last change, ``kernel`` its name."""

    id: str
    kernel: str
    mark: Mark
    result: CellResult


@dataclass(frozen=True, slots=True)
class Reverted:
    """What came of the bad end without the change; ``tested`` is None where it cannot be had."""

    tested: Candidate | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Bisection:
    """What a bisection found.

    Attributes:
        suspects: the first bad change; more if those between were skipped, in no order.
        tested: all candidates in the order of their tests, the good end and the bad one first.
        reverted: what came of reverting the change, None if there are several.
    """

    suspects: tuple[Change, ...]
    tested: tuple[Candidate, ...]
    reverted: Reverted | None = None

    @property
    def found(self) -> bool:
        """Whether it is one change."""
        return len(self.suspects) == 1

    @property
    def good(self) -> Candidate:
        """The good candidate that was found last: nothing nearer to the change is good."""
        return [each for each in self.tested if each.mark is Mark.GOOD][-1]

    @property
    def bad(self) -> Candidate:
        """The bad candidate that was found last: the oldest there is."""
        return [each for each in self.tested if each.mark is Mark.BAD][-1]

    @property
    def skipped(self) -> tuple[Candidate, ...]:
        """The candidates that could not be judged."""
        return tuple(each for each in self.tested if each.mark is Mark.SKIP)

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        reverted = self.reverted
        return {
            "schema": SCHEMA,
            "found": self.found,
            "suspects": [asdict(change) for change in self.suspects],
            "good": _to_json(self.good),
            "bad": _to_json(self.bad),
            "reverted": reverted
            and {"tested": reverted.tested and _to_json(reverted.tested), "why": reverted.why},
            "tested": [
                {"id": each.id, "kernel": each.kernel, "mark": each.mark} for each in self.tested
            ],
        }


def _to_json(tested: Candidate) -> dict[str, Any]:
    return {"id": tested.id, "kernel": tested.kernel, "cell": tested.result.to_json()}


Suspects = Callable[[Collection[str], str], Sequence[str]]
"""From those known to be good and the oldest bad one: which candidates may be the first bad one,
that one too; first the one whose test halves them best."""


def verdict_of(result: CellResult, component: str = "") -> Verdict:
    """The verdict of a cell, or of one of its components: ``absent`` if it does not have that."""
    if not component or result.verdict is Verdict.ERROR:
        return result.verdict
    judgement = result.components.get(component)
    return judgement.verdict if judgement else Verdict.ABSENT


def narrow(
    suspects: Suspects, good: str, bad: str, test: Callable[[str, int], Mark]
) -> tuple[str, ...]:
    """Test candidates until no test can tell more; return those that may be the first bad one.

    Args:
        suspects: the history.
        good: the good end.
        bad: the bad end; a descendant of the good one.
        test: is told the candidate, and how many suspects there are.
    """
    goods, skipped = {good}, set[str]()
    while True:
        left = suspects(goods, bad)
        candidate = choose([each for each in left if each != bad], skipped)
        if candidate is None:
            return tuple(left)
        mark = test(candidate, len(left))
        if mark is Mark.BAD:
            bad = candidate
        else:
            (goods if mark is Mark.GOOD else skipped).add(candidate)


def choose(ordered: Sequence[str], skipped: Collection[str]) -> str | None:
    """The candidate to test next, None if there is none.

    It is the first, and beside one that was skipped the next. Where more were skipped, what lies
    around them is likely to be broken as well: then it is one from further away.

    Args:
        ordered: the best one first.
        skipped: those that cannot be tested.
    """
    possible = [each for each in ordered if each not in skipped]
    away = sum(each in skipped for each in ordered)
    if not possible:
        return None
    return possible[0 if away < 2 else int(len(possible) * _spread(away - 1))]


def _spread(number: int) -> float:
    """1/2, 1/4, 3/4, 1/8, ... for 1, 2, 3, 4, ...: evenly spread, however many there are."""
    share, place = 0.0, 0.5
    while number:
        number, bit = divmod(number, 2)
        share, place = share + bit * place, place / 2
    return share


def halving(line: Sequence[str]) -> list[str]:
    """Suspects that lie in a line, oldest first and bad one last, in the order of `Suspects`."""
    places = sorted(range(len(line)), key=lambda at: -min(at + 1, len(line) - 1 - at))
    return [line[at] for at in places]


def log(start: str, tested: Sequence[Candidate]) -> str:
    """The tests as ``git bisect log`` has them, for ``git bisect replay`` if it can ``start``."""
    lines = [start] if start else []
    for each in tested:
        lines.append(f"# {each.mark}: {each.kernel}: {each.result.verdict}")
        if start:
            lines.append(f"git bisect {each.mark} {each.id}")
    return "\n".join((*lines, ""))


def left_after(suspects: int) -> int:
    """How many candidates are left to test after the next one."""
    return (suspects - 1) // 2


def steps(suspects: int) -> int:
    """About how many more tests it takes after the next one, as git reckons."""
    if suspects < 3:
        return 0
    whole = suspects.bit_length() - 1
    power = 1 << whole
    return whole if power < 3 * (suspects - power) else whole - 1
