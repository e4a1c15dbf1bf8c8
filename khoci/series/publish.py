"""Branches in the user's repository: set when the commits are there, deleted as they were set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from khoci.errors import HarnessError, UsageError
from khoci.series.plumbing import COMMITTER, resolve

if TYPE_CHECKING:
    from khoci.series.plumbing import Git, Repository

_TRIES = 10
"""How often to begin anew where another process moves the branch meanwhile."""


def publish(shop: Git, repository: Repository, base: str, head: str, branch: str) -> None:
    """Make ``branch`` of the repository point at ``head``, which the workshop made on ``base``.

    Beside the objects and the branch (with its reflog, where the repository keeps them) nothing
    is written there; no hook runs. A branch that is there moves, unless it has commits of the user.

    Raises:
        UsageError: the branch is checked out somewhere, has commits that khoci did not make, or
            another is in its way; or the repository does not have the base.
        HarnessError: git fails.
    """
    theirs = repository.git
    if resolve(theirs, base) is None:
        raise UsageError(f"{repository.folder}: does not have the base, {base[:12]}")
    require_room(repository, branch)
    if resolve(theirs, _ref(branch)) == head:
        return
    _require_free(theirs, branch)
    new = f"{head}\n^{base}\n".encode()
    pack = shop.tell("pack-objects", "--revs", "--stdout", "--quiet", stdin=new)
    theirs.tell("unpack-objects", "-q", stdin=pack)
    _move(theirs, branch, base, head)


def require_room(repository: Repository, branch: str) -> None:
    """Make sure that no other branch is in the way: of ``a`` and ``a/b`` git can have only one.

    Raises:
        UsageError: one is.
    """
    names = branch.split("/")
    above = ["/".join(names[:end]) for end in range(1, len(names))]
    found = [name for name in above if resolve(repository.git, _ref(name))]
    listed = repository.git.line("for-each-ref", "--format=%(refname:lstrip=2)", f"{_ref(branch)}/")
    for name in (*found, *listed.splitlines()):
        slug = " or name the series otherwise (--slug)" if name.count("/") else ""
        raise UsageError(
            f"branch {name} of {repository.folder} is in the way of {branch}: rename it "
            f"('git branch -m {name} NAME'){slug}"
        )


def unpublish(repository: Repository, branch: str, head: str) -> bool:
    """Delete the branch if it still points to ``head``; whether it did.

    Raises:
        UsageError: the branch is checked out somewhere.
    """
    theirs = repository.git
    if resolve(theirs, _ref(branch)) != head:
        return False
    _require_free(theirs, branch)
    theirs.tell("update-ref", "--no-deref", "-d", _ref(branch), head)
    return True


def _ref(branch: str) -> str:
    return f"refs/heads/{branch}"


def _move(theirs: Git, branch: str, base: str, head: str) -> None:
    """Set a branch from what it is, once it is sure that no commit of the user's is lost."""
    said = ""
    for _ in range(_TRIES):
        there = resolve(theirs, _ref(branch))
        if there == head:
            return
        if there:
            _require_ours(theirs, branch, base)
        old = there or "0" * len(head)
        log = ("-m", "khoci: series applied")
        answer = theirs.ask("update-ref", "--no-deref", *log, _ref(branch), head, old)
        if answer.status == 0:
            return
        said = answer.err
    raise HarnessError(f"git update-ref in {theirs.folder}: {said}")


def _require_ours(theirs: Git, branch: str, base: str) -> None:
    """Make sure that khoci made all commits that only this branch leads to."""
    others = (f"--exclude={branch}", "--branches", "--tags", "--remotes")
    shown = ("--no-commit-header", "--format=%ce %h")
    listed = theirs.line("rev-list", *shown, _ref(branch), "--not", base, *others)
    strange = [line.split()[-1] for line in listed.splitlines() if line.split()[0] != COMMITTER[1]]
    if strange:
        raise UsageError(
            f"branch {branch} has commits that khoci did not make ({strange[0]}): keep them under "
            f"another name ('git branch -m {branch} NAME')"
        )


def _require_free(theirs: Git, branch: str) -> None:
    place = theirs.line("for-each-ref", "--format=%(worktreepath)", _ref(branch))
    if place:
        raise UsageError(f"branch {branch} is checked out in {place}: check out another one there")
