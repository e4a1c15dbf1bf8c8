"""``policy.toml``: what must never happen, and what is known to happen all the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from khoci.config.toml import Table, load
from khoci.verdicts import Verdict


@dataclass(frozen=True)
class Known:
    """A break that is known: it is not held against a run, for this reason.

    ``producers``, ``consumers`` and ``scenarios`` name kernels or series, and scenarios. Where
    chance decides, the verdict may be one of ``also`` instead.
    """

    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    scenarios: tuple[str, ...]
    verdict: Verdict
    reason: str
    also: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class Policy:
    """The verdicts that are never allowed, and the known exceptions."""

    never: tuple[Verdict, ...]
    known: tuple[Known, ...]


def load_policy(path: Path) -> Policy:
    """Read a policy file.

    Raises:
        UsageError: the file, a table or a key is wrong; the message says which.
    """
    top = load(path)
    top.only("never", "known")
    never = tuple(_verdict(top, word) for word in top.strings("never"))
    return Policy(never, tuple(_known(table) for table in top.tables("known")))


def _known(table: Table) -> Known:
    table.only("producers", "consumers", "scenarios", "verdict", "also", "reason")
    return Known(
        producers=_list(table, "producers"),
        consumers=_list(table, "consumers"),
        scenarios=_list(table, "scenarios"),
        verdict=_verdict(table, table.need("verdict", table.string("verdict"))),
        reason=table.need("reason", table.string("reason")),
        also=tuple(_verdict(table, word) for word in table.strings("also")),
    )


def _list(table: Table, key: str) -> tuple[str, ...]:
    values = table.strings(key)
    if not values:
        raise table.error(f"key '{key}' is missing or empty")
    return values


def _verdict(table: Table, word: str) -> Verdict:
    try:
        return Verdict(word)
    except ValueError:
        raise table.error(f"'{word}' is no verdict: {', '.join(Verdict)}") from None
