"""The sandbox that a stranger's code is configured and built in: bubblewrap, and limits.

Inside there is no network, no home, no process of the host, and no capability. Of the host it
shows the programs and libraries below ``SHOWN``, and the source tree, all read-only; only the
folder of the objects can be written, and a ``/tmp`` that nobody else sees. The tree may be shown
at another place than where it is, so that objects of a tree there are up to date in a copy of it:
kbuild records absolute paths.

A few system calls are denied (``khoci.kernel.seccomp``), those for the keys of the user above
all. On a machine that is neither x86_64 nor aarch64 they are not.

The environment is made anew: no variable of the user's but the search path and the terminal.
ccache only calls the compiler (``CCACHE_DISABLE``): a cache that is written here could be
poisoned for the builds of others, and one that is read holds the objects of all that the user
compiles. The objects of the base, which the tree begins with, are the better cache anyway.
Tools below the user's home are not there: where Kconfig notes whether there is a rustc, the kept
config may differ from that of a build outside. The image is the same.

Run by root, the code inside is root without capabilities: what it sees of the host it cannot
write, but it could change the modes of ``/dev/null`` and the like. Better not run khoci as root.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.errors import HarnessError
from khoci.kernel.limits import LIMITS, Limits
from khoci.kernel.seccomp import filter_file
from khoci.kernel.watch import Watch
from khoci.proc import start_group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SHOWN = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Folders of the host with programs and libraries."""

MEANING = (
    "khoci kernel build --no-sandbox builds it without one: its makefiles then run with all "
    "your rights"
)

