"""From what a user names to mails: a message of an archive, or a mailbox on this machine."""

from __future__ import annotations

import hashlib
import mailbox
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

from khoci.errors import UsageError
from khoci.series.b4 import MOST_BYTES, NotFoundError, limited, without_login
from khoci.series.hunks import shown
from khoci.series.mails import MADE_UP, message_id, split

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from khoci.series.plumbing import Git

_MSGID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.\[\]:_-]+")
_LONGEST = 250
_DEFAULT_HOSTS = ("patch.msgid.link", "msgid.link")


def address(name: str) -> tuple[str, str]:
    """Message-id and archive of an address; no archive if it is a message-id alone.

    An address in patchwork has the message-id and is of no archive.

    Raises:
        UsageError: it is neither.
    """
    parts = urlsplit(name)
    if parts.scheme not in ("http", "https"):
        return message_id_of(name), ""
    folders = parts.path.split("/")
    for at, folder in enumerate(folders):
        if _MSGID.fullmatch(unquote(folder)):
            base = f"{parts.scheme}://{parts.netloc}{'/'.join(folders[:at])}"
            elsewhere = parts.hostname in _DEFAULT_HOSTS or "project" in folders[:at]
            return message_id_of(unquote(folder)), "" if elsewhere else base
    raise UsageError(
        f"{shown(without_login(name))}: is the address of no message: it has no message-id"
    )


def message_id_of(name: str) -> str:
    """The message-id that a user wrote, in any of the usual ways.

    Raises:
        UsageError: it is none.
    """
    msgid = name.strip().removeprefix("id:").removeprefix("mid:").strip("<>")
    if not _MSGID.fullmatch(msgid) or msgid.startswith("-") or len(msgid) > _LONGEST:
        said = shown(without_login(name))[:80]
        raise UsageError(f"'{said}' is no message-id, no address of an archive, and no file here")
    return msgid


def is_path(name: str) -> bool:
    """Whether there is a file or folder of this name."""
    try:
        return bool(name) and Path(name).exists()
    except OSError:  # too long for one
        return False


def stdin(git: Git) -> bytes:
    """The mails on stdin as a mbox.

    Raises:
        NotFoundError: there is none.
    """
    return _mbox(_read(sys.stdin.buffer, "stdin"), "stdin", git)


def local(path: Path, git: Git) -> bytes:
    """The mails of a mailbox (a pipe, too), a maildir or a folder of patches, as a mbox.

    Raises:
        NotFoundError: there is none.
        UsageError: it cannot be read, or is too long.
    """
    if not is_path(str(path)):
        raise UsageError(f"{path}: does not exist")
    try:
        if not path.is_dir():
            with path.open("rb") as file:
                return _mbox(_read(file, str(path)), str(path), git)
        if (path / "cur").is_dir():
            mails = [message.as_bytes() for message in mailbox.Maildir(path, create=False)]
        else:
            files = sorted(file for file in path.iterdir() if file.suffix in (".patch", ".eml"))
            mails = _of_files(files, git)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if not mails:
        raise NotFoundError(f"{path}: has no mail and no *.patch")
    return limited(joined(mails), str(path))


def _of_files(files: Iterable[Path], git: Git) -> list[bytes]:
    mails: list[bytes] = []
    for path in files:
        with path.open("rb") as file:
            mails += split(_read(file, str(path)), git)
    return mails


def _read(file: BinaryIO, name: str) -> bytes:
    return limited(file.read(MOST_BYTES + 1), name)


def of_bytes(content: bytes, name: str, git: Git) -> bytes:
    """The mails that git finds in what was read from ``name``, as a mbox.

    Raises:
        NotFoundError: there is none.
        UsageError: it is too long.
    """
    return _mbox(limited(content, name), name, git)


def _mbox(content: bytes, name: str, git: Git) -> bytes:
    mails = split(content, git)
    if not mails:
        raise NotFoundError(f"{name}: is empty")
    return joined(mails)


def joined(mails: Sequence[bytes]) -> bytes:
    """A mbox of mails; those without a message-id get one of what is in them."""
    return b"".join(b"From khoci Thu Jan  1 00:00:00 1970\n" + _named(mail) for mail in mails)


def _named(mail: bytes) -> bytes:
    if mail.startswith(b"From "):
        mail = mail.partition(b"\n")[2]
    if not message_id(mail):
        digest = hashlib.sha256(mail).hexdigest()[:24]
        mail = f"Message-ID: <{digest}{MADE_UP}>\n".encode() + mail
    return mail.rstrip(b"\n") + b"\n\n"
