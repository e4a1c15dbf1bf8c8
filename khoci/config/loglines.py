"""``matrix/loglines.toml``: which lines of a kernel's log tell what, in which releases."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from khoci.config.kernels import release_number
from khoci.config.toml import Table, did_you_mean, load
from khoci.paths import data_dir

SIDES = ("consumer", "producer", "either")
MEANINGS = (
    "found",
    "restored",
    "refused",
    "failed",
    "off",
    "panic",
    "cause",
    "splat",
    "asked",
    "ready",
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of line.

    Attributes:
        name: its own.
        side: in whose log it counts: ``consumer``, ``producer`` or ``either``.
        component: whose line it is; empty if it tells of the whole kernel.
        meaning: one of `MEANINGS`.
        regex: searched in each line; its group ``name``, if it has one, says which one of the
            component is meant.
        example: a line that matches.
        source: the kernel's file and function that print it.
        since: the first release that prints it, as of `release_number`; empty for all.
        before: the first release that does not print it any more; empty for none.
        rare: why no handover between released kernels need show it; empty if one has to.
    """

    name: str
    side: str
    component: str
    meaning: str
    regex: re.Pattern[str]
    example: str
    source: str
    since: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    rare: str = ""

    def printed_by(self, release: str) -> bool:
        """Whether ``6.18`` or ``v6.18.15`` has it; a name that is no release has not."""
        number = release_number(release)
        return bool(number) and self.since <= number and not (self.before and number >= self.before)


Patterns = tuple[Pattern, ...]


def default_file() -> Path:
    """The user's ``matrix/loglines.toml`` below the current folder, else the one shipped."""
    own = Path("matrix/loglines.toml")
    return own if own.is_file() else data_dir("matrix") / "loglines.toml"


def load_patterns(path: Path) -> Patterns:
    """Read all patterns of a file.

    Raises:
        UsageError: the file, a table or a key is wrong; the message says which.
    """
    top = load(path)
    top.only("pattern")
    found = tuple(_pattern(table) for table in top.tables("pattern"))
    if not found:
        raise top.error("no [[pattern]] is there")
    names = [pattern.name for pattern in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise top.error(f"two patterns are called '{twice}'")
    return found


def _pattern(table: Table) -> Pattern:
    table.only(
        *("name", "side", "component", "meaning", "regex", "example", "source"),
        *("since", "before", "rare"),
    )
    regex, example = _regex(table), _string(table, "example")
    if not regex.search(example):
        raise table.error(f"key 'regex' does not match the example '{example}'")
    return Pattern(
        name=_string(table, "name"),
        side=_word(table, "side", table.string("side") or "consumer", SIDES),
        component=table.string("component") or "",
        meaning=_word(table, "meaning", _string(table, "meaning"), MEANINGS),
        regex=regex,
        example=example,
        source=_string(table, "source"),
        since=_release(table, "since"),
        before=_release(table, "before"),
        rare=table.string("rare") or "",
    )


def _regex(table: Table) -> re.Pattern[str]:
    text = _string(table, "regex")
    try:
        return re.compile(text)
    except re.error as error:
        raise table.error(f"key 'regex' is no regular expression: {error}") from None


def _release(table: Table, key: str) -> tuple[int, ...]:
    text = table.string(key)
    number = release_number(text) if text else ()
    if text and not number:
        raise table.error(f"key '{key}' is a release such as '6.18', not '{text}'")
    return number


def _string(table: Table, key: str) -> str:
    return table.need(key, table.string(key))


def _word(table: Table, key: str, word: str, known: tuple[str, ...]) -> str:
    if word not in known:
        near = did_you_mean(word, known)
        raise table.error(f"key '{key}' is '{word}'{near}: it is one of {', '.join(known)}")
    return word
