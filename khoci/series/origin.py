"""Where the commit under a series is from: what only strangers stand behind is never trusted.

A mail can name any commit as its base, also one that khoci made of an earlier mail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from khoci.series.plumbing import Git

MOST = 200
"""How many commits of strangers may lie below a series."""
_OURS = "--exclude=khoci/*"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a commit consists of.

    Attributes:
        root: the id of the newest commit below it, or of itself, that the user has taken.
        strange: the ids of those from there to it, oldest first.
    """

    root: str
    strange: tuple[str, ...] = ()


def origin_of(where: Git, commit: str, *, chosen: bool) -> Origin | None:
    """What a commit consists of, None if that is not one patch after the other.

    What a tag or a branch of a remote has is taken to be the user's; so is what another branch has
    if the user chose the commit, or if nobody works in the repository. What khoci's own branches
    have never is.

    Args:
        where: the git tree.
        commit: an id.
        chosen: whether the user named it, and not a mail.

    Raises:
        HarnessError: git fails.
    """
    branches = (_OURS, "--branches") if chosen or is_bare(where) else ()
    limits = ("--topo-order", "--parents", f"--max-count={MOST + 1}")
    listed = where.line("rev-list", *limits, commit, "--not", *branches, "--tags", "--remotes")
    above = [line.split() for line in listed.splitlines()]
    if len(above) > MOST or any(len(ids) != 2 for ids in above):
        return None
    ids = [commit_id for commit_id, _ in above]
    parents = [parent for _, parent in above]
    if ids[1:] != parents[:-1]:
        return None
    return Origin(parents[-1], tuple(reversed(ids))) if ids else Origin(commit)


def is_bare(where: Git) -> bool:
    """Whether nobody works in a repository, so that its branches are those of another one."""
    return where.line("config", "--type=bool", "--default=false", "core.bare") == "true"
