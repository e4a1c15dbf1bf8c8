"""A small typed reader for TOML files whose errors name file, table and key."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from khoci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a TOML file.

    The getters return None for a key that is not there (``strings`` and ``tables`` an empty
    tuple); ``need`` turns that into an error. A value of the wrong type is always an error.
    """

    file: Path
    name: str
    values: Mapping[str, object]

    def error(self, message: str) -> UsageError:
        """An error that says where in the file it is."""
        where = f"{self.file}: [{self.name}]" if self.name else f"{self.file}"
        return UsageError(f"{where}: {message}")

    def only(self, *known: str) -> None:
        """Raise UsageError for the first key that is not one of ``known``."""
        for key in self.values:
            if key not in known:
                raise self.error(f"unknown key '{key}'{did_you_mean(key, known)}")

    def need(self, key: str, value: T | None) -> T:
        """The value got for ``key``; raise UsageError where the table does not have it."""
        if value is None:
            raise self.error(f"key '{key}' is missing")
        return value

    def string(self, key: str) -> str | None:
        """The text at ``key``."""
        return self._typed(key, str, "a string")

    def integer(self, key: str) -> int | None:
        """The whole number at ``key``."""
        if isinstance(self.values.get(key), bool):
            raise self.error(f"key '{key}' must be a whole number")
        return self._typed(key, int, "a whole number")

    def boolean(self, key: str) -> bool | None:
        """True or false at ``key``."""
        return self._typed(key, bool, "true or false")

    def path(self, key: str) -> Path | None:
        """The path at ``key``; a relative one starts in the folder of the file."""
        text = self.string(key)
        return None if text is None else self.file.parent / Path(text).expanduser()

    def strings(self, key: str) -> tuple[str, ...]:
        """The list of texts at ``key``."""
        values = self._typed(key, list, "a list of strings") or []
        if not all(isinstance(value, str) for value in values):
            raise self.error(f"key '{key}' must be a list of strings")
        return tuple(values)

    def table(self, key: str) -> Table | None:
        """The sub-table at ``key``."""
        values = self._typed(key, dict, "a table")
        return None if values is None else Table(self.file, self._below(key), values)

    def tables(self, key: str) -> tuple[Table, ...]:
        """The list of tables at ``key`` (``[[key]]`` or ``key = [{...}, {...}]``)."""
        values = self._typed(key, list, "a list of tables") or []
        if not all(isinstance(value, dict) for value in values):
            raise self.error(f"key '{key}' must be a list of tables")
        name = self._below(key)
        return tuple(
            Table(self.file, f"{name} #{number}", value) for number, value in enumerate(values, 1)
        )

    def named(self, key: str) -> dict[str, Table]:
        """The tables below ``key`` by their names (``[key."name"]``)."""
        parent = self.table(key)
        if parent is None:
            return {}
        return {name: parent.need(name, parent.table(name)) for name in parent.values}

    def _typed(self, key: str, kind: type[T], words: str) -> T | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, kind):
            raise self.error(f"key '{key}' must be {words}")
        return value

    def _below(self, key: str) -> str:
        shown = key if key.replace("-", "").replace("_", "").isalnum() else f'"{key}"'
        return f"{self.name}.{shown}" if self.name else shown


def load(path: Path) -> Table:
    """Read a TOML file.

    Raises:
        UsageError: the file cannot be read or is no TOML.
    """
    try:
        return Table(path, "", tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is not valid TOML: {error}") from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` where ``known`` has something close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
