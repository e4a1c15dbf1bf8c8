"""Which mails were sent, so that none is sent twice or too many at once.

One JSON file a mail, by what its message-id begins with, in a folder that only khoci writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from khoci.files import write_atomic

SENDING, SENT = "sending", "sent"
_SCHEMA = 1


@dataclass(frozen=True)
class Entry:
    """A mail that was sent, or of which nobody knows whether it was.

    Attributes:
        name: what its message-id begins with.
        state: `SENT`, or `SENDING` if khoci was stopped on the way.
        when: seconds since 1970.
        answers: the mail that it answers.
        recipients: who it went to.
    """

    name: str
    state: str
    when: float
    answers: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class SentMails:
    """The record of a user."""

    folder: Path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds other processes off that send."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            yield

    def find(self, name: str) -> Entry | None:
        """The entry of a mail, None if it was never sent."""
        return _read(self._file(name))

    def all(self) -> list[Entry]:
        """All entries, the oldest first."""
        found = (_read(path) for path in self.folder.glob("*.json"))
        return sorted((entry for entry in found if entry), key=lambda entry: entry.when)

    def write(self, entry: Entry) -> None:
        """Add an entry, or replace it."""
        text = json.dumps({"schema": _SCHEMA, **asdict(entry)}, indent=2)
        write_atomic(self._file(entry.name), text + "\n")

    def forget(self, name: str) -> None:
        """Take an entry back: its mail was not sent."""
        self._file(name).unlink(missing_ok=True)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _read(path: Path) -> Entry | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("schema") != _SCHEMA:
            return None
        return Entry(**{**data, "recipients": tuple(data["recipients"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
