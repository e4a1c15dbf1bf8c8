"""Commits of a git tree as a series: BASE..HEAD, as if somebody had mailed them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.series.hunks import shown
from khoci.series.plumbing import resolve

if TYPE_CHECKING:
    from khoci.series.plumbing import Git

_DOTS = ".."
_AS_MAIL = (
    *("format-patch", "--stdout", "--numbered", "--no-signature", "--no-thread", "--full-index"),
    *("--no-ext-diff", "--no-textconv", "--binary"),
)


@dataclass(frozen=True, slots=True)
class Range:
    """Some commits, one after the other: all above ``base`` up to ``head``, both ids."""

    base: str
    head: str


def is_range(name: str) -> bool:
    """Whether a name can only be one of commits."""
    base, dots, head = name.partition(_DOTS)
    return bool(base and dots and head) and "@" not in name and "/.." not in name


def in_tree(name: str, where: Git) -> Range:
    """The commits that BASE..HEAD names in a git tree, from where both have in common.

    Raises:
        UsageError: a commit is not there, there is none in between, or one of them is a merge.
        HarnessError: git fails.
    """
    below, _, above = name.partition(_DOTS)
    base, head = (_commit(each, where) for each in (below, above.lstrip(".")))
    common = where.ask("merge-base", base, head)
    if common.status != 0:
        raise UsageError(
            f"{shown(name)}: its ends have no commit in common in {where.folder} "
            "(a shallow clone? fetch more of it)"
        )
    base = common.out.decode().strip()
    listed = where.line("rev-list", "--parents", f"{base}..{head}").splitlines()
    if not listed:
        raise UsageError(f"{shown(name)}: is no commit")
    for line in listed:
        commit, *parents = line.split()
        if len(parents) != 1:
            raise UsageError(f"{shown(name)}: {commit[:12]} is a merge: rebase these commits")
    return Range(base, head)


def as_mbox(commits: Range, where: Git) -> bytes:
    """The commits as mails of one mbox, in their order.

    Raises:
        HarnessError: git fails, as where a partial clone lacks a file.
    """
    return where.tell(*_AS_MAIL, f"{commits.base}..{commits.head}")


def _commit(name: str, where: Git) -> str:
    commit = resolve(where, name)
    if commit is None:
        raise UsageError(f"{shown(name)}: is no commit of {where.folder}")
    return commit
