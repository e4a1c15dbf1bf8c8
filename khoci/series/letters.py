"""Which mails of a thread are the series that is asked for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from email.utils import parseaddr
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.series.b4 import NotFoundError
from khoci.series.hunks import shown
from khoci.series.mails import bare, body, footer, headers, is_plain, tag_of, with_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from khoci.series.mails import Tag

_ID = re.compile(r"<([^<>\s]+)>")
_FEW = 5


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail of a thread.

    Attributes:
        msgid: without angle brackets.
        subject: as it stands there.
        sender: the address that it is from, in small letters.
        parents: message-ids that it answers, the nearest last.
        change_id: b4's, '' if it says none.
        tag: of a patch or a cover letter; None of all else.
        mail: the bytes.
    """

    msgid: str
    subject: str
    sender: str
    parents: tuple[str, ...]
    change_id: str
    tag: Tag | None
    mail: bytes

    @property
    def revision(self) -> int:
        """Of a patch; 0 of all else."""
        return self.tag.revision if self.tag else 0

    @property
    def number(self) -> int:
        """Of a patch that says one; 0 of all else, and of a cover letter."""
        return self.tag.number if self.tag and self.tag.counted else 0

    @property
    def is_cover(self) -> bool:
        """Whether it says to be ``0/n``."""
        return self.tag is not None and self.tag.counted and self.tag.number == 0

    @property
    def is_loose(self) -> bool:
        """Whether it is a patch that says no number."""
        return self.tag is not None and not self.tag.counted


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a thread.

    Attributes:
        msgid: of any mail of the series; '' for all that is there.
        revision: None for the newest.
        origin: where the mails are from, for people.
    """

    msgid: str
    revision: int | None
    origin: str

    @property
    def whole(self) -> bool:
        """Whether the user put the mails together: then their order counts."""
        return not self.msgid


@dataclass(frozen=True, slots=True)
class Choice:
    """The mails of a series.

    Attributes:
        revision: of the series.
        newest: the newest revision of it that is there.
        letters: its cover letter, if there is one, and its patches by number.
        of: how many patches it says it has.
        others: the message-ids of patches that are not of it, nor of other revisions.
        notes: what a reader should know of that, a line each.
    """

    revision: int
    newest: int
    letters: tuple[Letter, ...]
    of: int
    others: frozenset[str]
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every patch is there."""
        return {each.number for each in self.letters} - {0} == set(range(1, self.of + 1))


def read(mails: Iterable[bytes]) -> list[Letter]:
    """The letters of mails; of several with one message-id the first."""
    found: dict[str, Letter] = {}
    for mail in mails:
        letter = _read(mail)
        found.setdefault(letter.msgid, letter)
    return list(found.values())


def thread(letters: Sequence[Letter], msgid: str) -> list[Letter]:
    """Those letters that hang together with a message, and with other revisions of its series."""
    heads = _heads(letters)
    mine = [each for each in letters if heads[each.msgid] == heads.get(msgid)]
    patches = [each for each in mine if each.tag]
    changes = {each.change_id for each in patches} - {""}
    named = {(each.sender, _bare(each)) for each in patches}
    same = {
        heads[each.msgid]
        for each in letters
        if each.tag and (each.change_id in changes or (each.sender, _bare(each)) in named)
    }
    return [each for each in letters if heads[each.msgid] in same | {heads.get(msgid)}]