_SHOWN_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
_ISOLATED = (
    *("--unshare-user", "--disable-userns", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
    *("--unshare-uts", "--unshare-cgroup-try", "--hostname", "khoci", "--cap-drop", "ALL"),
    *("--die-with-parent", "--new-session"),
)
_KERNEL_FILES = ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")
"""bubblewrap 0.8 leaves /proc/sys writable for root."""
_HIDDEN_FILES = ("/proc/keys", "/proc/key-users")
_TOOLS = ("make", "gcc", "ld", "ccache")
_HOME = "/nonexistent"
_TMP = "/tmp"  # noqa: S108  (the sandbox's own)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The sandbox of one kernel: its name for messages, the limits, where its tree is shown.

    Without a ``place`` the tree is shown where it is.
    """

    kernel: str
    limits: Limits = LIMITS
    place: Path | None = None

    @contextmanager
    def inside(
        self, command: Sequence[str], tree: Path, objects: Path, *options: str
    ) -> Iterator[tuple[list[str], tuple[int, ...]]]:
        """The command that runs ``command`` in the sandbox, in ``tree``, once.

        With it come the files that it has to inherit. ``objects`` is the folder in the tree that
        can be written. ``options`` are bubblewrap's.
        """
        with filter_file() as file:
            words = self._prefix(tree, objects, options)
            if file is None:
                yield [*words, *command], ()
            else:
                yield ["bwrap", "--seccomp", str(file), *words[1:], *command], (file,)

    def call(self, command: Sequence[str], tree: Path, objects: Path) -> int:
        """Run a command in the sandbox on the user's terminal; its exit code."""
        with self.inside(command, tree, objects) as (words, files):
            done = subprocess.run(
                words, cwd=tree, env=seen(os.environ), pass_fds=files, check=False
            )
        return done.returncode

    def _prefix(self, tree: Path, objects: Path, options: Sequence[str]) -> list[str]:
        shown = [word for name in SHOWN + _SHOWN_FILES for word in ("--ro-bind-try", name, name)]
        there = [name for name in _HIDDEN_FILES if Path(name).exists()]
        hidden = [word for name in there for word in ("--ro-bind", os.devnull, name)]
        place = self.place or tree
        tmp = str(self.limits.tmp_mb * 1_000_000)
        return [
            *("bwrap", *_ISOLATED, *options, *shown, *_KERNEL_FILES, *hidden),
            *("--dev", "/dev", "--size", tmp, "--tmpfs", _TMP),
            *("--ro-bind", str(tree), str(place)),
            *("--bind", str(objects), str(place / objects.relative_to(tree))),
            *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(place)),
            *("--", *self.limits.command()),
        ]

    def require(self) -> None:
        """See whether the sandbox works here.

        Raises:
            HarnessError: it does not; the message says what is missing, and what to do.
        """
        if shutil.which("bwrap") is None:
            raise self._unusable("bubblewrap is not installed: run khoci doctor --install")
        if strange := _not_shown(os.environ):
            raise self._unusable(f"it shows programs of the system only, not {strange}")
        with tempfile.TemporaryDirectory(prefix="khoci-") as folder:
            objects = Path(folder) / "objects"
            objects.mkdir()
            with self.inside(["true"], Path(folder), objects) as (words, files):
                result = subprocess.run(
                    words,
                    env=seen(os.environ),
                    pass_fds=files,
                    capture_output=True,
                    encoding="utf-8",
                    errors="replace",
                    check=False,
                )
        if result.returncode != 0:
            raise self.does_not_work(result.stderr.strip() or f"exit code {result.returncode}")

    @contextmanager
    def started(
        self, command: Sequence[str], tree: Path, objects: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Start a command in the sandbox; at the end of the block nothing in it runs any more.

        Raises:
            BuildError: at the end, if it exceeded a limit.
            NotStartedError: at the end, if bubblewrap did not come to start it.
        """
        reader, writer = os.pipe()
        told = ("--json-status-fd", str(writer))
        with os.fdopen(reader, "rb") as status:
            try:
                with self.inside(command, tree, objects, *told) as (words, files):
                    process = start_group(words, tree, seen(os.environ), keep=(writer, *files))
            finally:
                os.close(writer)
            with process, _killed_if_raised(process):
                first = _first_process(status.readline())
                try:
                    with Watch(process, objects, self.kernel, self.limits):
                        yield process
                finally:
                    _wait_for_end(first)
            if b"exit-code" not in status.read():
                raise NotStartedError

    def does_not_work(self, said: str) -> HarnessError:
        """The error of a bubblewrap that failed, by what it said."""
        first = said.partition("\n")[0]
        return self._unusable(f"bubblewrap does not work here: {first}")

    def _unusable(self, reason: str) -> HarnessError:
        return HarnessError(
            f"{self.kernel}: has patches of strangers, which are built in a sandbox only: "
            f"{reason}; {MEANING}"
        )


class NotStartedError(Exception):
    """The sandbox was not set up: nothing ran in it, and what was written is bubblewrap's."""


@contextmanager
def _killed_if_raised(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise


def seen(outer: Mapping[str, str]) -> dict[str, str]:
    """What the sandbox has as environment, made from the user's."""
    folders = outer.get("PATH", os.defpath).split(":")
    return {
        "PATH": ":".join(folder for folder in folders if _is_shown(Path(folder))),
        "HOME": _HOME,
        "TERM": outer.get("TERM", "dumb"),
        "LC_ALL": "C",
        "CCACHE_DISABLE": "1",
    }


def _is_shown(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in SHOWN)


def _not_shown(outer: Mapping[str, str]) -> str | None:
    """The first tool that would be another one in the sandbox, or none."""
    found = (shutil.which(tool, path=outer.get("PATH")) for tool in _TOOLS)
    strange = (path for path in found if path and not _is_shown(Path(path).resolve()))
    return next(strange, None)


def _first_process(told: bytes) -> int | None:
    """A handle of the sandbox's process 1, by what bubblewrap tells; None if it is gone."""
    with suppress(ValueError, KeyError, ProcessLookupError):
        return os.pidfd_open(json.loads(told)["child-pid"])
    return None


def _wait_for_end(first: int | None) -> None:
    """Wait for process 1 of the sandbox: all others in it end before it does."""
    if first is None:
        return
    try:
        select.select([first], [], [])
    finally:
        os.close(first)
