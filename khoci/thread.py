"""A thread on a list, as far as an answer has to know it. Data only."""

from __future__ import annotations

from dataclasses import dataclass

Address = tuple[str, str]
"""Name, which may be empty, and address."""


@dataclass(frozen=True)
class Thread:
    """The mail to answer: the cover letter of a series, or its only patch.

    Attributes:
        msgid: without angle brackets.
        subject: with what stands in brackets before it.
        author: who sent it.
        to: who gets the answer: the author and whom the mail was to.
        cc: who gets a copy: those of the mail, and the maintainers of what the series changes.
        references: the ids above the mail in its thread, the oldest first.
        answered: the ids of the mails that are in the thread.
    """

    msgid: str
    subject: str
    author: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    references: tuple[str, ...] = ()
    answered: frozenset[str] = frozenset()
