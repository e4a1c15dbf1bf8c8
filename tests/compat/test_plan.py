from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat.plan import Cell, cells, pairs, pairs_around, steps
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


def test_pairs_around_what_was_changed() -> None:
    """``b`` with two patches, ``c`` being the first: ``d`` is held against ``a`` and ``b``."""
    wanted = pairs(("a", "b", "c", "d"), "all")
    one = "".join(f" {p}{c}" for p, c in pairs_around(wanted, {"d": "b"}, ("a", "b")))
    assert one == " ab ad ba bb bd da db dd"
    steps = "".join(f" {p}{c}" for p, c in pairs_around(wanted, {"c": "b", "d": "c"}, ("a",)))
    assert steps == " ab ac ad ba bb bc ca cb cc cd da dc dd"
    assert pairs_around(pairs("ab", "upgrade"), {"b": "a"}, "a") == [("a", "b")]


def test_what_was_made_of_a_kernel_is_as_old() -> None:
    order, made_of = ("a", "b", "b1", "b2", "c"), {"b1": "b", "b2": "b"}
    found = {name: steps(name, "c", order, made_of) for name in order}
    assert found == {"a": 2, "b": 1, "b1": 1, "b2": 1, "c": 0}
    assert [steps("b1", name, order, made_of) for name in order] == [-1, -1, 0, 1, 1]
    adjacent = ["".join(pair) for pair in pairs(order, "adjacent", made_of)]
    assert {"ab1", "b2a", "b1b2", "b1c", "cb2"} <= {*adjacent}
    assert "ac" not in adjacent


def test_what_was_made_of_a_kernel_that_is_not_there() -> None:
    assert steps("a", "x1", ("a", "x1", "b"), {"x1": "x"}) == 1
    assert steps("x1", "b", ("a", "x1", "b"), {"x1": "x"}) == 1
