"""What no patch may do to a tree, told before anything is done with it. Pure.

git refuses much of this itself when it applies a patch; here it is refused with a reason, and
binaries, submodules and links out of the tree besides. What a mail does not tell is seen when it is
applied (`khoci.series.made`).
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from itertools import dropwhile
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.series.hunks import headers, shown, unquoted
from khoci.series.mails import body, is_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_BYTES = 4 << 20
MOST_FILES = 2000
_LONGEST_PATH, _LONGEST_NAME = 1024, 255

_NAMES = re.compile(rb"(?:--- |\+\+\+ |(?:rename|copy) (?:from|to) )(.*)", re.DOTALL)
_MODE = re.compile(rb"(?:new file mode|new mode|old mode|deleted file mode) (\d+)|index \S+ (\d+)")
_BINARY = re.compile(rb"GIT binary patch|Binary files .* differ")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_GIT = re.compile(r"\.git[ .]*(?::.*)?|git~\d+[ .]*", re.IGNORECASE)

LINK, SUBMODULE = "120000", "160000"
"""What git writes for the mode of what is no file."""
BINARY = "it changes a binary file, and nobody can read what that does"


def refuse(number: int, msgid: str, mail: bytes) -> None:
    """Raise if the patch in a mail would do what it may not.

    Raises:
        UsageError: with the patch and the reason.
    """
    found = reason(mail)
    if found:
        raise UsageError(f"patch {number} ({shown(msgid)}) is refused: {found}")


def reason(mail: bytes) -> str | None:
    """Why a mail with a patch is refused, None if nothing speaks against it."""
    if len(mail) > MOST_BYTES:
        return f"it has more than {MOST_BYTES >> 20} MiB"
    if not is_one_line(mail, "From"):
        return "what it says of its author has control characters in it"
    text = body(mail)
    return reason_in(text) or _of_text(text)


def _of_text(text: bytes) -> str | None:
    """As b4 has it: a line with invisible characters, and none of a language that needs them."""
    for line in text.decode(errors="replace").split("\n"):
        categories = {} if line.isascii() else {unicodedata.category(c): c for c in line}
        if "Cf" in categories and "Lo" not in categories:
            return f"it has characters that nobody can see (U+{ord(categories['Cf']):04X})"
    return None


def reason_in(diff: bytes) -> str | None:
    """The same of a diff, with or without text above it."""
    found = list(headers(diff))
    if len(found) > MOST_FILES:
        return f"it changes more than {MOST_FILES} files"
    if _BIDI.search(diff.decode(errors="replace")):
        return (
            "it has characters that turn the direction of text: what it does is not what it shows"
        )
    return next((why for head, added in found for why in _of_file(head, added)), None)


def _of_file(head: Sequence[bytes], added: Sequence[bytes]) -> Iterator[str]:
    """What speaks against the change of one file.

    Args:
        head: the lines above its first hunk.
        added: the lines that its hunks add.
    """
    for line in head:
        if _BINARY.match(line):
            yield BINARY
    yield from _of_names(head)
    found = filter(None, map(_MODE.match, head))
    modes = {mode.decode() for match in found for mode in match.groups() if mode}
    if SUBMODULE in modes:
        yield "it adds a submodule"
    if LINK in modes:
        path = next(iter(_paths(head)), "")
        targets = (line.decode(errors="replace") for line in added)
        yield from filter(None, (link_reason(path, target) for target in targets))


def _of_names(head: Sequence[bytes]) -> Iterator[str]:
    if head and head[0].startswith(b"diff --git "):
        words = re.split(r"[ /\"]+", head[0].decode(errors="surrogateescape")[11:])
        yield from (f"it names '{shown(w)}' in a path" for w in words if w == ".." or _is_git(w))
    for path in _paths(head):
        why = _of_path(path)
        if why:
            yield f"the path '{shown(path)}' {why}"


def _paths(head: Sequence[bytes]) -> Iterator[str]:
    """The paths of a file, as git takes them: without the first folder of ``---`` and ``+++``."""
    for line in head:
        found = _NAMES.fullmatch(line)
        if found is None:
            continue
        name = found[1]
        quoted = name.startswith(b'"')
        path = unquoted(name[1:] if quoted else name, quoted=quoted)
        if path == "/dev/null":
            continue
        if line.startswith((b"---", b"+++")):
            first, _, rest = path.partition("/")
            path = rest if first else path
        yield path


def _of_path(path: str) -> str | None:
    """Why a path is refused, in words that follow it."""
    names = path.split("/")
    rules = {
        "is outside of the tree": path.startswith("/"),
        "leads out of the tree": ".." in names,
        "is none that git would write": "" in names or "." in names,
        "is inside of git's own folder": any(map(_is_git, names)),
        "has characters that nobody can see, or a backslash": any(map(_is_odd, path)),
        "is too long": len(path) > _LONGEST_PATH or any(len(n) > _LONGEST_NAME for n in names),
    }
    return next((why for why, holds in rules.items() if holds), None)


def _is_odd(character: str) -> bool:
    return character == "\\" or unicodedata.category(character) in ("Cc", "Cf")


def _is_git(name: str) -> bool:
    """Whether a file system may take the name for ``.git``."""
    visible = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return _GIT.fullmatch(unicodedata.normalize("NFKC", visible)) is not None


def link_reason(path: str, target: str) -> str | None:
    """Why a link may not lead there, None if it may.

    A ``..`` behind a name may lead anywhere: the name can be a link.
    """
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    names = [name for name in target.split("/") if name not in ("", ".")]
    if target.startswith("/") or joined == ".." or joined.startswith("../"):
        return f"the link '{shown(path)}' leads out of the tree, to '{shown(target)}'"
    if ".." in dropwhile(lambda name: name == "..", names):
        return f"the link '{shown(path)}' leads down and up again, to '{shown(target)}'"
    if any(map(_is_git, names)):
        return f"the link '{shown(path)}' leads into git's own folder"
    return None
