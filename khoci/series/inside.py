"""Which patches of a series a commit has already."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from khoci.series.hunks import parse_diff, pieces, places
from khoci.series.patching import diff_of
from khoci.series.plumbing import is_inside, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from khoci.series.hunks import FileDiff, Hunk
    from khoci.series.model import Patch
    from khoci.series.plumbing import Git

NEAR = 300
"""So many lines from where it says may a hunk be found that nothing else tells the place of."""

_WORD = re.compile(rb"\w")
_HEADING = re.compile(rb"[A-Za-z_$]")
_LABEL = re.compile(rb"[A-Za-z_]\w*:\s*(?:$|/[/*])")

Entries = dict[str, tuple[str, str]]
"""Mode and blob id of files in an index, by path."""


def already_in(patches: Sequence[Patch], shop: Git) -> frozenset[int]:
    """The numbers of those patches that HEAD has: they can be taken back, the last one first.

    Each alone could not always be: a later one changes what an earlier one brings.
    """
    index, spare = shop.folder / "index-reversed", shop.folder / "index-spare"
    shutil.copyfile(shop.folder / "index", index)
    other = replace(shop, index=index)
    found = set()
    for patch in reversed(patches):
        shutil.copyfile(index, spare)
        if _taken_back(patch, other):
            found.add(patch.number)
        else:
            shutil.copyfile(spare, index)
    return frozenset(found)


def is_placed(hunk: Hunk, content: bytes) -> bool:
    """Whether a file has what a hunk leaves, in one place only and near where it says.

    A hunk that brings no word has to be at the very line, or below the heading that it names: what
    it leaves are a few lines that may stand anywhere.
    """
    lines = list(places(hunk.after, content)) if hunk.after else []
    if len(lines) != 1 or abs(lines[0] - hunk.after_start) > NEAR:
        return False
    if any(map(_WORD.search, hunk.added)) or lines[0] == hunk.after_start:
        return True
    above = content.split(b"\n")[: lines[0] - 1]
    heading = next(filter(_is_heading, reversed(above)), b"")
    return bool(hunk.heading) and heading.startswith(hunk.heading)


def _is_heading(line: bytes) -> bool:
    return bool(_HEADING.match(line)) and not _LABEL.match(line)


def _taken_back(patch: Patch, other: Git) -> bool:
    """Take a patch out of the index; False (and the index is of no use) if it is not in there."""
    text = diff_of(patch, other)
    files = parse_diff(text)
    paths = [path for file in files for path in (file.path, file.renamed) if path]
    was = _entries(other, paths)
    back = ("apply", "--cached", "--reverse", "--whitespace=nowarn", "-")
    if not files or other.ask(*back, stdin=text).status != 0:
        return False
    now = _entries(other, paths)
    each = zip(files, pieces(text), strict=True)
    return all(_was_there(file, piece, was, now, other) for file, piece in each)


def _was_there(file: FileDiff, piece: bytes, was: Entries, now: Entries, other: Git) -> bool:
    """Whether what git took back of a file is what the patch brings.

    git finds a hunk wherever its lines are. Where the tree has the file that the patch was made on,
    a merge has to come to the same; it knows all of the file.
    """
    after = file.renamed or file.path
    if was.get(file.path) == now.get(file.path):
        return False
    if not file.hunks or file.new or after not in was:
        return True  # git has compared all that there is
    made_on = file.blobs and resolve(other, file.blobs[0], "blob")
    if made_on and file.path in now:
        mode, result = now[file.path]
        made = _made(piece, file.path, after, (mode, made_on), other)
        if made:
            return _merged(was[after][1], made, made_on, other) == result
    content = other.tell("cat-file", "blob", was[after][1])
    return all(is_placed(hunk, content) for hunk in file.hunks)


def _made(piece: bytes, path: str, after: str, entry: tuple[str, str], other: Git) -> str:
    """The id of the blob that a patch makes of the one it was made on; '' if it does not fit."""
    alone = replace(other, index=other.folder / "index-alone")
    alone.tell("read-tree", "--empty")
    alone.tell("update-index", "--add", "--cacheinfo", ",".join((*entry, path)))
    if alone.ask("apply", "--cached", "--whitespace=nowarn", "-", stdin=piece).status != 0:
        return ""
    return _entries(alone, [after]).get(after, ("", ""))[1]


def _merged(ours: str, base: str, theirs: str, other: Git) -> str | None:
    """The id of what a merge of three blobs gives, None if they clash."""
    names = []
    for name, blob in (("ours", ours), ("base", base), ("theirs", theirs)):
        path = other.folder / f"merge-{name}"
        path.write_bytes(other.tell("cat-file", "blob", blob))
        names.append(str(path))
    answer = other.ask("merge-file", "-p", "--quiet", *names)
    if answer.status != 0:
        return None
    return other.line("hash-object", "--stdin", "--no-filters", stdin=answer.out)


def _entries(where: Git, paths: Sequence[str]) -> Entries:
    inside = [path for path in paths if is_inside(path)]
    return dict(_listed(where.tell("ls-files", "--stage", "-z", "--", *inside))) if inside else {}


def _listed(output: bytes) -> Iterator[tuple[str, tuple[str, str]]]:
    for entry in filter(None, output.split(b"\0")):
        head, _, name = entry.partition(b"\t")
        mode, blob, _stage = head.decode().split()
        yield name.decode(errors="surrogateescape"), (mode, blob)
