"""Who maintains what a series changes, by the kernel's own scripts/get_maintainer.pl."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from email.utils import getaddresses
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.proc import PARENT_DEATH
from khoci.series.plumbing import Git

if TYPE_CHECKING:
    from khoci.series.onbase import OnBase
    from khoci.thread import Address

_SCRIPT, _LIST = "scripts/get_maintainer.pl", "MAINTAINERS"
_SECONDS = 60
_OPTIONS = ("--no-tree", "--nogit", "--nogit-fallback", "--norolestats", "--nokeywords")


def maintainers_of(on: OnBase) -> tuple[Address, ...]:
    """Maintainers, reviewers and lists; none where the base has no such script, or it fails.

    The script and its list are of the base as its own authors made it, never of the series.
    """
    if shutil.which("perl") is None or shutil.which(PARENT_DEATH) is None:
        return ()
    with tempfile.TemporaryDirectory(prefix="khoci-maintainers-") as name:
        folder = Path(name)
        git = Git(on.tree)
        for path in (_SCRIPT, _LIST):
            answer = git.ask("cat-file", "blob", f"{on.root}:{path}")
            if answer.status != 0:
                return ()
            (folder / Path(path).name).write_bytes(answer.out)
        return _asked(folder, [str(patch.path.resolve()) for patch in on.patches])


def _asked(folder: Path, patches: list[str]) -> tuple[Address, ...]:
    """What the script in ``folder`` says of patches."""
    script, listed = folder / Path(_SCRIPT).name, folder / _LIST
    guard = (PARENT_DEATH, "--pdeathsig", "KILL")
    command = [*guard, "perl", str(script), *_OPTIONS, "--mpath", str(listed), *patches]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, check=True, timeout=_SECONDS
        )
    except (subprocess.SubprocessError, OSError):
        return ()
    lines = done.stdout.decode(errors="replace").splitlines()
    found = getaddresses([line.partition(" (")[0] for line in lines])
    return tuple((who, address) for who, address in found if "@" in address)
