"""``policy.toml``: what must hold, what must never happen, and what is known to happen anyway.

never = ["panic", "splat"]

[[rule]]
when = "upgrade N-1 -> N and version string equal"
scenarios = ["memfd"]
expect = ["restored"]
why = "a host is updated one release at a time"

[[known]]
producers = ["6.17"]
consumers = ["6.18"]
scenarios = ["memfd"]
verdict = "panic"
reason = "the bitmaps grew"
link = "docs/findings.md#kho-v1-names-two-bitmap-layouts"
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from khoci.config.toml import Table, did_you_mean, load
from khoci.verdicts import Verdict

SPLAT = "splat"
"""A warning or a bug in either log; stands beside the verdicts."""

_VERDICTS = tuple(verdict for verdict in Verdict if verdict is not Verdict.ERROR)
_BREAKS = (*(verdict for verdict in _VERDICTS if verdict is not Verdict.ABSENT), SPLAT)
_STEPS = re.compile(r"(upgrade) N-(\d+) -> N|(rollback) N -> N-(\d+)")
KINDS = ("any", "self", "upgrade", "rollback", "version string differs", "version string equal")
_WHENS = (*KINDS, "upgrade N-1 -> N", "rollback N -> N-1")


@dataclass(frozen=True)
class Condition:
    """One part of a rule's ``when``.

    Attributes:
        kind: one of `KINDS`.
        steps: how many kernels of the run apart, for an upgrade or rollback; 0 for any number.
    """

    kind: str
    steps: int = 0


@dataclass(frozen=True)
class Rule:
    """What must hold for some cells.

    Attributes:
        when: the conditions, all of which have to be met, as they are written.
        conditions: the same.
        scenarios: whose cells; empty for all that no other rule names.
        expect: the verdicts that are right, and ``splat`` where one is; a cell that is absent is
            right too.
        why: the reason, for people.
        strict: an absent cell is not right, unless ``expect`` has it.
    """

    when: str
    conditions: tuple[Condition, ...]
    scenarios: tuple[str, ...]
    expect: tuple[str, ...]
    why: str
    strict: bool = False


@dataclass(frozen=True)
class Known:
    """A break that is known: it is not held against a run, for this reason.

    Attributes:
        producers: names or series of kernels.
        consumers: the same.
        scenarios: without parameters for all that have any.
        verdict: what happens, a verdict or ``splat``.
        reason: why, in one sentence.
        link: where there is more about it: an address, or a heading of a file in docs/.
        also: what happens instead where chance decides.
        components: those it happens to; empty for the whole cell.
    """

    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    scenarios: tuple[str, ...]
    verdict: str
    reason: str
    link: str
    also: tuple[str, ...] = ()
    components: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """All that may happen."""
        return (self.verdict, *self.also)


@dataclass(frozen=True)
class Policy:
    """What is never allowed, what must hold, and the known exceptions, tried in their order."""

    never: tuple[str, ...] = ()
    known: tuple[Known, ...] = ()
    rules: tuple[Rule, ...] = ()


def load_policy(path: Path, scenarios: Collection[str] = ()) -> Policy:
    """Read a policy file.

    Args:
        path: of the file.
        scenarios: all there are, without parameters; if given, another name is an error.

    Raises:
        UsageError: the file, a table or a key is wrong; the message says which.
    """
    top = load(path)
    top.only("never", "rule", "known")
    return Policy(
        never=_words(top, "never", _BREAKS),
        known=tuple(_known(table, scenarios) for table in top.tables("known")),
        rules=tuple(_rule(table, scenarios) for table in top.tables("rule")),
    )


def covers(named: str, scenario: str) -> bool:
    """Whether a scenario's name in a policy means ``scenario``: ``memfd`` is ``memfd:size=4M``."""
    return scenario == named or scenario.startswith(f"{named}:")


def _rule(table: Table, scenarios: Collection[str]) -> Rule:
    table.only("when", "scenarios", "expect", "why", "strict")
    when = _text(table, "when")
    return Rule(
        when=when,
        conditions=tuple(_condition(table, part.strip()) for part in when.split(" and ")),
        scenarios=_scenarios(table, scenarios),
        expect=_filled(table, "expect", _words(table, "expect", (*_VERDICTS, SPLAT))),
        why=_text(table, "why"),
        strict=table.boolean("strict") or False,
    )


def _condition(table: Table, text: str) -> Condition:
    steps = _STEPS.fullmatch(text)
    if steps:
        kind, number = (group for group in steps.groups() if group)
        if int(number):
            return Condition(kind, int(number))
    if text not in KINDS:
        near = did_you_mean(text, _WHENS)
        raise table.error(f"key 'when': '{text}' is none of {', '.join(_WHENS)}{near}")
    return Condition(text)


def _known(table: Table, scenarios: Collection[str]) -> Known:
    table.only(
        *("producers", "consumers", "scenarios", "components"),
        *("verdict", "also", "reason", "link"),
    )
    return Known(
        producers=_filled(table, "producers", table.strings("producers")),
        consumers=_filled(table, "consumers", table.strings("consumers")),
        scenarios=_filled(table, "scenarios", _scenarios(table, scenarios)),
        verdict=_word(table, "verdict", _text(table, "verdict"), _BREAKS),
        reason=_text(table, "reason"),
        link=_link(table),
        also=_words(table, "also", _BREAKS),
        components=table.strings("components"),
    )


def _link(table: Table) -> str:
    link = _text(table, "link")
    if not re.match(r"https?://\S+$|\S+\.md(#\S+)?$", link):
        raise table.error(f"key 'link': '{link}' is no address, and no heading like docs/x.md#y")
    return link


def _scenarios(table: Table, known: Collection[str]) -> tuple[str, ...]:
    names = table.strings("scenarios")
    for name in names:
        if known and name.partition(":")[0] not in known:
            near = did_you_mean(name, known)
            raise table.error(f"key 'scenarios': there is no scenario '{name}'{near}")
    return names


def _words(table: Table, key: str, allowed: Collection[str]) -> tuple[str, ...]:
    return tuple(_word(table, key, word, allowed) for word in table.strings(key))


def _word(table: Table, key: str, word: str, allowed: Collection[str]) -> str:
    if word not in allowed:
        near = did_you_mean(word, allowed)
        raise table.error(f"key '{key}': '{word}' is none of {', '.join(allowed)}{near}")
    return word


def _filled(table: Table, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise table.error(f"key '{key}' is missing or empty")
    return values


def _text(table: Table, key: str) -> str:
    text = table.need(key, table.string(key))
    if not text.strip():
        raise table.error(f"key '{key}' is empty")
    return text
