"""The answer to a patch as a mail that a kernel list takes. Pure.

Plain text, 7 bits or UTF-8 as it is, no MIME parts. The message-id says what the result is: the
same result has the same one, whoever sends it and whenever, but for the domain behind the ``@``.
"""

from __future__ import annotations

import hashlib
import json
import quopri
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from email.header import Header
from email.utils import formataddr, formatdate

from khoci.report.model import Report
from khoci.results import CellResult
from khoci.thread import Address, Thread
from khoci.verdicts import Verdict

_WIDTH = 75
_RE = re.compile(r"\s*re\s*:\s*", re.IGNORECASE)
_PREFIX = "khoci."
_NO_DOMAIN = "khoci.invalid"
_WORST_FIRST = tuple(sorted(Verdict, key=lambda verdict: -verdict.rank))


@dataclass(frozen=True)
class Mail:
    """A mail to be sent.

    Attributes:
        sender: name and address.
        to: who gets it.
        cc: who gets a copy.
        subject: on one line.
        msgid: its own, without angle brackets.
        answers: the mail above it; empty if it begins a thread.
        references: all mails above it, the oldest first, with ``answers`` as the last.
        body: lines that end in a newline.
        date: seconds since 1970 in UTC.
    """

    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    msgid: str
    body: str
    answers: str = ""
    references: tuple[str, ...] = field(default=())
    date: float = 0.0

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses that it goes to, each once."""
        return tuple(dict.fromkeys(address for _, address in (*self.to, *self.cc)))

    def to_bytes(self, *, quoted: bool = False) -> bytes:
        """The mail as it is sent, with lines that end in a newline alone.

        ``quoted`` is for a server that only takes 7 bits.
        """
        text = self.body.encode("utf-8", "replace")
        plain = text.isascii()
        quoted = quoted and not plain
        lines = [
            ("From", _person(self.sender)),
            ("To", _people(self.to)),
            ("Cc", _people(self.cc)),
            ("Subject", _encoded("Subject", self.subject)),
            ("Date", formatdate(self.date)),
            ("Message-ID", f"<{self.msgid}>"),
            ("In-Reply-To", f"<{self.answers}>" if self.answers else ""),
            ("References", "\n\t".join(f"<{each}>" for each in self.references)),
            ("MIME-Version", "1.0"),
            ("Content-Type", f"text/plain; charset={'us-ascii' if plain else 'utf-8'}"),
            ("Content-Transfer-Encoding", _encoding(plain=plain, quoted=quoted)),
        ]
        head = "".join(f"{name}: {value}\n" for name, value in lines if value)
        return head.encode("ascii") + b"\n" + (quopri.encodestring(text) if quoted else text)

    def to_text(self) -> str:
        """The same for a terminal or a file in UTF-8."""
        return self.to_bytes().decode()


def mail(report: Report, text: str, sender: Address, thread: Thread | None, date: float) -> Mail:
    """The mail with this body; without a thread it is to nobody but its sender."""
    msgid = f"{fingerprint(report, thread)}@{_domain(sender)}"
    if thread is None:
        return Mail(sender, (sender,), (), _plain(_subject(report)), msgid, text, date=date)
    own = sender[1].lower()
    to = tuple(each for each in thread.to if each[1].lower() != own)
    cc = tuple(each for each in thread.cc if each[1].lower() != own)
    return Mail(
        sender=sender,
        to=to or (sender,),
        cc=cc,
        subject=_plain(f"Re: {_RE.sub('', thread.subject, count=1)}"),
        msgid=msgid,
        body=text,
        answers=thread.msgid,
        references=(*thread.references, thread.msgid),
        date=date,
    )


def fingerprint(report: Report, thread: Thread | None = None) -> str:
    """What the message-id of a result begins with, up to the ``@``.

    It is made of the mail that is answered and of every verdict; not of texts, times or addresses,
    which another run of the same kernels has otherwise.
    """
    cells = sorted(map(_said, report.results))
    what = [thread.msgid if thread else report.run, list(report.order), cells]
    digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()
    return f"{_PREFIX}{digest[:24]}"


def _said(result: CellResult) -> list[object]:
    components = sorted((name, str(each.verdict)) for name, each in result.components.items())
    cell = [result.producer, result.consumer, result.scenario, result.fault]
    return [*cell, str(result.verdict), components, bool(result.splats)]


def _subject(report: Report) -> str:
    """For a mail that answers none: the matrix and how many cells there are of each verdict."""
    counts = [
        (sum(each.verdict is verdict for each in report.results), verdict)
        for verdict in _WORST_FIRST
    ]
    said = ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
    return f"khoci {report.matrix}: {said or 'no cell was run'}"


def _domain(sender: Address) -> str:
    """What stands behind the ``@`` of the sender's address."""
    domain = sender[1].rpartition("@")[2]
    return domain if re.fullmatch(r"[A-Za-z0-9.-]+", domain) else _NO_DOMAIN


def _encoding(*, plain: bool, quoted: bool) -> str:
    return "7bit" if plain else "quoted-printable" if quoted else "8bit"


def _people(addresses: Sequence[Address]) -> str:
    return ",\n\t".join(map(_person, addresses))


def _person(address: Address) -> str:
    name, spec = address
    return formataddr((_plain(name), _ascii(spec)))


def _encoded(name: str, text: str) -> str:
    """A header's text in ASCII, folded."""
    charset = "us-ascii" if text.isascii() else "utf-8"
    header = Header(text, charset, maxlinelen=_WIDTH, header_name=name)
    return header.encode(linesep="\n")


def _plain(text: str) -> str:
    """One line without what would end a header or rule a terminal."""
    return "".join(_visible(text)).strip()


def _visible(text: Iterable[str]) -> Iterable[str]:
    return (char if char.isprintable() else " " for char in text)


def _ascii(text: str) -> str:
    """An address; one that is not plain ASCII cannot be sent to by everybody."""
    return text.encode("ascii", "replace").decode()
