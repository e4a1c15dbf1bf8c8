"""A whole bisection: both ends, the search between them, and the proof by reverting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from khoci.bisect.history import NoRevertError
from khoci.bisection import (
    Bisection,
    Candidate,
    Mark,
    Reverted,
    Rule,
    left_after,
    log,
    narrow,
    steps,
    verdict_of,
)
from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.verdicts import Verdict

if TYPE_CHECKING:
    from khoci.bisect.history import History
    from khoci.bisect.trial import Trial
    from khoci.bisection import Change
    from khoci.config.kernels import KernelSpec
    from khoci.results import CellResult

LOG = "bisect.log"
Say = Callable[[str], None]


def bisect(history: History, trial: Trial, say: Say) -> Bisection:
    """Find the change that turned the cell of ``trial``.

    Args:
        history: the changes.
        trial: runs the cell; what it has kept is not run again, so that this goes on where it was
            stopped.
        say: is told, line by line, what git bisect tells.

    Raises:
        UsageError: the ends do not differ, or one cannot be judged.
        HarnessError: the host failed.
    """
    trial.define(history.base)
    search = _begin(history, trial, say)
    left = narrow(history.suspects, history.good, history.bad, search.test)
    suspects = tuple(history.change(each) for each in left)
    found = Bisection(suspects, tuple(search.tested))
    if not found.found:
        return found
    say(f"{_title(suspects[0])} is the first bad {suspects[0].what}; reverting it")
    return Bisection(suspects, found.tested, search.without(suspects[0].id))


@dataclass
class _Search:
    """The candidates that were tested so far."""

    history: History
    trial: Trial
    say: Say
    rule: Rule
    tested: list[Candidate] = field(default_factory=list)

    def test(self, id_: str, suspects: int) -> Mark:
        """Test a candidate between the ends."""
        number = left_after(suspects)
        changes = "change" if number == 1 else "changes"
        more = steps(suspects)
        roughly = f"roughly {more} {'step' if more == 1 else 'steps'}"
        self.say(f"Bisecting: {number} {changes} left to test after this ({roughly})")
        self.say(_title(self.history.change(id_)))
        return self.add(id_).mark

    def add(self, id_: str) -> Candidate:
        """Test a candidate."""
        tested = self._tested(id_, self.history.kernel(id_))
        self.tested.append(tested)
        write_atomic(self.trial.folder.path / LOG, log(self.history.start, self.tested))
        self.say(_told(tested))
        return tested

    def without(self, id_: str) -> Reverted:
        """Test the bad end with a change taken back."""
        try:
            kernel = self.history.without(id_)
        except NoRevertError as error:
            return Reverted(None, str(error))
        tested = self._tested(id_, kernel)
        self.say(_told(tested))
        return Reverted(tested, _why(tested.result) if tested.mark is Mark.SKIP else "")

    def _tested(self, id_: str, kernel: KernelSpec) -> Candidate:
        result = self.trial.run(kernel)
        verdict = verdict_of(result, self.trial.question.component)
        return Candidate(id_, kernel.name, self.rule.mark(verdict), result)


def _begin(history: History, trial: Trial, say: Say) -> _Search:
    """Test both ends.

    Raises:
        UsageError: nothing was turned between them.
    """
    question = trial.question
    first = trial.run(history.kernel(history.good))
    rule = Rule(verdict_of(first, question.component), question.bad_when)
    search = _Search(history, trial, say, rule)
    good, bad = search.add(history.good), search.add(history.bad)
    for end, tested, wanted in (("--good", good, Mark.GOOD), ("--bad", bad, Mark.BAD)):
        if tested.mark is Mark.SKIP:
            raise UsageError(f"{end} {tested.kernel} cannot be judged: {_why(tested.result)}")
        if tested.mark is not wanted:
            raise UsageError(_not_turned(end, good, bad, question.component))
    return search


def _not_turned(end: str, good: Candidate, bad: Candidate, component: str) -> str:
    was, now = (verdict_of(tested.result, component) for tested in (good, bad))
    what = component or "the cell"
    line = f"{what} is {was} with {good.kernel} and {now} with {bad.kernel}: {end} is not so"
    if was is now:
        there = ", ".join(bad.result.components)
        advice = f"; name the component that changes with --component: {there}"
        return line + ("" if component else advice)
    return f"{line}; --bad-when {now} looks for the change that made it {now}"


def _told(tested: Candidate) -> str:
    verdict = tested.result.verdict
    why = f": {_why(tested.result)}" if tested.mark is Mark.SKIP else ""
    return f"# {tested.mark}: {tested.kernel}: {verdict}{why}"


def _title(change: Change) -> str:
    return f"[{change.id}] {change.subject}"


def _why(result: CellResult) -> str:
    """Why nothing can be said of a candidate."""
    if result.verdict not in (Verdict.ERROR, Verdict.ABSENT):
        return f"the component is {Verdict.ABSENT}"
    return result.reason or str(result.verdict)