def choose(letters: Sequence[Letter], asked: Asked) -> Choice:
    """The mails of the series that is asked for, each patch with a number of its own.

    Another revision is one by the same sender, or with the same change-id or a subject in common.

    Raises:
        NotFoundError: there is no patch, or not that revision.
        UsageError: patches have one number, and nothing says which is meant.
    """
    patches = [each for each in letters if each.tag]
    if not patches:
        raise NotFoundError(
            f"{shown(asked.msgid or asked.origin)}: there is no patch in the thread"
        )
    anchor = _anchor(letters, patches, asked)
    by_id = {each.msgid: each for each in patches}
    own = [each for each in patches if _beside(each, anchor, by_id, asked)]
    revisions = {anchor.revision: own, **_revisions(patches, own)}
    newest = max(revisions)
    wanted = newest if asked.revision is None else asked.revision
    if wanted not in revisions:
        raise NotFoundError(_no_revision(asked, wanted, sorted(revisions)))
    pool = revisions[wanted]
    first = anchor if anchor in pool else pool[0]
    kept, notes = _numbered(pool, first, asked)
    ids = {each.msgid for each in kept}
    known = {each.msgid for at, group in revisions.items() if at != wanted for each in group}
    others = [each for each in patches if each.msgid not in ids | known]
    of = max((each.tag.of for each in kept if each.tag), default=1)
    told = (*notes, *_told(others))
    return Choice(wanted, newest, kept, of, frozenset(e.msgid for e in others), told)


def for_b4(letters: Iterable[Letter]) -> tuple[list[bytes], bool]:
    """The mails with subjects that b4 reads as khoci does, and whether one had to be changed."""
    mails, changed = [], False
    for each in letters:
        if each.tag and not is_plain(each.subject, each.tag):
            mails.append(with_tag(each.mail, each.tag))
            changed = True
        else:
            mails.append(each.mail)
    return mails, changed


def introduced(letters: Sequence[Letter], choice: Choice) -> list[Letter]:
    """The letters of a choice, with what its sender wrote above them without calling it a cover."""
    senders = {each.sender for each in choice.letters}
    above = {each.parents[-1] for each in choice.letters if each.parents}
    naked = (each for each in letters if each.tag is None and each.msgid in above)
    return [*(each for each in naked if each.sender in senders), *choice.letters]


def _read(mail: bytes) -> Letter:
    names = ("Message-ID", "Subject", "From", "References", "In-Reply-To")
    msgid, subject, sender, references, answered = headers(mail, *names)
    read = tag_of(subject, mail)
    change = footer([body(mail).decode(errors="replace")]).change_id if read else ""
    parents = dict.fromkeys([*_ID.findall(references), *_ID.findall(answered)])
    address = parseaddr(sender)[1] or sender
    return Letter(msgid.strip("<> "), subject, address.lower(), tuple(parents), change, read, mail)


def _heads(letters: Sequence[Letter]) -> dict[str, str]:
    """For each message-id that is named one that stands for all that hangs together with it."""
    heads: dict[str, str] = {}

    def head(msgid: str) -> str:
        while heads.setdefault(msgid, msgid) != msgid:
            heads[msgid] = heads[heads[msgid]]
            msgid = heads[msgid]
        return msgid

    for each in letters:
        for parent in each.parents:
            heads[head(parent)] = head(each.msgid)
    return {msgid: head(msgid) for msgid in [*heads, *(each.msgid for each in letters)]}


def _bare(letter: Letter) -> str:
    return bare(letter.subject).lower()


def _anchor(letters: Sequence[Letter], patches: Sequence[Letter], asked: Asked) -> Letter:
    """The patch or cover letter that is asked for, or the nearest one that the message answers."""
    by_id = {each.msgid: each for each in letters}
    named = by_id.get(asked.msgid)
    if named is None:
        return patches[0]
    near = (by_id.get(msgid) for msgid in (named.msgid, *reversed(named.parents)))
    return next((each for each in near if each and each.tag), patches[0])


def _beside(letter: Letter, anchor: Letter, by_id: dict[str, Letter], asked: Asked) -> bool:
    """Whether a patch may be of the same revision of the same series as ``anchor``."""
    if letter.revision != anchor.revision:
        return False
    if asked.msgid == anchor.msgid and anchor.is_loose:
        return letter.is_loose and letter.sender == anchor.sender
    if letter.sender == anchor.sender:
        return True
    if asked.whole:
        above = (by_id[msgid] for msgid in letter.parents if msgid in by_id)
        return all(each.sender == letter.sender for each in above) or letter.number > 0
    return not letter.is_loose and not anchor.is_loose and _of(letter) == _of(anchor)


def _of(letter: Letter) -> int:
    return letter.tag.of if letter.tag else 0


