"""From a stored series to the thread that an answer goes to."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.series.mails import MADE_UP, header, message_id, split
from khoci.series.store import THREAD, Stored
from khoci.thread import Address, Thread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from khoci.series.plumbing import Git

_ID = re.compile(r"<([^<>\s]+)>")
_ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]]+@[^\s<>@,;:\"()\[\]]+", re.ASCII)


def thread_to_answer(stored: Stored, git: Git, maintainers: Iterable[Address] = ()) -> Thread:
    """The thread of a stored series.

    Args:
        stored: the series, with its thread.
        git: takes the mbox apart.
        maintainers: who should see it besides.

    Raises:
        UsageError: the series came from a file without a thread, so there is nothing to answer.
    """
    mails = split((stored.folder / THREAD).read_bytes(), git)
    by_id = {message_id(mail): mail for mail in mails}
    msgid = stored.series.msgid
    if msgid not in by_id or msgid.endswith(MADE_UP):
        raise UsageError(f"{stored.label}: its thread is not kept: khoci apply-series {msgid}")
    mail = by_id[msgid]
    parsed = message_from_bytes(mail)
    authors = _addresses(parsed, "Reply-To") or _addresses(parsed, "From")
    to = _each_once((*authors, *_addresses(parsed, "To")), ())
    return Thread(
        msgid=msgid,
        subject=header(mail, "Subject"),
        author=next(iter(_addresses(parsed, "From")), ("", "")),
        to=to,
        cc=_each_once((*_addresses(parsed, "Cc"), *maintainers), to),
        references=tuple(_references(parsed, msgid)),
        answered=frozenset(by_id),
    )


def _addresses(mail: Message, name: str) -> list[Address]:
    """The addresses of a header; what no mail could be sent to is left out."""
    found = getaddresses([str(value) for value in mail.get_all(name, [])])
    return [(_name(who), address) for who, address in found if _ADDRESS.fullmatch(address)]


def _name(encoded: str) -> str:
    """A name in a header as people write it, on one line; none if its bytes are no characters."""
    name = header(f"X: {encoded}\n\n".encode(errors="replace"), "X")
    return "" if "\ufffd" in name else name


def _each_once(addresses: Iterable[Address], others: Iterable[Address]) -> tuple[Address, ...]:
    """The first of each address that is not among others."""
    seen = {address.lower() for _, address in others}
    found = []
    for who, address in addresses:
        if address.lower() not in seen:
            seen.add(address.lower())
            found.append((who, address))
    return tuple(found)


def _references(mail: Message, msgid: str) -> Iterable[str]:
    named = [
        str(value) for name in ("References", "In-Reply-To") for value in mail.get_all(name, [])
    ]
    found = (match for value in named for match in _ID.findall(value))
    return (each for each in dict.fromkeys(found) if each != msgid)
