"""The commits of a git tree as a history. git says what to test next, in a history with merges too.

A candidate is the good end with the difference to a commit as a patch: so all of them share a
kept tree, and only what differs is compiled. The user's repository is read, never written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.bisect.history import NoRevertError
from khoci.bisection import Change
from khoci.config.kernels import GitSource
from khoci.errors import UsageError
from khoci.files import write_atomic
from khoci.series.hunks import shown
from khoci.series.origin import origin_of
from khoci.series.plumbing import open_repository, resolve
from khoci.series.workshop import workshop

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from khoci.config.kernels import KernelSpec
    from khoci.series.plumbing import Git, Repository

KIND = "tree"
_SHORT = 12
_FIELDS = ("%H", "%s", "%an <%ae>", "%ad", "%(trailers:key=Link,valueonly,separator=%x20)")
_DIFF = ("diff-tree", "-p", "-r", "--binary", "--full-index", "--no-renames", "--no-color")


@dataclass(frozen=True, slots=True)
class TreeHistory:
    """The commits between two; see `khoci.bisect.history.History`.

    Attributes:
        repository: that has them.
        template: the kernel whose configuration all candidates get.
        good: a commit id.
        bad: a commit id, a descendant of ``good``.
        first_parent: whether what was merged counts as one change.
        folder: where patches are kept.
        cache: where changes are reverted.
        strange: whether some of it is of series that khoci applied, or on no branch of the user's.
    """

    repository: Repository
    template: KernelSpec
    good: str
    bad: str
    first_parent: bool
    folder: Path
    cache: Path
    strange: bool = False

    @property
    def start(self) -> str:
        """``git bisect start``."""
        return f"git bisect start{' --first-parent' if self.first_parent else ''}"

    @property
    def base(self) -> KernelSpec:
        """The good end."""
        return self.kernel(self.good)

    def suspects(self, goods: Collection[str], bad: str) -> Sequence[str]:
        """The commits of ``bad`` that none of ``goods`` has, those in the middle first."""
        only = ("--first-parent",) if self.first_parent else ()
        excluded = [f"^{good}" for good in goods]
        listed = self._git.line("rev-list", "--bisect-all", *only, bad, *excluded)
        return [line.partition(" ")[0] for line in listed.splitlines()]

    def change(self, id_: str) -> Change:
        """The commit."""
        asked = ("show", "--no-patch", "--no-color", f"--format={'%x00'.join(_FIELDS)}", id_)
        found = self._git.tell(*asked).decode(errors="replace").strip("\n").split("\0")
        id_, *told = (shown(field) for field in found)
        return Change(id_, "commit", *told)

    def kernel(self, id_: str) -> KernelSpec:
        """The commit's tree, called ``g<id>``."""
        name = f"g{id_[:_SHORT]}"
        diff = b"" if id_ == self.good else self._git.tell(*_DIFF, self.good, id_)
        return self._patched(name, diff)

    def without(self, id_: str) -> KernelSpec:
        """The bad end with the commit reverted, as ``git revert`` does.

        Raises:
            NoRevertError: it does not apply; or it is a merge, and what it merged is good.
        """
        merge = resolve(self._git, f"{id_}^2") is not None
        if merge and not self.first_parent:
            raise NoRevertError("it is a merge, and good without either side: nothing to revert")
        touched = self._git.tell("diff-tree", "-r", "-z", "--name-only", "-m", f"{id_}^1", id_)
        paths = [path for path in touched.decode(errors="surrogateescape").split("\0") if path]
        mainline = ("-m", "1") if merge else ()
        with workshop(self.repository, self.bad, self.cache, paths) as shop:
            answer = shop.ask("revert", "--no-commit", *mainline, id_)
            if answer.status != 0:
                raise NoRevertError(f"reverting does not apply: {_conflicts(shop)}")
            tree = shop.line("write-tree")
            if tree == resolve(shop, self.bad, "tree"):
                raise NoRevertError("there is nothing left of it to revert")
            diff = shop.tell(*_DIFF, self.good, tree)
        return self._patched(f"g{self.bad[:_SHORT]}-without-g{id_[:_SHORT]}", diff)

    def kept_in(self, folder: Path) -> TreeHistory:
        """The same, with its patches in that folder."""
        return replace(self, folder=folder)

    def to_json(self) -> Mapping[str, object]:
        """For `reopened`."""
        ends = {"good": self.good, "bad": self.bad, "first_parent": self.first_parent}
        return {"kind": KIND, "tree": str(self.repository.common), **ends}

    @property
    def _git(self) -> Git:
        return self.repository.git

    def _patched(self, name: str, diff: bytes) -> KernelSpec:
        """A kernel that differs from the good end; one with commits of strangers is untrusted."""
        source = GitSource(self.good, self.repository.common)
        patches: tuple[Path, ...] = ()
        if diff:
            patches = (self.folder / f"{name}.patch",)
            write_atomic(patches[0], diff)
        return replace(
            self.template,
            name=name,
            sources=(source,),
            series=None,
            patches=patches,
            untrusted=self.strange and bool(diff),
        )


def open_tree(tree: Path, template: KernelSpec, cache: Path) -> TreeHistory:
    """A tree without ends yet.

    Raises:
        UsageError: there is no repository.
    """
    return TreeHistory(open_repository(tree), template, "", "", False, Path(), cache)


def between(history: TreeHistory, good: str, bad: str, *, first_parent: bool) -> TreeHistory:
    """The history from one commit to another.

    Raises:
        UsageError: they are no commits, or the good one is no ancestor of the bad one.
    """
    where = history.repository
    ids = [_commit(where, name) for name in (good, bad)]
    if ids[0] == ids[1]:
        raise UsageError(f"--good {good} and --bad {bad} are the same commit")
    if where.git.ask("merge-base", "--is-ancestor", *ids).status != 0:
        fork = where.git.ask("merge-base", *ids).out.decode().strip()
        advice = f": try --good {fork[:_SHORT]}, where they part" if fork else ""
        raise UsageError(f"--good {good} is no ancestor of --bad {bad}{advice}")
    if _is_strange(where, ids[0]):
        raise UsageError(
            f"--good {good} is on no branch or tag but khoci's own: take the base of that series, "
            "or --series"
        )
    strange = _is_strange(where, ids[1])
    return replace(history, good=ids[0], bad=ids[1], first_parent=first_parent, strange=strange)


def reopened(
    data: Mapping[str, object], template: KernelSpec, folder: Path, cache: Path
) -> TreeHistory:
    """A history as it was begun.

    Raises:
        KeyError: it is no such history.
        UsageError: the tree is gone, or has the commits no more.
    """
    history = open_tree(Path(str(data["tree"])), template, cache)
    first_parent = bool(data["first_parent"])
    made = between(history, str(data["good"]), str(data["bad"]), first_parent=first_parent)
    return made.kept_in(folder)


def _commit(where: Repository, name: str) -> str:
    found = resolve(where.git, name)
    if found is None:
        raise UsageError(f"'{name}' is no commit of {where.folder}")
    return found


def _is_strange(where: Repository, commit: str) -> bool:
    origin = origin_of(where.git, commit, chosen=True)
    return origin is None or bool(origin.strange)


def _conflicts(shop: Git) -> str:
    listed = shop.tell("diff", "--name-only", "-z", "--diff-filter=U").decode(errors="replace")
    names = [shown(name) for name in listed.split("\0") if name]
    return f"conflict in {', '.join(names)}" if names else "git revert failed"
