"""Running ``make`` in a kernel tree: fixed environment, log, and no process left behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from khoci.errors import HarnessError
from khoci.kernel.limits import denied
from khoci.kernel.sandbox import NotStartedError, Sandbox
from khoci.kernel.watch import over_limit
from khoci.proc import start_group

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

OBJECTS = "build"
"""Folder of the objects inside the tree: then kbuild uses relative paths, so that neither image
nor ccache depend on where the tree lies."""

FIXED = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "khoci",
    "KBUILD_BUILD_HOST": "khoci",
    "KBUILD_BUILD_VERSION": "1",
    "LOCALVERSION": "",
}
"""Make variables that decide the image's bytes."""

_STEP = re.compile(r"  [A-Z][A-Z0-9_]*(?: \[M\])? +\S")
_ERROR = re.compile(r"\berror:|\*\*\*|undefined reference|[Nn]o space left|: not found")
_INHERITED = ("PATH", "HOME", "TMPDIR", "LANG", "TERM", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
_SHOWN_ERRORS = 3
_LINE = 10_000
"""More bytes or characters than this are never taken for one line."""


@dataclass(frozen=True, slots=True)
class Make:
    """How to call make for one tree: the tree, the log that all output goes to, the jobs.

    With a sandbox, all that make runs is in it. ``known`` says that all headers of the tree were
    there whenever ccache saw such a tree: else its direct mode would miss one that hides another.
    """

    tree: Path
    log: Path
    srcarch: str
    jobs: int
    sandbox: Sandbox | None = None
    known: bool = False

    @property
    def objects(self) -> Path:
        """The folder of all that make writes."""
        return self.tree / OBJECTS

    def command(self, *arguments: str) -> list[str]:
        """The command line, to be run in the tree."""
        compiler = ["CC=ccache gcc", "HOSTCC=ccache gcc"] if shutil.which("ccache") else []
        fixed = [f"{name}={value}" for name, value in FIXED.items()]
        variables = [f"O={OBJECTS}", f"ARCH={self.srcarch}", *compiler, *fixed]
        return ["make", f"-j{self.jobs}", *variables, *arguments]

    def run(self, *arguments: str, on_step: Callable[[], None] = lambda: None) -> int:
        """Run make to its end and return its exit code.

        ``on_step`` is called for each step kbuild reports. If anything is raised meanwhile
        (``KeyboardInterrupt`` above all), make and all it started are killed.

        Raises:
            BuildError: it exceeded a limit of its sandbox.
            HarnessError: the sandbox cannot be set up.
        """
        with self.log.open("ab") as log, self._started(self.command(*arguments)) as process:
            try:
                self._follow(process, log, on_step)
                code = process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        if code != 0 and self.sandbox is not None:
            with self.log.open(encoding="utf-8", errors="replace") as lines:
                phrase = denied(_short(lines), self.sandbox.limits)
            if phrase is not None:
                raise over_limit(self.sandbox.kernel, phrase)
        return code

    def call(self, command: Sequence[str]) -> int:
        """Run any command in the tree as make would be, on the user's terminal; its exit code."""
        if self.sandbox is not None:
            return self.sandbox.call(command, self.tree, self.objects)
        outer = os.environ | environment(os.environ, known=self.known)
        return subprocess.run(command, cwd=self.tree, env=outer, check=False).returncode

    def _started(self, command: Sequence[str]) -> AbstractContextManager[subprocess.Popen[bytes]]:
        if self.sandbox is not None:
            return self._in_sandbox(self.sandbox, command)
        try:
            return start_group(command, self.tree, environment(os.environ, known=self.known))
        except FileNotFoundError as error:
            raise HarnessError("make is not installed: run khoci doctor --install") from error

    @contextmanager
    def _in_sandbox(
        self, sandbox: Sandbox, command: Sequence[str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        before = self.log.stat().st_size
        try:
            with sandbox.started(command, self.tree, self.objects) as process:
                yield process
        except NotStartedError:
            with self.log.open("rb") as log:
                log.seek(before)
                said = log.readline(_LINE).decode("utf-8", "replace").strip()
            raise sandbox.does_not_work(said or "it was killed") from None

    def _follow(
        self, process: subprocess.Popen[bytes], log: IO[bytes], on_step: Callable[[], None]
    ) -> None:
        if process.stdout is None:
            return
        while line := process.stdout.readline(_LINE):
            log.write(line)
            if _STEP.match(line.decode("utf-8", "replace")):
                on_step()
            if self.sandbox is not None and log.tell() > self.sandbox.limits.log_mb * 1_000_000:
                most = f"more than {self.sandbox.limits.log_mb} MB of output"
                raise over_limit(self.sandbox.kernel, most)
        log.flush()


def environment(outer: Mapping[str, str], *, known: bool = False) -> dict[str, str]:
    """What make sees of the user's environment: nothing that changes what is built.

    ``known`` as of `Make`.
    """
    kept = {
        name: value
        for name, value in outer.items()
        if name in _INHERITED or name.startswith("CCACHE_")
    }
    direct = {} if known else {"CCACHE_NODIRECT": "1"}
    return kept | {"LC_ALL": "C", "CCACHE_NOHASHDIR": "1"} | direct


def first_errors(log: Path) -> list[str]:
    """The first lines of a build log that report an error, at most three, fit for a terminal."""
    errors = []
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in _short(lines):
            if _ERROR.search(line):
                errors.append("".join(filter(str.isprintable, line.replace("\t", " "))).rstrip())
            if len(errors) == _SHOWN_ERRORS:
                break
    return errors


def _short(lines: IO[str]) -> Iterator[str]:
    return iter(lambda: lines.readline(_LINE), "")
