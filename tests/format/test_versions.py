from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.format.versions import Version, bare, parse, unknown


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


NAMES = st.text(min_size=1).filter(lambda name: ";" not in name)
NUMBERS = st.integers(0, 10**9 - 1)


@given(NAMES, NUMBERS)
def test_numbers_come_back(name: str, number: int) -> None:
    assert parse(f"{name}-v{number}") == Version(name, number)


@given(st.lists(st.builds(Version, NAMES, NUMBERS), min_size=1, max_size=5))
def test_composite_versions_come_back(parts: list[Version]) -> None:
    version = parse(";".join(map(str, parts)))
    assert version.parts == tuple(parts)
    assert version == Version(parts[0].name, parts[0].number, tuple(parts[1:]))


def test_a_composite_version_is_not_its_first_part() -> None:
    assert parse("kho-v4;block-v1") != parse("kho-v4")
    assert parse("kho-v4;block-v1") == Version("kho", 4, (Version("block", 1),))


def test_a_bare_number() -> None:
    assert (str(bare(1)), bare(1).parts) == ("1", (bare(1),))
    assert bare(1) != parse("1")


KNOWN = frozenset({Version("kho", 1), Version("kho", 3), Version("kho", 4), bare(1)})


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (parse("kho-v5"), "kho-v5 is unknown, next to v4"),
        (parse("kho-v99"), "kho-v99 is unknown, next to v4"),
        (parse("kho-v2"), "kho-v2 is unknown, next to v1"),
        (parse("kho-v0"), "kho-v0 is unknown, next to v1"),
        (parse("luo-v1"), "luo-v1 is unknown"),
        (parse("kho"), "kho is unknown"),
        (bare(7), "7 is unknown, next to v1"),
        (parse("a;kho-v6"), "a;kho-v6 is unknown: a is unknown, kho-v6 is unknown, next to v4"),
        (
            parse("kho-v4;a-v1"),
            "kho-v4;a-v1 is unknown: kho-v4 is known, a-v1 is unknown",
        ),
    ],
)
def test_what_is_unknown(version: Version, text: str) -> None:
    assert unknown(version, KNOWN) == text
