"""Running ``make`` in a kernel tree: fixed environment, log, and no process left behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from khoci.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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


@dataclass(frozen=True, slots=True)
class Make:
    """How to call make for one tree: the tree, the log that all output goes to, the jobs."""

    tree: Path
    log: Path
    srcarch: str
    jobs: int

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
        """
        with self.log.open("ab") as log, self._start(arguments) as process:
            try:
                _follow(process, log, on_step)
                return process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise

    def _start(self, arguments: tuple[str, ...]) -> subprocess.Popen[bytes]:
        guard = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
        try:
            return subprocess.Popen(
                [*guard, *self.command(*arguments)],
                cwd=self.tree,
                env=environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise HarnessError("make is not installed: run khoci doctor --install") from error


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """What make sees of the user's environment: nothing that changes what is built."""
    kept = {
        name: value
        for name, value in outer.items()
        if name in _INHERITED or name.startswith("CCACHE_")
    }
    return kept | {"LC_ALL": "C", "CCACHE_NOHASHDIR": "1"}


def first_errors(log: Path) -> list[str]:
    """The first lines of a build log that report an error, at most three."""
    errors = []
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if _ERROR.search(line):
                errors.append(line.rstrip())
            if len(errors) == _SHOWN_ERRORS:
                break
    return errors


def _follow(process: subprocess.Popen[bytes], log: IO[bytes], on_step: Callable[[], None]) -> None:
    if process.stdout is None:
        return
    for line in process.stdout:
        log.write(line)
        if _STEP.match(line.decode("utf-8", "replace")):
            on_step()
