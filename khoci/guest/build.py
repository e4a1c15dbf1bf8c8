"""Compiling the agent with the host's compiler, once for each state of its sources."""

from __future__ import annotations

import hashlib
import subprocess
from importlib import resources
from pathlib import Path

from filelock import FileLock

from khoci.errors import HarnessError
from khoci.files import atomic_path
from khoci.proc import require_tool

COMPILER = "gcc"
FLAGS = ("-std=gnu11", "-D_GNU_SOURCE", "-static", "-Os", "-s")


def sources() -> list[Path]:
    """The C files of the agent and their headers."""
    folder = Path(str(resources.files("khoci.guest"))) / "init"
    return sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h"))


def build_agent(cache: Path) -> Path:
    """The static /init, from the cache or compiled now.

    Raises:
        HarnessError: there is no compiler, or it fails; its first error is the detail.
    """
    compiler = require_tool(COMPILER)
    target = cache / "agent" / _key(compiler) / "init"
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / ".lock"):
        if not target.is_file():
            with atomic_path(target) as temporary:
                _compile(compiler, temporary)
            target.chmod(0o755)
    return target


def _compile(compiler: str, target: Path) -> None:
    units = [str(path) for path in sources() if path.suffix == ".c"]
    command = [compiler, *FLAGS, "-o", str(target), *units]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        errors = [
            line for line in result.stderr.splitlines() if "error" in line or "cannot" in line
        ]
        raise HarnessError(
            "the guest's /init does not compile: see below, and run 'khoci doctor'",
            "\n".join(errors[:3]),
        )


def _key(compiler: str) -> str:
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    state = hashlib.sha256(version + " ".join(FLAGS).encode())
    for path in sources():
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()[:32]
