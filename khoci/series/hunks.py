"""What a file lacks that a patch wants to change there. Pure: unified diffs and contents in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOWN_LINES = 3
"""How many of the lines that a file lacks are told."""
MOST_MISFITS = 10
"""Of so many hunks of a file that do not fit the numbers are told; no more are looked for."""
_MOST_BYTES = 1 << 28
"""So much of a file is searched for all hunks of a patch together."""

_FILE = b"diff --git "
_BARE = [b"--- ", b"+++ ", b"@@ -"]
"""How the lines begin that are the head of a file without ``diff --git``."""
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)", re.DOTALL)
_INDEX = re.compile(rb"index ([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))


@dataclass(frozen=True, slots=True)
class Hunk:
    """A hunk.

    Attributes:
        start: the line that it starts at before the patch.
        before: the lines that it finds there.
        after: the lines that it leaves there.
        added: those of them that it brings.
        after_start: the line that it starts at after the patch.
        heading: of what function it is, so far as its first line says that.
    """

    start: int
    before: tuple[bytes, ...]
    after: tuple[bytes, ...] = ()
    added: tuple[bytes, ...] = ()
    after_start: int = 0
    heading: bytes = b""


@dataclass(frozen=True, slots=True)
class FileDiff:
    """What a patch does to one file.

    Attributes:
        path: before the patch; of a new file, after it.
        new: whether it is a new file.
        hunks: what changes in it.
        blobs: the ids of the ``index`` line, None if there is none.
        renamed: its path after the patch, '' if it is the same.
    """

    path: str
    new: bool
    hunks: tuple[Hunk, ...]
    blobs: tuple[str, str] | None = None
    renamed: str = ""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a patch does not fit a file.

    Attributes:
        path: of the file in the base.
        hunks: the numbers, from 1, of the hunks that do not fit; none if the whole file is at
            fault.
        of: how many hunks there are.
        why: in words, without the path.
        lacks: some lines that the patch expects and that are nowhere in the file.
    """

    path: str
    hunks: tuple[int, ...]
    of: int
    why: str
    lacks: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """All of it in one line, fit for a terminal."""
        lacks = "".join(f"; no line '{line}'" for line in self.lacks[:1])
        return shown(f"{self.path}: {self.why}{lacks}")


