"""b4, by its command line; the one module that knows it.

That b4 exits with 0 does not mean that what it wrote is whole: who calls has to count patches.
b4 keeps state and cache below folders of ours and does not run inside of a git tree, so that no
``.b4-config`` of one counts; what git is configured with does, and what ``-c`` says.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.errors import HarnessError, UsageError
from khoci.series.hunks import shown

if TYPE_CHECKING:
    from khoci.series.plumbing import Git

TIMEOUT_SECONDS = 300
MOST_BYTES = 64 << 20
"""Of a thread or a mailbox."""

_RUN = "import sys; from b4.command import cmd; sys.argv[0] = 'b4'; cmd()"
_UNREACHABLE = re.compile(
    r"failed for (?P<url>https?://[^/\s]+)\S*:.*?"
    r"(?P<cause>Failed to resolve '[^']*'|Connection refused|timed out|CERTIFICATE_VERIFY_FAILED)",
    re.DOTALL,
)
_GUESSED = re.compile(r"Base: (\S+) \(exact match\)")
_LOGIN = re.compile(r"(?<=://)[^/@\s]*@")
_SIGNED = ("Signed:", "BADSIG", "NOKEY", "NOSIG", "DKIM/", "Attestation")


class NotFoundError(UsageError):
    """The archive, or the mailbox, has no such message."""

    def __init__(self, message: str) -> None:
        super().__init__(f"not found: {message}")


@dataclass(frozen=True, slots=True)
class Said:
    """How b4 ended, and what it said on the way."""

    status: int
    text: str

    @property
    def attestation(self) -> tuple[str, ...]:
        """The lines about signatures."""
        lines = (line.strip() for line in self.text.splitlines())
        return tuple(dict.fromkeys(line for line in lines if any(w in line for w in _SIGNED)))

    @property
    def last(self) -> str:
        """The last line that says something."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return shown(without_login(lines[-1])) if lines else "it said nothing"


@dataclass(frozen=True, slots=True)
class Am:
    """What ``b4 am`` wrote; empty where it wrote nothing."""

    mbox: bytes
    cover: bytes
    said: Said


@dataclass(frozen=True, slots=True)
class B4:
    """How to run b4.

    Attributes:
        home: a folder for its state and cache.
        config: ``NAME=VALUE`` each, over the user's own.
        offline: whether it must not use the network; then no DKIM signature is checked.
    """

    home: Path
    config: tuple[str, ...] = ()
    offline: bool = False

    def thread(self, msgid: str) -> bytes:
        """The thread of a message as a mbox, with threads of newer revisions that b4 finds.

        Raises:
            NotFoundError: the archive does not have it.
            HarnessError: the archive cannot be reached, or b4 fails.
        """
        with tempfile.TemporaryDirectory(prefix="khoci-b4-") as folder:
            said = self._run(folder, "mbox", "-c", "-C", "-o", folder, "-n", "thread.mbx", msgid)
            found = Path(folder) / "thread.mbx"
            if found.is_file():
                with found.open("rb") as file:
                    return limited(file.read(MOST_BYTES + 1), msgid)
        if " 404" in said.text or "No such message" in said.text:
            raise NotFoundError(f"{msgid}: the archive does not have it ({said.last})")
        raise HarnessError(
            f"{msgid}: b4 could not fetch it: {_brief(said)}; a mailbox will do: --mbox FILE"
        )

    def am(self, thread: bytes, msgid: str, revision: int | None, *, trailers: bool = False) -> Am:
        """Patches in order, as ``git am`` takes them, of a thread in a mbox.

        Args:
            thread: the mbox.
            msgid: of any message of the series; '' if the mbox holds nothing else.
            revision: None for the newest.
            trailers: whether to add what others answered.

        Raises:
            NotFoundError: the mbox does not have the message.
            HarnessError: b4 fails.
        """
        with tempfile.TemporaryDirectory(prefix="khoci-b4-") as name:
            folder = Path(name)
            (folder / "thread").write_bytes(thread)
            wanted = ["-v", str(revision)] if revision is not None else []
            plain = [] if trailers else ["-T"]
            chosen = [msgid] if msgid else []
            said = self._run(
                name,
                *("am", "-m", str(folder / "thread"), "-o", name, "-n", "series", "-C"),
                *(*plain, *wanted, *chosen),
            )
            mbox, cover = (_content(folder / f"series.{end}") for end in ("mbx", "cover"))
        if said.status != 0 and not mbox:
            if msgid and ("Could not find" in said.text or "not found" in said.text.lower()):
                raise NotFoundError(f"{msgid}: is not in the mailbox")
            raise HarnessError(f"{' '.join(filter(None, ('b4 am', msgid)))}: {said.last}")
        return Am(mbox, cover, said)

    def guess(self, patches: bytes, tree: Path) -> str | None:
        """The newest commit in a git tree that has the very files that patches were made on.

        b4 looks at what all refs of the tree lead to, up to the day of the patches and three weeks
        before it. It is named as git does it, by the nearest ref.

        Args:
            patches: a mbox of them.
            tree: a git work tree; nothing in it is changed.
        """
        with tempfile.TemporaryDirectory(prefix="khoci-b4-") as name:
            (Path(name) / "patches").write_bytes(patches)
            local = replace(self, offline=True)
            arguments = ("-m", f"{name}/patches", "-o", name, "-n", "guess", "-T", "-g")
            said = local._run(str(tree), "am", *arguments)  # noqa: SLF001  (its own)
        found = _GUESSED.search(said.text)
        return found[1] if found else None

    def _run(self, cwd: str, *arguments: str) -> Said:
        settings = [word for each in self.config for word in ("-c", each)]
        offline = ["--offline-mode"] if self.offline else []
        command = [sys.executable, "-c", _RUN, "-n", *offline, *settings, *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=self._environment(cwd),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise HarnessError(
                f"b4 {arguments[0]}: no answer after {TIMEOUT_SECONDS} s; where DNS does not "
                "answer, '-c b4.attestation-policy=off' helps"
            ) from None
        return Said(done.returncode, (done.stderr + done.stdout).decode(errors="replace"))

    def _environment(self, cwd: str) -> dict[str, str]:
        outer = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        private = {
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "GIT_CEILING_DIRECTORIES": str(Path(cwd).parent),
        }
        inside = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
        return {name: value for name, value in outer.items() if name not in inside} | private


def limited(mbox: bytes, name: str) -> bytes:
    """The same mails.

    Raises:
        UsageError: there are too many.
    """
    if len(mbox) > MOST_BYTES:
        raise UsageError(f"{name}: more than {MOST_BYTES >> 20} MiB of mail")
    return mbox


def without_login(text: str) -> str:
    """A text with addresses in it, without the names and passwords that those have."""
    return _LOGIN.sub("", text)


def configured(tree: Git) -> tuple[str, ...]:
    """What the configuration of a git tree says of b4, ``NAME=VALUE`` each."""
    answer = tree.ask("config", "-z", "--get-regexp", r"^b4\.")
    entries = answer.out.decode(errors="surrogateescape").split("\0")
    pairs = (entry.partition("\n") for entry in entries if entry)
    return tuple(f"{name}={value}" for name, _, value in pairs)


def _brief(said: Said) -> str:
    """Why an archive did not answer, in a few words."""
    found = _UNREACHABLE.search(said.text)
    return shown(f"{found['cause']} ({without_login(found['url'])})") if found else said.last


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
