from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.format.versions import Version, parse


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("kho-v1", Version("kho", 1)),
        ("reserve-mem-v1", Version("reserve-mem", 1)),
        ("luo-session-v2", Version("luo-session", 2)),
        ("liveupdate-test-flb-v0", Version("liveupdate-test-flb", 0)),
        ("kho", Version("kho", None)),
        ("", Version("", None)),
        ("kho-v", Version("kho-v", None)),
        ("-v1", Version("-v1", None)),
        ("kho-v01", Version("kho-v01", None)),
        ("kho-v\N{ARABIC-INDIC DIGIT ONE}", Version("kho-v\N{ARABIC-INDIC DIGIT ONE}", None)),
        ("kho-v4\n", Version("kho-v4\n", None)),
        ("kho-v" + "9" * 5000, Version("kho-v" + "9" * 5000, None)),
    ],
)
def test_parse(text: str, version: Version) -> None:
    assert parse(text) == version


@given(st.text())
def test_every_string_is_a_value_and_comes_back(text: str) -> None:
    assert str(parse(text)) == text


@given(st.text(min_size=1), st.integers(0, 10**9 - 1))
def test_numbers_come_back(name: str, number: int) -> None:
    assert parse(f"{name}-v{number}") == Version(name, number)
