from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat.plan import Cell, cells, pairs
from khoci.config.matrix import PAIRS

ABC = ("a", "b", "c")


@pytest.mark.parametrize(
    ("which", "wanted"),
    [
        ("self", "aa bb cc"),
        ("adjacent", "ab ba bc cb"),
        ("upgrade", "ab ac bc"),
        ("rollback", "ba ca cb"),
        ("all", "aa ab ac ba bb bc ca cb cc"),
    ],
)
def test_pairs_in_the_order_of_the_table(which: str, wanted: str) -> None:
    assert ["".join(pair) for pair in pairs(ABC, which)] == wanted.split()


@given(st.lists(st.text("xyz", min_size=1), unique=True, max_size=8))
def test_self_upgrade_and_rollback_are_all(names: list[str]) -> None:
    parts = [pair for which in ("self", "upgrade", "rollback") for pair in pairs(names, which)]
    assert sorted(parts) == sorted(pairs(names, "all"))
    assert len(parts) == len(names) ** 2


def test_every_word_of_the_matrix_file_is_known() -> None:
    for which in PAIRS:
        assert isinstance(pairs(ABC, which), list)


def test_cells_go_scenario_by_scenario() -> None:
    found = cells(("a", "b"), "upgrade", ("kho-test", "reserve-mem"))
    assert found == [Cell("a", "b", "kho-test"), Cell("a", "b", "reserve-mem")]


def test_a_cell_has_a_name_for_a_file() -> None:
    assert Cell("v6.17.13", "v7.3.4", "kho-test").name == "v6.17.13..v7.3.4..kho-test"
