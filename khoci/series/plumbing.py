"""git, by way of GitPython, that hears nothing of who runs it: no configuration, hooks, variables.

Of the configuration only that of the repository itself is read (with what it includes from the home
folder), and nothing in it runs a program or changes what the commands here do. Nothing is fetched:
what a partial clone does not have is missing.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from typing import IO, TYPE_CHECKING

from khoci.errors import HarnessError, UsageError
from khoci.proc import dying_with_parent, require_tool

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # a host without git just has no git source

import git
from git.exc import GitCommandError, InvalidGitRepositoryError, NoSuchPathError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COMMITTER = ("khoci", "khoci@localhost")
"""Name and address of the committer: the same everywhere, so that commit ids are."""

_VARIABLES = {
    "LC_ALL": "C",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_EDITOR": "false",
    "GIT_AUTHOR_NAME": COMMITTER[0],
    "GIT_AUTHOR_EMAIL": COMMITTER[1],
    "GIT_COMMITTER_NAME": COMMITTER[0],
    "GIT_COMMITTER_EMAIL": COMMITTER[1],
}
_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    f"core.attributesFile={os.devnull}",
    f"core.excludesFile={os.devnull}",
    "log.showSignature=false",
    "core.quotePath=false",
    "core.filesRefLockTimeout=10000",
    "gc.auto=0",
    "pack.compression=1",
    "maintenance.auto=false",
)
_MOST_PATHS = 500
_PROMISED = "from promisor remote"
"""In what git says at an object that a partial clone left out: it ends there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a git command answered; ``err`` has the lines of stderr in a row."""

    status: int
    out: bytes
    err: str


@dataclass(frozen=True, slots=True)
class Git:
    """Runs git commands on one repository; no process outlives the call, nor khoci.

    Attributes:
        folder: what ``GIT_DIR`` is.
        work: the work tree, where commands need one.
        index: the index, unless it is the usual one.
    """

    folder: Path
    work: Path | None = None
    index: Path | None = None

    def ask(self, *arguments: str, stdin: bytes = b"") -> Answer:
        """Run a command, whatever it returns."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(stdin)
        finally:
            _end(process)
        return Answer(process.returncode, out, _words(err))

    def tell(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What a command writes to stdout.

        Raises:
            HarnessError: it failed.
        """
        answer = self.ask(*arguments, stdin=stdin)
        if answer.status != 0:
            raise HarnessError(f"git {arguments[0]} in {self.folder}: {answer.err}")
        return answer.out

    def line(self, *arguments: str, stdin: bytes = b"") -> str:
        """As `tell`, for what writes a line."""
        return self.tell(*arguments, stdin=stdin).decode(errors="replace").strip()

    @contextmanager
    def feeding(self, *arguments: str) -> Iterator[IO[bytes]]:
        """The stdin of a command that runs meanwhile.

        Raises:
            HarnessError: it failed.
        """
        process = self.start(*arguments)
        try:
            with suppress(BrokenPipeError):  # it has ended, and says why
                yield process.stdin
            _, err = process.communicate()
        finally:
            _end(process)
        if process.returncode != 0:
            raise HarnessError(f"git {arguments[0]} in {self.folder}: {_words(err)}")

    def start(self, *arguments: str) -> git.Git.AutoInterrupt:
        """Start a command, with pipes for stdin, stdout and stderr."""
        places = {
            "GIT_DIR": self.folder,
            "GIT_WORK_TREE": self.work,
            "GIT_INDEX_FILE": self.index,
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": os.environ.get("HOME"),
        }
        variables = {**_VARIABLES, **places}
        clean = ["env", "-i", *(f"{name}={value}" for name, value in variables.items() if value)]
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        command = [*clean, require_tool("git"), *settings, *arguments]
        return git.Git(self.work or self.folder).execute(
            dying_with_parent(command), istream=PIPE, as_process=True
        )


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the user's: its own git folder, and the one that all its worktrees share."""

    folder: Path
    common: Path

    @property
    def git(self) -> Git:
        """Commands on it."""
        return Git(self.folder)


def open_repository(path: Path) -> Repository:
    """The repository at ``path``: bare, a checkout or a worktree.

    Raises:
        UsageError: there is none.
    """
    try:
        with git.Repo(path, expand_vars=False) as repo:
            return Repository(Path(repo.git_dir).absolute(), Path(repo.common_dir).absolute())
    except (InvalidGitRepositoryError, NoSuchPathError):
        raise UsageError(f"{path}: is no git repository") from None


def resolve(where: Git, name: str, kind: str = "commit") -> str | None:
    """The id of the object that ``name`` names, or None if there is no such thing."""
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{{kind}}}")
    answer = where.ask(*asked)
    return answer.out.decode().strip() if answer.status == 0 else None


def blobs_at(where: Git, commit: str, paths: Sequence[str]) -> dict[str, str]:
    """The blob ids of those of ``paths`` that are files in ``commit``."""
    found = {}
    for chunk in _chunks([path for path in paths if is_inside(path)]):
        listed = where.tell("ls-tree", "-z", "--full-tree", commit, "--", *chunk)
        for entry in filter(None, listed.split(b"\0")):
            head, _, name = entry.partition(b"\t")
            _mode, kind, blob = head.decode().split()
            if kind == "blob":
                found[os.fsdecode(name)] = blob
    return found


def absent(where: Git, ids: Sequence[str]) -> set[str]:
    """Those of the object ids, full or abbreviated, that name nothing there."""
    left, gone = list(ids), set[str]()
    while left:
        answer = where.ask(
            "cat-file", "--batch-check", stdin="".join(f"{i}\n" for i in left).encode()
        )
        lines = answer.out.decode().splitlines()
        gone.update(i for i, line in zip(left, lines, strict=False) if len(line.split()) != 3)
        if answer.status == 0:
            break
        if _PROMISED not in answer.err or len(lines) >= len(left):
            raise HarnessError(f"git cat-file in {where.folder}: {answer.err}")
        gone.add(left[len(lines)])
        left = left[len(lines) + 1 :]
    return gone


def contents(where: Git, ids: Sequence[str]) -> dict[str, bytes]:
    """The bytes of blobs, by their full ids; one that is missing is left out."""
    found = {}
    listed = where.tell("cat-file", "--batch", stdin="".join(f"{i}\n" for i in ids).encode())
    at = 0
    while at < len(listed):
        end = listed.index(b"\n", at)
        words = listed[at:end].decode().split()
        at = end + 1
        if len(words) == 3:
            found[words[0]] = listed[at : at + int(words[2])]
            at += int(words[2]) + 1
    return found


def is_inside(path: str) -> bool:
    """Whether a tree can have such a path; else git ends at once."""
    return "\0" not in path and not {"", ".", ".."}.intersection(path.split("/"))


def _chunks(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(paths), _MOST_PATHS):
        yield paths[start : start + _MOST_PATHS]


def _words(err: bytes) -> str:
    return " ".join(err.decode(errors="replace").split())


def _end(process: git.Git.AutoInterrupt) -> None:
    if process.poll() is None:
        process.kill()
        with suppress(GitCommandError):
            process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):  # of what nobody will read any more
                pipe.close()