def shown(text: str) -> str:
    """The text with what is not visible as an escape: strangers wrote it."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def parse_diff(patch: bytes) -> tuple[FileDiff, ...]:
    """The files of a patch as git takes it; text around them and what is no hunk is passed over.

    A file begins with ``diff --git`` or with ``---``, ``+++`` and ``@@`` in a row. Nothing that a
    patch holds makes this fail: git says whether it is well formed.
    """
    return tuple(_file(lines) for lines in _pieces(patch))


def pieces(patch: bytes) -> tuple[bytes, ...]:
    """For each file that `parse_diff` finds the part of the patch that is about it."""
    return tuple(b"\n".join(lines) for lines in _pieces(patch))


def misfit(diff: FileDiff, content: bytes | None) -> Misfit | None:
    """What keeps ``diff`` from being applied to ``content`` (None: there is no such file).

    None where every hunk is found, wherever in the file that is.
    """
    of = len(diff.hunks)
    if diff.new:
        return None if content is None else Misfit(diff.path, (), of, "is in the base already")
    if content is None:
        return Misfit(diff.path, (), of, "is not in the base")
    there = set(content.split(b"\n"))
    wrong = _wrong(diff.hunks, content, there)
    if not wrong:
        return None
    lacks = _lacking([diff.hunks[n - 1] for n in wrong], there)
    more = " and maybe more" if len(wrong) == MOST_MISFITS < of else ""
    numbers = ", ".join(map(str, wrong)) + more
    where = diff.hunks[wrong[0] - 1].start
    plural = "s" if len(wrong) > 1 else ""
    verb = "do" if len(wrong) > 1 else "does"
    why = f"hunk{plural} {numbers} of {of} {verb} not fit (line {where} on)"
    return Misfit(diff.path, tuple(wrong), of, why, lacks)


def places(wanted: Sequence[bytes], content: bytes) -> Iterator[int]:
    """The lines, from 1, that these lines in a row stand at in ``content``."""
    text, needle = b"\n%b\n" % content, b"\n%b\n" % b"\n".join(wanted)
    at = text.find(needle)
    while at >= 0:
        yield text.count(b"\n", 0, at) + 1
        at = text.find(needle, at + 1)


def headers(patch: bytes) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """For each file of a patch the lines above its first hunk, and those that its hunks add.

    Files begin where `parse_diff` says.
    """
    lines = patch.split(b"\n")
    files: list[tuple[list[bytes], list[bytes]]] = []
    at, in_head = 0, False
    while at < len(lines):
        if files and _HUNK.match(lines[at]):
            end = _behind(lines, at)
            files[-1][1].extend(line[1:] for line in lines[at + 1 : end] if line[:1] == b"+")
            at, in_head = end, False
            continue
        if _begins(lines, at, in_head=in_head):
            files.append(([], []))
            in_head = True
        if files:
            files[-1][0].append(lines[at])
        at += 1
    return iter(files)


def _lacking(hunks: Sequence[Hunk], there: set[bytes]) -> tuple[str, ...]:
    gone = (line for hunk in hunks for line in hunk.before if line.strip() and line not in there)
    first = dict.fromkeys(gone)
    return tuple(line.decode(errors="replace").strip() for line in list(first)[:SHOWN_LINES])


def _wrong(hunks: Sequence[Hunk], content: bytes, there: set[bytes]) -> list[int]:
    """The numbers of the first hunks that are nowhere in a file."""
    wrong: list[int] = []
    left = _MOST_BYTES
    for number, hunk in enumerate(hunks, 1):
        if len(wrong) == MOST_MISFITS or left <= 0:
            break
        if not there.issuperset(hunk.before):
            wrong.append(number)
        elif hunk.before:
            left -= len(content)
            if not any(True for _ in places(hunk.before, content)):
                wrong.append(number)
    return wrong


def _pieces(patch: bytes) -> Iterator[list[bytes]]:
    lines = patch.split(b"\n")
    starts = [*_file_starts(lines), len(lines)]
    return (lines[start:end] for start, end in pairwise(starts))


def _file_starts(lines: Sequence[bytes]) -> Iterator[int]:
    """Where files begin; what hunks hold may look the same, so hunks are stepped over."""
    at, in_head = 0, False
    while at < len(lines):
        if _HUNK.match(lines[at]):
            at, in_head = _behind(lines, at), False
            continue
        if _begins(lines, at, in_head=in_head):
            yield at
            in_head = True
        at += 1


def _begins(lines: Sequence[bytes], at: int, *, in_head: bool) -> bool:
    """Whether a file begins at a line; ``in_head``: above are lines of one without hunks yet."""
    if lines[at].startswith(_FILE):
        return True
    return not in_head and [line[:4] for line in lines[at : at + 3]] == _BARE


def _behind(lines: Sequence[bytes], at: int) -> int:
    """The index of the first line behind the hunk that starts at ``at``."""
    match = _HUNK.match(lines[at])
    old, new = (int(match[n] or b"1") for n in (2, 4)) if match else (0, 0)
    at += 1
    while (old > 0 or new > 0) and at < len(lines) and lines[at][:1] in (b" ", b"-", b"+", b"\\"):
        old -= lines[at][:1] in (b" ", b"-")
        new -= lines[at][:1] in (b" ", b"+")
        at += 1
    return at


def _file(lines: Sequence[bytes]) -> FileDiff:
    head = list(takewhile(lambda line: not _HUNK.match(line), lines))
    hunks = tuple(_hunks(lines, len(head)))
    if not head[0].startswith(_FILE):
        return _bare(head, hunks)
    new = any(line.startswith(b"new file mode") for line in head)
    found = (_INDEX.match(line) for line in head)
    ids = next(((m[1].decode(), m[2].decode()) for m in found if m), None)
    to = next((line[10:] for line in head if line.startswith(b"rename to ")), b"")
    renamed = unquoted(to.removeprefix(b'"'), quoted=to.startswith(b'"'))
    return FileDiff(_path(head, new=new), new, hunks, ids, renamed)


def _bare(head: Sequence[bytes], hunks: tuple[Hunk, ...]) -> FileDiff:
    """A file whose head is only ``---`` and ``+++``: of two names git takes the shorter one."""
    before, after = (_without_top(line[4:]) for line in head[:2])
    path = min(filter(None, (before, after)), key=len, default="")
    return FileDiff(path, not before, hunks)


def _without_top(name: bytes) -> str:
    """A path of ``---`` or ``+++`` without its first folder; '' for /dev/null."""
    path = unquoted(name.removeprefix(b'"'), quoted=name.startswith(b'"')).rstrip()
    top, _, rest = path.partition("/")
    return "" if path == "/dev/null" else rest if top else path


def _hunks(lines: Sequence[bytes], at: int) -> Iterator[Hunk]:
    while at < len(lines) and (match := _HUNK.match(lines[at])):
        end = _behind(lines, at)
        inside = lines[at + 1 : end]
        yield Hunk(
            start=int(match[1]),
            before=tuple(line[1:] for line in inside if line[:1] in (b" ", b"-")),
            after=tuple(line[1:] for line in inside if line[:1] in (b" ", b"+")),
            added=tuple(line[1:] for line in inside if line[:1] == b"+"),
            after_start=int(match[3]),
            heading=match[5].strip(),
        )
        at = end


def _path(head: Sequence[bytes], *, new: bool) -> str:
    """The path from the lines above the first hunk, which name it in several ways."""
    marks = (b"+++ b/", b'+++ "b/') if new else (b"--- a/", b'--- "a/', b"rename from ")
    for line in head[1:]:
        for mark in marks:
            if line.startswith(mark):
                return unquoted(line[len(mark) :], quoted=b'"' in mark)
    named = head[0][len(_FILE) :]
    half = named[: (len(named) - 1) // 2]  # "a/x b/x": of one name twice
    return unquoted(half.removeprefix(b'"').removeprefix(b"a/"), quoted=half.startswith(b'"'))


def unquoted(name: bytes, *, quoted: bool) -> str:
    """A path without its first quote, as git quotes it in C's way; else as it stands there."""
    name = name.split(b"\t")[0]
    if quoted:
        name = _ESCAPE.sub(_character, name.removesuffix(b'"'))
    return name.decode(errors="surrogateescape")


def _character(match: re.Match[bytes]) -> bytes:
    code = match[1]
    if len(code) == 3:
        return bytes([int(code, 8) & 0xFF])
    return bytes([_ESCAPED.get(code[0], code[0])])
