from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.errors import UsageError
from khoci.kernel.fragments import (
    Span,
    applicable,
    load_exceptions,
    load_fragments,
    lost,
    parse_config,
    render,
)
from khoci.paths import data_dir

if TYPE_CHECKING:
    from pathlib import Path

KCONFIG = data_dir("matrix") / "kconfig"
SYMBOLS = st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True)
VALUES = st.sampled_from(["y", "n", "m", "12", "0x10", '"text with = and #"'])


@given(st.dictionaries(SYMBOLS, VALUES))
def test_what_is_rendered_is_read_back(config: dict[str, str]) -> None:
    assert parse_config(render(config)) == config


@given(st.dictionaries(SYMBOLS, VALUES), st.dictionaries(SYMBOLS, VALUES))
def test_nothing_lost_is_lost(asked: dict[str, str], more: dict[str, str]) -> None:
    assert lost(asked, more | asked) == {}
    assert lost(asked, {}) == {symbol: value for symbol, value in asked.items() if value != "n"}


def test_later_fragments_win(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("# words\nCONFIG_A=y\nCONFIG_B=y\n")
    (tmp_path / "b").write_text("# CONFIG_A is not set\n")
    assert load_fragments([tmp_path / "a", tmp_path / "b"]) == {"A": "n", "B": "y"}


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("CONFIG_A=y\n\nA=y\n")
    with pytest.raises(UsageError, match=r"a:3: 'A=y' is not CONFIG_NAME=value"):
        load_fragments([tmp_path / "a"])
    with pytest.raises(UsageError, match="none: cannot be read"):
        load_fragments([tmp_path / "none"])


def test_spans() -> None:
    spans = {"NEW": Span(since=(6, 17)), "OLD": Span(before=(7, 2))}
    asked = {"NEW": "y", "OLD": "n", "ANY": "y"}
    assert set(applicable(asked, spans, (6, 16))) == {"OLD", "ANY"}
    assert set(applicable(asked, spans, (6, 17))) == {"NEW", "OLD", "ANY"}
    assert set(applicable(asked, spans, (7, 2))) == {"NEW", "ANY"}


@pytest.mark.parametrize(
    ("release", "without"),
    [
        ((6, 16), {"TEST_KEXEC_HANDOVER", "LIVEUPDATE", "LIVEUPDATE_MEMFD"}),
        ((6, 18), {"LIVEUPDATE", "LIVEUPDATE_MEMFD", "KEXEC_HANDOVER_DEBUGFS"}),
        ((6, 19), {"LIVEUPDATE_MEMFD"}),
        ((7, 1), set()),
        ((7, 2), {"DEFERRED_STRUCT_PAGE_INIT"}),
    ],
)
def test_the_shipped_fragments_follow_the_releases(
    release: tuple[int, int], without: set[str]
) -> None:
    asked = load_fragments([KCONFIG / "base.config", KCONFIG / "kho.config"])
    left = applicable(asked, load_exceptions(KCONFIG / "exceptions.toml"), release)
    assert without <= asked.keys()
    assert not without & left.keys()
    assert left["KEXEC_HANDOVER"] == "y"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[symbol.A]\nsinc = "6.1"', r"\[symbol\.A\]: unknown key 'sinc' \(did you mean 'since'"),
        ('[symbol.A]\nsince = "six"', r"\[symbol\.A\]: 'since' and 'before' must be a release"),
        ("[symbols]", "unknown key 'symbols'"),
    ],
)
def test_errors_of_the_exceptions(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "exceptions.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_exceptions(tmp_path / "exceptions.toml")


def test_no_exceptions() -> None:
    assert load_exceptions(None) == {}
