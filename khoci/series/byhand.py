"""A series that does not apply, continued by hand in a repository that stands where it stopped.

The repository is our own, below the series' folder, and borrows the objects of the user's: there
nothing changes until all of the series is in.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.series.applied import Application, Step
from khoci.series.apply import branch_of, touched
from khoci.series.made import refuse_made
from khoci.series.model import Outcome
from khoci.series.patching import AM, dated, linked, put, step_of
from khoci.series.plumbing import Git, blobs_at, open_repository
from khoci.series.publish import publish
from khoci.series.workshop import allow, set_up

if TYPE_CHECKING:
    from collections.abc import Sequence

    from khoci.series.model import Patch, Series
    from khoci.series.plumbing import Repository

FOLDER = "by-hand"
_BASE = "khoci-base"
"""Holds the id of the base and the user's git folder, a line each; it is in the git folder, and
written last: it says that all is set up."""
_MOST_NAMESAKES = 20


@dataclass(frozen=True, slots=True)
class Begun:
    """What was begun by hand: the id of the base, and the repository that it is in."""

    base: str
    tree: Path

    @property
    def repository(self) -> Repository:
        """The repository.

        Raises:
            UsageError: it is gone, or an older khoci did not say which it is.
        """
        if not self.tree.parts:
            raise UsageError("it was begun by an older khoci: begin anew (--again)")
        return open_repository(self.tree)


def place_of(folder: Path) -> Path:
    """Where a series with this folder is continued by hand."""
    return folder / FOLDER


def begun(folder: Path) -> Begun | None:
    """What was begun by hand; None if nothing was."""
    marker = place_of(folder) / ".git" / _BASE
    if not marker.is_file():
        return None
    base, _, tree = os.fsdecode(marker.read_bytes()).removesuffix("\n").partition("\n")
    return Begun(base, Path(tree))


def base_of(folder: Path) -> str | None:
    """The base of what was begun by hand; None if nothing was."""
    there = begun(folder)
    return there.base if there else None


def begin(
    series: Series, commit: str, repository: Repository, folder: Path, *, again: bool = False
) -> Patch | None:
    """Set up the repository and apply patches until one does not.

    Args:
        series: what to apply.
        commit: the id of the base.
        repository: the user's, with the base.
        folder: of the series.
        again: whether what was begun before may be lost.

    Returns:
        The patch that has to be mended now; ``git am --continue`` goes on with those behind it.
        None if all of them apply.

    Raises:
        UsageError: it was begun before, or a patch does what none may.
    """
    place = place_of(folder)
    there = begun(folder)
    if there and not again:
        raise UsageError(
            f"{place}: was begun on {there.base[:12]}: 'khoci series resume' without --onto takes "
            "what is made there, --again throws it away"
        )
    shutil.rmtree(place, ignore_errors=True)
    hand = Git(place / ".git", place)
    paths = touched(series)
    paths += _namesakes(paths, commit, repository.git)
    set_up(hand, repository, commit, paths)
    hand.tell("config", "core.bare", "false")
    hand.tell("config", "core.sparseCheckoutCone", "false")
    stopped = next((p for p in series.patches if not _goes_in(p, hand)), None)
    if stopped is not None:
        left = [patch for patch in series.patches if patch.number >= stopped.number]
        _leave_open(left, hand)
        allow(hand, _unmerged(hand))
    write_atomic(place / ".git" / _BASE, os.fsencode(f"{commit}\n{repository.folder}\n"))
    return stopped


def finish(series: Series, folder: Path) -> Application:
    """Take what was made by hand: the commits get their links, and the branch is set.

    It goes to the repository that it was begun with.

    Raises:
        UsageError: a patch still waits, a commit is of no patch of the series or does what no patch
            may, or the repository is gone.
    """
    place, there = place_of(folder), begun(folder)
    if there is None:
        raise UsageError(f"{place}: nothing was begun there")
    base, repository = there.base, there.repository
    hand = Git(place / ".git", place)
    if (hand.folder / "rebase-apply").exists():
        raise UsageError(
            f"a patch still waits in {place}: mend its files, 'git add -f' them, "
            "'git am --continue', and run this again"
        )
    made = hand.line("rev-list", "--reverse", "--first-parent", f"{base}..HEAD").split()
    for parent, commit in zip((base, *made), made, strict=False):
        refuse_made(hand, parent, commit, f"commit {commit[:12]} in {place}")
    steps, head = _linked_all(series, made, base, hand)
    applied = Application(Outcome.APPLIED, series.expected, base, tuple(steps), head)
    if not made:
        return replace(applied, outcome=Outcome.ALREADY_IN, head="", why="no commit was made")
    publish(hand, repository, base, head, branch_of(series))
    shutil.rmtree(place, ignore_errors=True)
    return replace(applied, branch=branch_of(series))


def _goes_in(patch: Patch, hand: Git) -> bool:
    return put(patch, hand).step.outcome is not Outcome.CONFLICT


def _leave_open(left: Sequence[Patch], hand: Git) -> None:
    """Run ``git am`` on the patches that are left: it stops at the first, and knows the rest."""
    mails = hand.folder / "khoci-mails"
    mails.mkdir()
    names = []
    for patch in left:
        (mails / f"{patch.number:04}").write_bytes(dated(patch.mail, hand))
        names.append(str(mails / f"{patch.number:04}"))
    hand.ask(*AM, *names)


def _namesakes(paths: Sequence[str], commit: str, where: Git) -> list[str]:
    """The files of a commit that those which it lacks may have moved to: they have their names.

    If a name is a common one, those that lie nearest.
    """
    lost = set(paths) - set(blobs_at(where, commit, paths))
    names = {PurePosixPath(path).name: path for path in lost}
    listed = (
        where.tell("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit) if lost else b""
    )
    found: dict[str, list[str]] = {}
    for path in map(os.fsdecode, filter(None, listed.split(b"\0"))):
        if (name := path.rpartition("/")[2]) in names:
            found.setdefault(name, []).append(path)
    return [
        path
        for name, group in found.items()
        for path in sorted(group, key=lambda p: _distance(p, names[name]))[:_MOST_NAMESAKES]
    ]


def _distance(one: str, other: str) -> int:
    """How many folders are between two files."""
    folders = [PurePosixPath(path).parts[:-1] for path in (one, other)]
    pairs = zip(*folders, strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return sum(map(len, folders)) - 2 * common


def _unmerged(hand: Git) -> list[str]:
    """The files that a merge left open; git may have found that they moved."""
    listed = hand.tell("ls-files", "--unmerged", "-z").split(b"\0")
    return sorted({os.fsdecode(entry.partition(b"\t")[2]) for entry in listed if entry})


def _linked_all(
    series: Series, made: Sequence[str], base: str, hand: Git
) -> tuple[list[Step], str]:
    """A step a patch, and the id of the last commit; one that was skipped has no outcome.

    Commits are told by their subjects, in the order of the series.
    """
    steps: list[Step] = []
    head, waiting = base, list(made)
    for patch in series.patches:
        if waiting and _subject(waiting[0], hand) == _folded(patch.subject):
            head = linked(waiting.pop(0), patch.msgid, hand, parent=head)
            steps.append(replace(step_of(patch, Outcome.APPLIED), commit=head))
        else:
            steps.append(step_of(patch, None))
    if waiting:
        raise UsageError(
            f"commit {waiting[0][:12]} '{_subject(waiting[0], hand)}' is of no patch of the "
            "series: keep the subjects and the order"
        )
    return steps, head


def _subject(commit: str, hand: Git) -> str:
    return _folded(hand.line("show", "--no-patch", "--format=%s", commit))


def _folded(subject: str) -> str:
    return " ".join(subject.split())
