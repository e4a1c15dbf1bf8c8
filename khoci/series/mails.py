"""A mbox that b4 made, as the patches of a series."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.errors import HeaderParseError
from email.header import Header, decode_header
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.series.hunks import parse_diff, shown
from khoci.series.model import Blob, Patch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from khoci.series.plumbing import Git

MADE_UP = "@khoci.invalid"
"""How message-ids end that khoci gives to mails without one: no archive has them."""

_BRACKETS = re.compile(r"^(?:\s*\[[^\]]*\])+\s*")
_PATCH = re.compile(r"(?<![A-Za-z0-9])(?:PATCH|RFC)", re.IGNORECASE)
_COUNTER = re.compile(r"(?<![\w/.])(\d{1,4})(?:/| of )(\d{1,4})(?![\w/.])", re.IGNORECASE)
_REVISION = re.compile(r"(?<![A-Za-z0-9-])(?:PATCH)?v(\d{1,3})\b", re.IGNORECASE)
_RESEND = re.compile(r"\bRESEND", re.IGNORECASE)
_REPLY = re.compile(r"\s*(?:re|aw|fwd?|antw|sv|\w{2,3}(?=:\s*\[))\s*:", re.IGNORECASE)
_DIFF = re.compile(rb"^(?:diff --git \S|--- .*\n\+\+\+ )", re.MULTILINE)
_SUBJECT = re.compile(rb"^Subject:.*\n(?:[ \t].*\n)*", re.MULTILINE | re.IGNORECASE)
_BASE = re.compile(r"^base-commit: *(\S+)", re.MULTILINE)
_PREREQUISITE = re.compile(r"^prerequisite-patch-id: *([0-9a-f]{40})\b", re.MULTILINE)
_CHANGE = re.compile(r"^change-id: *([A-Za-z0-9._-]{1,200})\s*$", re.MULTILINE)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Tag:
    """What stands in brackets before a subject: revision, number and count; 0 is the cover.

    Who says no number says ``1/1`` and is not ``counted``; who sends it once more says ``resend``.
    """

    revision: int
    number: int
    of: int
    counted: bool = True
    resend: bool = False


@dataclass(frozen=True, slots=True)
class Footer:
    """What authors say of a series below it."""

    base_commit: str | None
    wrong_base: str
    prerequisites: tuple[str, ...]
    change_id: str


def header(mail: bytes, name: str) -> str:
    """A header of a mail, decoded, on one line; '' if there is none.

    What is not encoded as it should be is taken for UTF-8.
    """
    return headers(mail, name)[0]


def headers(mail: bytes, *names: str) -> tuple[str, ...]:
    """As `header`, for several at once."""
    head = mail.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    parsed = message_from_string(head.decode(errors="replace"))
    return tuple(_line(parsed[name]) for name in names)


def is_one_line(mail: bytes, name: str) -> bool:
    """Whether a header, decoded, has no control characters: encoded ones outlive the unfolding."""
    head = mail.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    value = message_from_string(head.decode(errors="replace"))[name] or ""
    return not any(unicodedata.category(c) == "Cc" for c in _decoded(value) if c != "\t")


def _line(value: str | None) -> str:
    """A header as it stands there on one line, with no half of a character in it."""
    words = "" if value is None else " ".join(_decoded(value).split())
    return words.encode(errors="replace").decode()


def _decoded(value: str) -> str:
    try:
        parts = decode_header("".join(value.splitlines()))
        return "".join(
            part.decode(charset or "utf-8", errors="replace") if isinstance(part, bytes) else part
            for part, charset in parts
        )
    except (HeaderParseError, LookupError, ValueError):
        return value


def message_id(mail: bytes) -> str:
    """The message-id of a mail without its brackets, '' if it has none."""
    return header(mail, "Message-ID").strip("<> ")


def tag(subject: str) -> Tag | None:
    """What the brackets before a subject say together; None if it is no patch, or answers one."""
    said = _said(subject)
    counter, revision = _COUNTER.search(said), _REVISION.search(said)
    if not counter and not _PATCH.search(said):
        return None
    number, of = (int(counter[1]), int(counter[2])) if counter else (1, 1)
    return Tag(
        int(revision[1]) if revision else 1,
        number,
        of,
        counted=counter is not None,
        resend=_RESEND.search(said) is not None,
    )


def tag_of(subject: str, mail: bytes) -> Tag | None:
    """As `tag`; a mail that has a diff and answers none is a patch in any case."""
    found = tag(subject)
    if found or _REPLY.match(subject) or not _DIFF.search(body(mail)):
        return found
    revision = _REVISION.search(_said(subject))
    return Tag(int(revision[1]) if revision else 1, 1, 1, counted=False)


def _said(subject: str) -> str:
    brackets = _BRACKETS.match(subject)
    return brackets[0] if brackets else ""


def is_plain(subject: str, meant: Tag) -> bool:
    """Whether a subject says what is meant in the one way that every program reads."""
    words = re.sub(r"[\[\]]", " ", re.sub(r"(?i)\bPATCHv", "PATCH v", _said(subject))).split()
    counters = [word for word in words if re.fullmatch(r"\d{1,4}/\d{1,4}", word)]
    revisions = [word for word in words if re.fullmatch(r"[vV]\d{1,3}", word)]
    count = [f"{meant.number}/{meant.of}"] if meant.counted else []
    revision = [meant.revision] if revisions or meant.revision > 1 else []
    same = [int(word[1:]) for word in revisions] == revision
    return same and [re.sub(r"\b0+(?=\d)", "", word) for word in counters] == count


def with_tag(mail: bytes, meant: Tag) -> bytes:
    """A mail whose subject says what is meant, in the one way that every program reads."""
    counter = f" {meant.number}/{meant.of}" if meant.counted else ""
    subject = f"[PATCH v{meant.revision}{counter}] {bare(header(mail, 'Subject'))}"
    line = f"Subject: {subject}" if subject.isascii() else _encoded(subject)
    head, _, rest = mail.replace(b"\r\n", b"\n").partition(b"\n\n")
    said = _SUBJECT.sub(b"", head + b"\n").rstrip(b"\n")
    return said + b"\n" + line.encode() + b"\n\n" + rest


def _encoded(subject: str) -> str:
    return "Subject: " + Header(subject, "utf-8", header_name="Subject").encode()


def bare(subject: str) -> str:
    """A subject without what stands in brackets before it."""
    return _BRACKETS.sub("", subject)


def footer(texts: Iterable[str]) -> Footer:
    """Base, prerequisites and change-id, from the first of the texts that says each.

    A ``base-commit`` that is no whole commit id is told apart: a tag's name is none.
    """
    each = list(texts)
    named = [found[1] for text in each for found in _BASE.finditer(text)]
    whole = [name for name in named if _COMMIT.fullmatch(name)]
    needed = (found for text in each for found in _PREREQUISITE.findall(text))
    changes = (found[1] for text in each for found in _CHANGE.finditer(text))
    return Footer(
        base_commit=whole[0] if whole else None,
        wrong_base=shown(named[0])[:80] if named and not whole else "",
        prerequisites=tuple(dict.fromkeys(needed)),
        change_id=next(changes, ""),
    )


def split(mbox: bytes, git: Git) -> list[bytes]:
    """The mails of a mbox, as ``git am`` would take them apart; none of an empty one."""
    if not mbox.strip():
        return []
    with tempfile.TemporaryDirectory(prefix="khoci-mails-") as name:
        folder = Path(name)
        (folder / "mbox").write_bytes(mbox)
        git.tell("mailsplit", "-b", f"-o{folder}", str(folder / "mbox"))
        return [path.read_bytes() for path in sorted(folder.glob("[0-9]*"))]


def patches(mails: Sequence[bytes], git: Git) -> tuple[tuple[Patch, ...], int]:
    """The patches in mails by number, and how many they say there are.

    Raises:
        UsageError: two mails have one number.
    """
    found: dict[int, Patch] = {}
    expected = 0
    for at, mail in enumerate(mails, 1):
        read = tag(header(mail, "Subject")) or Tag(1, at, len(mails))
        expected = max(expected, read.of)
        if read.number in found:
            both = " and ".join(shown(id_) for id_ in (found[read.number].msgid, message_id(mail)))
            raise UsageError(f"two mails are patch {read.number}: {both}")
        if read.number:
            found[read.number] = _patch(read.number, mail, git)
    return tuple(found[number] for number in sorted(found)), max(expected, len(found))


def body(mail: bytes) -> bytes:
    """What stands below the headers, decoded; the first text part of several."""
    parsed = message_from_bytes(mail)
    texts = (part for part in parsed.walk() if part.get_content_maintype() == "text")
    content = next(texts, parsed).get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _patch(number: int, mail: bytes, git: Git) -> Patch:
    info = _info(mail, git)
    text = body(mail)
    ids = git.line("patch-id", "--stable", stdin=text).split()
    return Patch(
        number=number,
        msgid=message_id(mail),
        subject=bare(header(mail, "Subject")),
        author=f"{info.get('Author', '')} <{info.get('Email', '')}>",
        patch_id=ids[0] if ids else "",
        blobs=tuple(Blob(file.path, *file.blobs) for file in parse_diff(text) if file.blobs),
        mail=mail,
    )


def _info(mail: bytes, git: Git) -> dict[str, str]:
    """What git takes for the author of a mail."""
    answer = git.ask("mailinfo", "--no-scissors", os.devnull, os.devnull, stdin=mail)
    pairs = (line.partition(": ") for line in answer.out.decode(errors="replace").splitlines())
    return {key: value for key, _, value in pairs}