def _revisions(patches: Sequence[Letter], own: Sequence[Letter]) -> dict[int, list[Letter]]:
    """The other revisions of what is in ``own``."""
    found: dict[int, list[Letter]] = {}
    people = {each.sender for each in own}
    changes = {each.change_id for each in own} - {""}
    names = {_bare(each) for each in own}
    for revision in {each.revision for each in patches} - {own[0].revision}:
        there = [each for each in patches if each.revision == revision]
        near = [
            each
            for each in there
            if each.sender in people or each.change_id in changes or _bare(each) in names
        ]
        senders = {each.sender for each in near}
        sizes = {_of(each) for each in near if not each.is_loose}
        mine = [
            each
            for each in there
            if each.sender in senders or (not each.is_loose and _of(each) in sizes)
        ]
        if mine:
            found[revision] = mine
    return found


def _no_revision(asked: Asked, wanted: int, there: Sequence[int]) -> str:
    words = ", ".join(f"v{each}" for each in there)
    name = f"name the message-id of v{wanted} itself"
    hint = f" ({name})" if wanted < there[-1] else ""
    return f"{shown(asked.msgid or asked.origin)}: has no v{wanted}: there is {words}{hint}"


def _numbered(
    pool: Sequence[Letter], first: Letter, asked: Asked
) -> tuple[tuple[Letter, ...], tuple[str, ...]]:
    """Cover letter and patches of one revision with a number each, and what is to be noted."""
    covers = [each for each in pool if each.is_cover]
    cover = _like(covers, first)[:1]
    counted = [each for each in pool if each.number]
    loose = [each for each in pool if each.is_loose]
    added = [each for each in loose if not each.parents] if counted and asked.whole else []
    if counted and not added:
        alone = [
            one
            for number in sorted({e.number for e in counted})
            for one in _like([e for e in counted if e.number == number], first)
        ]
        if len(alone) == len({each.number for each in alone}):
            return (*cover, *alone), ()
    if not counted and len(loose) < 2:
        return (*cover, *loose), ()
    rest = [each for each in pool if each in counted or each in (added if counted else loose)]
    if not asked.whole:
        return _meant(rest, first), ()
    of = len(rest)
    again = [_as(each, number, of) for number, each in enumerate(rest, 1)]
    note = "the patches are numbered in the order of the input: their subjects do not say it"
    return (*(_as(each, 0, of) for each in cover), *again), (note,)


def _like(same: Sequence[Letter], first: Letter) -> Sequence[Letter]:
    """Of letters that claim one number those that are most like ``first``."""
    for rule in (_same_sending, _same_sender):
        alike = [each for each in same if rule(each, first)]
        same = alike or same
    return same


def _same_sending(one: Letter, other: Letter) -> bool:
    return bool(one.tag and one.tag.resend) == bool(other.tag and other.tag.resend)


def _same_sender(one: Letter, other: Letter) -> bool:
    return one.sender == other.sender


def _meant(rest: Sequence[Letter], first: Letter) -> tuple[Letter, ...]:
    """The one patch without number that is meant; a subject that comes again is one patch."""
    if not any(each.number for each in rest) and len({_bare(each) for each in rest}) == 1:
        return (first,)
    several = _listed(rest)
    raise UsageError(
        f"several patches have one number, or none: {several}: "
        "put those that you want into a mailbox, in order, and name that"
    )


def _as(letter: Letter, number: int, of: int) -> Letter:
    if letter.tag is None:
        return letter
    return replace(letter, tag=replace(letter.tag, number=number, of=of, counted=True))


def _told(others: Sequence[Letter]) -> tuple[str, ...]:
    return (f"not of this series, and left out: {_listed(others)}",) if others else ()


def _listed(letters: Sequence[Letter]) -> str:
    few = [f"'{e.subject[:60]}' by {e.sender} ({e.msgid})" for e in letters[:_FEW]]
    more = [f"{len(letters) - _FEW} more"] if len(letters) > _FEW else []
    return shown(", ".join([*few, *more]))
