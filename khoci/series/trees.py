"""The linux.git to work with: the user's, or one that is made of the pinned sources.

The one that is made is bare, with one commit and tag a release, each the child of the newest older
one that was there when it was made, so that git can merge. Each archive is read once, straight into
a pack: no tree is unpacked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock

from khoci.config.kernels import DebianSource, TarballSource, release_number
from khoci.errors import UsageError
from khoci.kernel.disk import one_line, require_space
from khoci.kernel.gittree import TREE_VARIABLE, configured_tree
from khoci.kernel.source import describe, identity, packed_tree
from khoci.series.fastimport import Origin, commands
from khoci.series.plumbing import COMMITTER, Git, open_repository, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from khoci.config.kernels import Kernels
    from khoci.progress import Progress
    from khoci.series.plumbing import Repository

FIRST_MB, NEXT_MB = 350, 120
"""What the first release takes on disk, and each further one."""

_BRANCH = "refs/heads/main"
_FILES_A_STEP = 1000


@dataclass(frozen=True, slots=True)
class Release:
    """A release and the archive of its sources."""

    name: str
    source: DebianSource | TarballSource


def releases(kernels: Kernels) -> tuple[Release, ...]:
    """The released kernels that an archive is pinned for, oldest first."""
    specs = (kernels.by_name[name] for name in kernels.names)
    pinned = (
        (spec.name, source)
        for spec in specs
        if release_number(spec.name) and not spec.patches
        for source in spec.sources
    )
    found: dict[str, Release] = {}
    for name, source in pinned:
        if isinstance(source, DebianSource | TarballSource):
            found.setdefault(name, Release(name, source))
    return tuple(found.values())


def working_tree(made: Path) -> Repository:
    """The user's linux.git, else the one at ``made`` that `make_tree` made.

    Raises:
        UsageError: there is neither, or what the user names is no git repository.
    """
    named = configured_tree()
    if named is not None:
        return open_repository(named)
    if resolve(Git(made), _BRANCH) is None:
        raise UsageError(
            f"no linux.git: set {TREE_VARIABLE} or git config khoci.linux to yours, "
            "or make one with 'khoci tree init'"
        )
    return open_repository(made)


def make_tree(
    made: Path, chosen: Sequence[Release], downloads: Path, progress: Progress
) -> dict[str, str]:
    """Make the repository at ``made`` have these releases, oldest first; commit ids by name.

    What it has already stays as it is and is not read again, so a run that was stopped goes on
    where it was. Tags and branch appear at the end, all at once; the branch is at the newest
    release that is there. The same archives give the same ids, if they are read in the same order.

    Raises:
        NotThereError, UnreachableError: an archive cannot be fetched now.
        HarnessError: one is damaged, the disk is full, or git fails.
    """
    made.parent.mkdir(parents=True, exist_ok=True)
    repo = Git(made)
    with FileLock(made.with_name(f".{made.name}.lock")), one_line(made.name, made):
        _prepare(repo)
        lacking = [each for each in chosen if resolve(repo, _ref(each)) is None]
        for number, each in enumerate(lacking):
            first = number == 0 and len(lacking) == len(chosen)
            require_space(made, FIRST_MB if first else NEXT_MB, each.name)
            _read(repo, each, downloads, progress)
        return _chain(repo, chosen)


def _prepare(repo: Git) -> None:
    """Make the repository if need be, and remove what a killed run left in it."""
    repo.folder.mkdir(exist_ok=True)
    repo.tell("init", "--quiet", "--bare", "--template=", "--initial-branch=main")
    for stale in (
        *repo.folder.glob("objects/pack/tmp_*"),
        *repo.folder.glob("fast_import_crash_*"),
    ):
        stale.unlink()


def _read(repo: Git, release: Release, downloads: Path, progress: Progress) -> None:
    """Make the ref of the release point to a commit with its files."""
    origin = Origin(describe(release.source), _ref(release), f"{COMMITTER[0]} <{COMMITTER[1]}>")
    importing = ("fast-import", "--quiet", "--done", "--depth=0", "--date-format=raw-permissive")
    with packed_tree(release.source, downloads, progress) as packed:
        progress.start(f"{release.name}: reading its files (thousands)")
        try:
            with repo.feeding(*importing) as stdin:
                for number, piece in enumerate(commands(packed, origin), 1):
                    stdin.write(piece)
                    if number % _FILES_A_STEP == 0:
                        progress.advance()
        finally:
            progress.done()


def _chain(repo: Git, chosen: Sequence[Release]) -> dict[str, str]:
    """A commit for each release that has none, and tags and branch; the ids of the chosen ones."""
    there = _there(repo)
    ids: dict[str, str] = {}
    for each in sorted(chosen, key=lambda release: release_number(release.name)):
        kept = there.get(each.name, "")
        ids[each.name] = kept if kept and _is_of(repo, kept, each) else _new(repo, each, there)
        there[each.name] = ids[each.name]
    refs = {f"refs/tags/{name}": commit for name, commit in ids.items()}
    if there:
        refs[_BRANCH] = there[max(there, key=release_number)]
    lines = "".join(f"update {ref} {commit}\n" for ref, commit in refs.items())
    repo.tell("update-ref", "--no-deref", "--stdin", stdin=lines.encode())
    return ids


def _there(repo: Git) -> dict[str, str]:
    """The releases that the repository has: commit ids by name."""
    listed = repo.line("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/tags")
    pairs = (line.split() for line in listed.splitlines())
    return {name: commit for name, commit in pairs if release_number(name)}


def _is_of(repo: Git, commit: str, release: Release) -> bool:
    """Whether a commit has the files of the archive that is pinned now."""
    return resolve(repo, commit, "tree") == resolve(repo, _ref(release), "tree")


def _new(repo: Git, release: Release, there: Mapping[str, str]) -> str:
    """A commit on that of the newest older release."""
    number = release_number(release.name)
    older = [name for name in there if release_number(name) < number]
    parent = there[max(older, key=release_number)] if older else ""
    return _commit(repo, release, (f"parent {parent}",) if parent else ())


def _commit(repo: Git, release: Release, parent: Sequence[str]) -> str:
    """The commit of a release, made of the raw lines: a fixed committer, the archive's time."""
    ref = _ref(release)
    tree = resolve(repo, ref, "tree")
    seconds = repo.line("show", "--no-patch", "--format=%ct", ref)
    who = f"{COMMITTER[0]} <{COMMITTER[1]}> {seconds} +0000"
    lines = (
        *(f"tree {tree}", *parent, f"author {who}", f"committer {who}", ""),
        *(f"Linux {release.name}", "", f"archive-sha256: {identity(release.source)}", ""),
    )
    made = ("hash-object", "-t", "commit", "-w", "--stdin")
    return repo.line(*made, stdin="\n".join(lines).encode())


def _ref(release: Release) -> str:
    return f"refs/khoci/sources/{identity(release.source)}"
