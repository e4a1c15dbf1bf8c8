from __future__ import annotations

from pathlib import Path

import pytest

from khoci.config.toml import Table, did_you_mean
from khoci.errors import UsageError

TABLE = Table(
    Path("folder/matrix.toml"),
    "table",
    {
        "text": "x",
        "number": 3,
        "flag": True,
        "list": ["a", "b"],
        "mixed": ["a", 1],
        "inner": {"key": 1},
        "inners": [{"key": 1}, {"key": 2}],
    },
)


def test_values_by_type() -> None:
    assert TABLE.string("text") == "x"
    assert TABLE.integer("number") == 3
    assert TABLE.boolean("flag") is True
    assert TABLE.strings("list") == ("a", "b")
    assert TABLE.path("text") == Path("folder/x")
    inner = TABLE.table("inner")
    assert inner is not None
    assert inner.name == "table.inner"
    assert [table.integer("key") for table in TABLE.tables("inners")] == [1, 2]


def test_what_is_not_there() -> None:
    assert TABLE.string("none") is None
    assert TABLE.strings("none") == ()
    assert TABLE.tables("none") == ()
    assert TABLE.table("none") is None
    assert TABLE.named("none") == {}
    with pytest.raises(UsageError, match="key 'none' is missing"):
        TABLE.need("none", TABLE.string("none"))


@pytest.mark.parametrize(
    ("getter", "key", "words"),
    [
        ("string", "number", "a string"),
        ("integer", "text", "a whole number"),
        ("integer", "flag", "a whole number"),
        ("boolean", "number", "true or false"),
        ("strings", "mixed", "a list of strings"),
        ("table", "text", "a table"),
        ("tables", "list", "a list of tables"),
        ("named", "text", "a table"),
    ],
)
def test_a_wrong_type_names_file_table_and_key(getter: str, key: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        getattr(TABLE, getter)(key)
    assert str(caught.value) == f"folder/matrix.toml: [table]: key '{key}' must be {words}"


def test_unknown_keys_are_named() -> None:
    known = ("text", "number", "flag", "list", "mixed", "inner")
    with pytest.raises(UsageError, match=r"unknown key 'inners' \(did you mean 'inner'\?\)"):
        TABLE.only(*known)
    TABLE.only(*known, "inners")


def test_no_suggestion_where_nothing_is_close() -> None:
    assert did_you_mean("zebra", ["text", "number"]) == ""
