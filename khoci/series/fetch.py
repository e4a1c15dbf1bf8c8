"""From what a user names to a series, by way of its thread and b4."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.errors import HarnessError, UsageError
from khoci.series import commits, sources
from khoci.series.b4 import B4, Am, NotFoundError, Said, without_login
from khoci.series.hostile import refuse
from khoci.series.hunks import shown
from khoci.series.letters import Asked, choose, for_b4, introduced, read, thread
from khoci.series.mails import bare, body, footer, header, message_id, patches, split
from khoci.series.model import Series
from khoci.series.store import revision_of, thread_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from khoci.progress import Progress
    from khoci.series.letters import Choice, Letter
    from khoci.series.model import Patch
    from khoci.series.plumbing import Git

_TRAILER = re.compile(r"^[A-Z][A-Za-z-]*-[Bb]y: .+$", re.MULTILINE)
_DIFF = re.compile(r"^(?:diff --git |--- )", re.MULTILINE)
_UNREADABLE = "\ufffd"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks for.

    Attributes:
        name: a message-id, an address in an archive, ``-``, a path, or BASE..HEAD.
        revision: None for the newest that is found.
        mbox: a mailbox to look the message-id up in.
        offline: whether the network is not to be used.
        config: of b4, ``NAME=VALUE`` each.
        store: the folder of all series, whose threads are taken where there is no network.
    """

    name: str
    revision: int | None = None
    mbox: Path | None = None
    offline: bool = False
    config: tuple[str, ...] = ()
    store: Path | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A series, the thread that it was found in, and its patches as b4 put them in order."""

    series: Series
    thread: bytes
    mbox: bytes


@dataclass(frozen=True, slots=True)
class _Thread:
    """A mbox; the message that was asked for, '' for all of it; and where it is from.

    ``mixed`` is whether the mbox may hold what has nothing to do with that message.
    """

    mbox: bytes
    msgid: str
    origin: str
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class _Taken:
    """What b4 made, and whether it got other subjects than were sent."""

    am: Am
    changed: bool


def fetch(wanted: Wanted, home: Path, git: Git, progress: Progress) -> Fetched:
    """Find a series.

    Args:
        wanted: what the user asks for.
        home: a folder for b4's state and cache.
        git: takes mails apart, and has the commits of a range; nothing is written there.
        progress: told of what is waited for.

    Raises:
        NotFoundError: there is no such message, or no patch in its thread.
        UsageError: the name is none that can be looked for, or a patch is refused.
        HarnessError: the archive cannot be reached, or b4 fails.
    """
    progress.start(f"fetching {shown(without_login(wanted.name))[:60]}")
    try:
        found, b4 = _thread(wanted, home, git)
        found, letters, choice = _chosen_or_earlier(found, wanted, git)
        for letter in choice.letters:
            if not letter.is_cover:
                refuse(letter.number or 1, letter.msgid, letter.mail)
        taken = _take(choice, letters, b4, git)
        reviewed = _reviewed(choice, letters, b4)
    finally:
        progress.done()
    series = _series(taken, choice, letters, found.origin, git)
    whole = replace(series, patches=_with_trailers(series, reviewed, git))
    for patch in whole.patches:
        refuse(patch.number, patch.msgid, patch.mail)
    mbox = sources.joined([each.mail for each in letters]) if found.mixed else found.mbox
    return Fetched(whole, mbox, taken.am.mbox)


def _thread(wanted: Wanted, home: Path, git: Git) -> tuple[_Thread, B4]:
    b4 = B4(home, wanted.config, offline=wanted.offline)
    local = replace(b4, offline=True)
    if wanted.mbox:
        msgid = sources.message_id_of(wanted.name)
        mbox = sources.local(wanted.mbox, git)
        return _Thread(mbox, msgid, str(wanted.mbox), mixed=True), local
    if wanted.name == "-":
        return _Thread(sources.stdin(git), "", "stdin"), local
    if sources.is_path(wanted.name):
        return _Thread(sources.local(Path(wanted.name), git), "", wanted.name), local
    if commits.is_range(wanted.name):
        mbox = commits.as_mbox(commits.in_tree(wanted.name, git), git)
        return _Thread(sources.of_bytes(mbox, wanted.name, git), "", wanted.name), local
    msgid, archive = sources.address(wanted.name)
    if wanted.offline:
        return _stored(wanted, msgid), local
    if archive:
        b4 = replace(b4, config=(*wanted.config, f"b4.midmask={archive}/%s"))
    origin = without_login(archive) or "the archive of b4.midmask"
    return _Thread(b4.thread(msgid), msgid, origin), b4


def _stored(wanted: Wanted, msgid: str) -> _Thread:
    """The thread that was fetched before."""
    found = thread_of(wanted.store, msgid) if wanted.store else None
    if found is None:
        raise UsageError(
            f"{msgid}: --offline: was not fetched before; name a mailbox that has it: --mbox FILE"
        )
    return _Thread(found, msgid, "what was fetched before")


def _chosen_or_earlier(
    found: _Thread, wanted: Wanted, git: Git
) -> tuple[_Thread, list[Letter], Choice]:
    """As `_chosen`; a revision that the thread does not have is looked for in the store, too."""
    try:
        return found, *_chosen(found, wanted, git)
    except NotFoundError:
        for earlier in _earlier(found, wanted):
            with suppress(NotFoundError):
                return earlier, *_chosen(earlier, wanted, git)
        raise


def _earlier(found: _Thread, wanted: Wanted) -> Iterator[_Thread]:
    """The threads fetched before that may have the revision that is wanted."""
    if not wanted.store or not found.msgid or wanted.revision is None:
        return
    origin = "what was fetched before"
    if before := revision_of(wanted.store, found.msgid, wanted.revision):
        yield _Thread(before[1], before[0], origin)
    if mbox := thread_of(wanted.store, found.msgid):
        yield _Thread(mbox, found.msgid, origin)


def _chosen(found: _Thread, wanted: Wanted, git: Git) -> tuple[list[Letter], Choice]:
    """The letters that count, and the series among them."""
    letters = read(split(found.mbox, git))
    if found.msgid:
        if found.msgid not in {each.msgid for each in letters}:
            raise NotFoundError(f"{shown(found.msgid)}: is not in {shown(found.origin)}")
        letters = thread(letters, found.msgid) if found.mixed else letters
    return letters, choose(letters, Asked(found.msgid, wanted.revision, found.origin))


def _take(choice: Choice, letters: Sequence[Letter], b4: B4, git: Git) -> _Taken:
    """What b4 makes of the mails of a series.

    It gets those alone if all are there: what others wrote cannot spoil it. Else b4 may know where
    the others are: in the revision before.
    """
    own = introduced(letters, choice)
    if not choice.complete:
        try:
            taken = _asked_of(b4, _known(choice, letters), choice.revision)
            if split(taken.am.mbox, git):
                return taken
        except HarnessError:
            pass
    return _asked_of(b4, own, None)


def _asked_of(b4: B4, letters: Sequence[Letter], revision: int | None) -> _Taken:
    mails, changed = for_b4(letters)
    return _Taken(b4.am(sources.joined(mails), "", revision), changed)


def _reviewed(choice: Choice, letters: Sequence[Letter], b4: B4) -> Am:
    """The same with what others answered; nothing where b4 cannot read one of the answers."""
    try:
        mails, _ = for_b4(_known(choice, letters))
        return b4.am(sources.joined(mails), "", choice.revision, trailers=True)
    except (HarnessError, UsageError):
        return Am(b"", b"", Said(0, ""))


def _known(choice: Choice, letters: Sequence[Letter]) -> list[Letter]:
    """All letters with the numbers that were chosen, without patches that are not of the series."""
    mine = {each.msgid: each for each in choice.letters}
    return [mine.get(e.msgid, e) for e in letters if e.msgid not in choice.others]


def _series(
    taken: _Taken, choice: Choice, letters: Sequence[Letter], origin: str, git: Git
) -> Series:
    am = taken.am
    mails = split(am.mbox, git)
    found, expected = patches(mails, git)
    if not found:
        raise NotFoundError(f"{shown(origin)}: b4 finds no patch in it: {am.said.last}")
    if len(found) != len(mails):
        raise HarnessError(
            f"{shown(origin)}: b4 gives {len(mails)} mails, {len(found)} are patches"
        )
    cover = am.cover
    texts = [body(mail).decode(errors="replace") for mail in (cover, *(p.mail for p in found))]
    said = footer(texts)
    subject = bare(header(cover, "Subject")) if cover else found[0].subject
    wrong = f"base-commit '{said.wrong_base}' is no commit id" if said.wrong_base else ""
    changed = "subjects were rewritten for b4: signatures were not checked" if taken.changed else ""
    notes = (wrong, *choice.notes, changed, *_unreadable(found, letters))
    return Series(
        slug="",
        revision=choice.revision,
        expected=max(expected, choice.of),
        patches=found,
        msgid=(message_id(cover) if cover else "") or found[0].msgid,
        subject=subject,
        base_commit=said.base_commit,
        prerequisites=said.prerequisites,
        change_id=said.change_id,
        newest=choice.newest,
        attestation=() if taken.changed else am.said.attestation,
        origin=origin,
        notes=tuple(filter(None, notes)),
    )


def _unreadable(found: Sequence[Patch], letters: Sequence[Letter]) -> list[str]:
    """Of each patch with bytes that b4 could not read and replaced, that it has some."""
    raw = {each.msgid: each.mail for each in letters}
    return [
        f"patch {patch.number}: has bytes that its mail does not declare; b4 put U+FFFD for them"
        for patch in found
        if _UNREADABLE in _diff(patch.mail)
        and _UNREADABLE.encode() not in body(raw.get(patch.msgid, b""))
    ]


def _diff(mail: bytes) -> str:
    text = body(mail).decode(errors="replace")
    start = _DIFF.search(text)
    return text[start.start() :] if start else ""


def _with_trailers(series: Series, reviewed: Am, git: Git) -> tuple[Patch, ...]:
    """The patches with what others said of each, which is not in their mails."""
    there = {message_id(mail): mail for mail in split(reviewed.mbox, git)}
    return tuple(
        replace(patch, trailers=_new(patch.mail, there[patch.msgid]))
        if patch.msgid in there
        else patch
        for patch in series.patches
    )


def _new(before: bytes, after: bytes) -> tuple[str, ...]:
    old, new = (
        _TRAILER.findall(body(mail).decode(errors="replace").partition("\n---\n")[0])
        for mail in (before, after)
    )
    return tuple(line for line in dict.fromkeys(new) if line not in old)
