"""One patch of a series in a workshop: applied, already in, or not to be applied."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING
from urllib.parse import quote

from khoci.errors import HarnessError
from khoci.series.applied import Step
from khoci.series.hunks import parse_diff, shown
from khoci.series.made import refuse_made
from khoci.series.mails import MADE_UP
from khoci.series.model import Outcome
from khoci.series.plumbing import resolve

if TYPE_CHECKING:
    from khoci.series.model import Patch
    from khoci.series.plumbing import Git

LINK = "https://patch.msgid.link/"
NO_DATE = b"Date: Thu, 1 Jan 1970 00:00:00 +0000"
"""For mails without a date that git can write down: commit ids must not depend on the clock."""

AM = (
    *("am", "--3way", "--committer-date-is-author-date", "--no-gpg-sign", "--no-scissors"),
    *("--no-keep-cr", "--whitespace=nowarn", "--patch-format=mbox"),
)
_PARENT = re.compile(rb"^parent [0-9a-f]+$", re.MULTILINE)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_ISO = re.compile(r"(?:19[7-9]|20\d)\d-\d\d-\d\d")
_FIRST_TOO_LATE = 4102444800
_FELL_BACK = b"Falling back to patching base and 3-way merge..."
_NOT_THE_PATCH = ("No space left on device", "Disk quota exceeded", "overwritten by merge")
"""In what git says if it stops for a reason that is not the patch's."""


@dataclass(frozen=True, slots=True)
class Put:
    """A step (applied, already in or conflict), and what git said of a conflict."""

    step: Step
    said: str = ""


def step_of(patch: Patch, outcome: Outcome | None) -> Step:
    """The step of a patch that became no commit."""
    return Step(patch.number, patch.msgid, patch.subject, outcome)


def put(patch: Patch, shop: Git) -> Put:
    """Commit a patch on HEAD of the workshop, by a merge if need be; else leave HEAD as it is.

    Raises:
        UsageError: it does to the tree what no patch may.
        HarnessError: git or the disk fails, or the mail holds more than one patch.
    """
    before = _head(shop)
    answer = shop.ask(*AM, stdin=dated(patch.mail, shop))
    after = _head(shop)
    if answer.status != 0:
        if any(words in answer.err for words in _NOT_THE_PATCH):
            raise HarnessError(f"patch {patch.number}: {answer.err}")
        _restore(before, shop)
        return Put(step_of(patch, Outcome.CONFLICT), answer.err)
    if after == before:
        return Put(step_of(patch, Outcome.ALREADY_IN))
    if resolve(shop, f"{after}^") != before:
        raise HarnessError(f"patch {patch.number} ({patch.msgid}): its mail holds several patches")
    refuse_made(shop, before, after, f"patch {patch.number} ({shown(patch.msgid)})")
    commit = _linked(after, patch.msgid, shop)
    step = replace(step_of(patch, Outcome.APPLIED), commit=commit)
    if _FELL_BACK in answer.out.splitlines():
        step = replace(step, three_way=True, elsewhere=_elsewhere(patch, shop))
    return Put(step)


def dated(mail: bytes, shop: Git) -> bytes:
    """A mail with a date: `NO_DATE` where it has none, or one that git refuses."""
    info = shop.ask("mailinfo", "--no-scissors", os.devnull, os.devnull, stdin=mail).out
    lines = info.decode(errors="replace").splitlines()
    date = next((line[6:] for line in lines if line.startswith("Date: ")), "")
    if _is_date(date):
        return mail
    return _END_OF_HEAD.sub(rb"\n%b\g<0>" % NO_DATE, mail, count=1)  # git takes the last one


def _is_date(text: str) -> bool:
    """Whether git can write a date down: it is in the years from 1970 to 2099."""
    if _ISO.match(text):
        return True
    parsed = parsedate_tz(text)
    with suppress(OverflowError, ValueError):
        return parsed is not None and 0 <= mktime_tz(parsed) < _FIRST_TOO_LATE
    return False


def diff_of(patch: Patch, shop: Git) -> bytes:
    """The patch in a mail, decoded; empty if there is none."""
    target = shop.folder / "patch"
    target.unlink(missing_ok=True)
    mail = patch.mail.replace(b"\r\n", b"\n")
    if mail.startswith(b"From "):
        mail = mail.partition(b"\n")[2]
    shop.ask("mailinfo", "--no-scissors", os.devnull, str(target), stdin=mail)
    return target.read_bytes() if target.is_file() else b""


def _head(shop: Git) -> str:
    return shop.line("rev-parse", "--verify", "HEAD")


def _restore(commit: str, shop: Git) -> None:
    shop.ask("am", "--abort")
    shop.tell("update-ref", "--no-deref", "HEAD", commit)
    shop.tell("read-tree", "--reset", "-u", commit)


def _elsewhere(patch: Patch, shop: Git) -> tuple[str, ...]:
    listed = shop.tell("diff-tree", "-r", "-z", "--no-renames", "--name-only", "HEAD^", "HEAD")
    changed = {os.fsdecode(name) for name in listed.split(b"\0") if name}
    named = {blob.path for blob in patch.blobs} | {f.path for f in parse_diff(diff_of(patch, shop))}
    return tuple(sorted(changed - named))


def _linked(commit: str, msgid: str, shop: Git) -> str:
    """Make HEAD the same commit with a trailer ``Link:`` in its message; return the new id."""
    new = linked(commit, msgid, shop)
    shop.tell("update-ref", "--no-deref", "HEAD", new)
    return new


def linked(commit: str, msgid: str, where: Git, parent: str = "") -> str:
    """Write the same commit with a trailer ``Link:`` in its message; return its id.

    There is none for a mail whose id we made up.

    Args:
        commit: with one parent.
        msgid: what the link leads to.
        where: the repository.
        parent: to have another parent.
    """
    head, _, message = where.tell("cat-file", "commit", commit).partition(b"\n\n")
    if parent:
        head = _PARENT.sub(f"parent {parent}".encode(), head, count=1)
    if msgid.endswith(MADE_UP):
        return _written(head, message, where)
    trailer = f"Link: {LINK}{quote(msgid, safe='@+=$~!')}"
    add = ("interpret-trailers", "--no-divider", "--if-exists=addIfDifferent", "--trailer", trailer)
    return _written(head, where.tell(*add, stdin=message), where)


def _written(head: bytes, message: bytes, where: Git) -> str:
    made = ("hash-object", "-t", "commit", "-w", "--stdin")
    return where.line(*made, stdin=head + b"\n\n" + message)
