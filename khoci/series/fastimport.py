"""A tar archive of a source tree as a commit, in the language of git-fast-import(1). Pure."""

from __future__ import annotations

import lzma
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from khoci.errors import HarnessError
from khoci.kernel.tar import tarfile

if TYPE_CHECKING:
    from collections.abc import Iterator

_ESCAPES = {ord('"'): '\\"', ord("\\"): "\\\\", ord("\n"): "\\n"}


@dataclass(frozen=True, slots=True)
class Origin:
    """What the archive is.

    Attributes:
        name: for messages.
        ref: the git ref to set to the commit.
        who: ``Name <address>`` of the committer.
    """

    name: str
    ref: str
    who: str


def commands(packed: IO[bytes], origin: Origin) -> Iterator[bytes]:
    """One commit without parents with all files of the archive below its one top folder.

    Content, modes (executable or not) and symbolic links are as in the archive; git has no empty
    folders. The commit has the time of the archive's first member, so that the same archive gives
    the same commit. One piece a file is yielded.

    Raises:
        HarnessError: the archive is damaged, holds no kernel tree, or what git cannot hold.
    """
    try:
        with tarfile.open(fileobj=packed, mode="r|*") as tar:
            yield from _commit(tar, origin)
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise HarnessError(f"{origin.name}: is damaged: {error}") from error


def _commit(tar: tarfile.TarFile, origin: Origin) -> Iterator[bytes]:
    makefile = started = False
    for member in tar:
        if not started:
            yield _head(origin, max(0, int(member.mtime)))
            started = True
        path = _below_top(member.name)
        if path and not member.isdir():
            makefile = makefile or path == "Makefile"
            yield _file(tar, member, path, origin)
    if not makefile:
        raise HarnessError(f"{origin.name}: holds no kernel source tree (no Makefile at its top)")
    yield b"done\n"


def _head(origin: Origin, seconds: int) -> bytes:
    message = f"{origin.name}\n".encode()
    lines = f"commit {origin.ref}\ncommitter {origin.who} {seconds} +0000\ndata {len(message)}\n"
    return lines.encode() + message + b"deleteall\n"


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str, origin: Origin) -> bytes:
    if not _is_safe(path):
        raise HarnessError(f"{origin.name}: holds {path!r}, which no git tree can")
    if member.islnk():
        target = _below_top(member.linkname)
        if not _is_safe(target):
            raise HarnessError(f"{origin.name}: links {path!r} to {member.linkname!r}")
        return f"C {_quoted(target)} {_quoted(path)}\n".encode(errors="surrogateescape")
    content = tar.extractfile(member) if member.isfile() else None
    if content is not None:
        return _blob("100755" if member.mode & 0o100 else "100644", path, content.read())
    if member.issym():
        return _blob("120000", path, os.fsencode(member.linkname))
    raise HarnessError(f"{origin.name}: holds {path!r}, which is neither file nor link")


def _blob(mode: str, path: str, content: bytes) -> bytes:
    head = f"M {mode} inline {_quoted(path)}\ndata {len(content)}\n"
    return head.encode(errors="surrogateescape") + content + b"\n"


def _below_top(name: str) -> str:
    return name.removeprefix("./").partition("/")[2]


def _is_safe(path: str) -> bool:
    return not {"", ".", "..", ".git"}.intersection(path.lower().split("/"))


def _quoted(path: str) -> str:
    return f'"{path.translate(_ESCAPES)}"'
