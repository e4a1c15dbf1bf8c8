"""Kconfig fragments: what is asked of a configuration, and in which releases."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.config.toml import load
from khoci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Config = dict[str, str]
"""Symbols without ``CONFIG_`` to values as ``.config`` has them; one that is off has ``n``."""

_SET = re.compile(r"CONFIG_(\w+)=(.+)")
_UNSET = re.compile(r"# CONFIG_(\w+) is not set")


@dataclass(frozen=True, slots=True)
class Span:
    """The releases, as (major, minor), in which a symbol may be asked for."""

    since: tuple[int, int] = (0, 0)
    before: tuple[int, int] = (9999, 0)

    def holds(self, release: tuple[int, int]) -> bool:
        """Whether ``release`` is one of them."""
        return self.since <= release < self.before


def parse_config(text: str) -> Config:
    """Read a ``.config``; lines that are neither are comments."""
    config = {}
    for line in text.splitlines():
        if match := _SET.fullmatch(line.strip()):
            config[match[1]] = match[2]
        elif match := _UNSET.fullmatch(line.strip()):
            config[match[1]] = "n"
    return config


def load_fragments(paths: Iterable[Path]) -> Config:
    """Read fragments; where two name one symbol, the later one counts.

    Raises:
        UsageError: a fragment cannot be read, or has a line that is no request and no comment.
    """
    asked: Config = {}
    for path in paths:
        asked |= _fragment(path)
    return asked


def render(config: Config) -> str:
    """The text of a fragment that asks for ``config``."""
    lines = (
        f"# CONFIG_{symbol} is not set" if value == "n" else f"CONFIG_{symbol}={value}"
        for symbol, value in config.items()
    )
    return "".join(f"{line}\n" for line in lines)


def load_exceptions(path: Path | None) -> dict[str, Span]:
    """Read ``exceptions.toml``: tables ``[symbol.NAME]`` with ``since``, ``before`` and ``why``.

    Raises:
        UsageError: the file is wrong.
    """
    if path is None:
        return {}
    top = load(path)
    top.only("symbol")
    spans = {}
    for symbol, table in top.named("symbol").items():
        table.only("since", "before", "why")
        since, before = table.string("since"), table.string("before")
        try:
            spans[symbol] = Span(_release(since or "0.0"), _release(before or "9999.0"))
        except ValueError as error:
            raise table.error("'since' and 'before' must be a release like \"6.17\"") from error
    return spans


def applicable(asked: Config, spans: Mapping[str, Span], release: tuple[int, int]) -> Config:
    """What is asked of a kernel of ``release`` (major, minor)."""
    return {
        symbol: value
        for symbol, value in asked.items()
        if symbol not in spans or spans[symbol].holds(release)
    }


def lost(asked: Config, config: Config) -> Config:
    """The part of ``asked`` that ``config`` does not have."""
    return {symbol: value for symbol, value in asked.items() if config.get(symbol, "n") != value}


def _fragment(path: Path) -> Config:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#") and not _SET.fullmatch(text):
            raise UsageError(f"{path}:{number}: '{text}' is not CONFIG_NAME=value")
    return parse_config("\n".join(lines))


def _release(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
