"""What a patch series is. Values only: nothing here reads mail, git or disk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What came of putting a series, or one of its patches, on a tree."""

    APPLIED = "applied"
    ALREADY_IN = "already in"
    CONFLICT = "conflict"
    INCOMPLETE = "incomplete"
    NOT_FOUND = "not found"
    BASE_UNKNOWN = "base unknown"


@dataclass(frozen=True, slots=True)
class Blob:
    """A file that a patch changes: its path before (or after, if it is new), and the ids.

    ``old`` and ``new`` are the git blob ids of the ``index`` line as they stand there, often
    abbreviated; all zeros where there is no file.
    """

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch of a series.

    Attributes:
        number: from 1.
        msgid: without angle brackets.
        subject: without the ``[PATCH ...]`` prefix.
        author: ``Name <address>``.
        patch_id: of ``git patch-id --stable``.
        blobs: what it changes, in its order.
        mail: as ``git am`` takes it, with the trailers that b4 added left out.
        trailers: those, a line each.
    """

    number: int
    msgid: str
    subject: str
    author: str
    patch_id: str
    blobs: tuple[Blob, ...]
    mail: bytes
    trailers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """One revision of a series.

    Attributes:
        slug: its name in khoci, of ``a-z0-9-`` only.
        revision: from 1.
        expected: how many patches it says it has.
        patches: those that are there, by number.
        msgid: of the cover letter, or of the only patch.
        subject: of the cover letter, or of the only patch.
        base_commit: 40 hex digits if the series names one, else None.
        prerequisites: ``prerequisite-patch-id`` in order.
        change_id: b4's, empty if there is none.
        newest: the newest revision that is known of.
        attestation: what b4 said of signatures, a line each.
        origin: where it was fetched from, for people.
        notes: what else a reader should know, a line each.
    """

    slug: str
    revision: int
    expected: int
    patches: tuple[Patch, ...]
    msgid: str
    subject: str
    base_commit: str | None = None
    prerequisites: tuple[str, ...] = ()
    change_id: str = ""
    newest: int = 1
    attestation: tuple[str, ...] = ()
    origin: str = ""
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of the patches that are not there."""
        there = {patch.number for patch in self.patches}
        return tuple(number for number in range(1, self.expected + 1) if number not in there)
