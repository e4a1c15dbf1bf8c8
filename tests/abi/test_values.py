from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.abi.lexer import tokens
from khoci.abi.values import Value, Values

CODE = [
    "(",
    ")",
    "1",
    "0",
    "9",
    "+",
    "-",
    "*",
    "/",
    "%",
    "<<",
    ">>",
    "A",
    "B",
    "BIT",
    "sizeof",
    ",",
]


def value(expression: str, **constants: str) -> Value | None:
    known = {name: tokens(text) for name, text in constants.items()}
    return Values({**known, "X": tokens(expression)}).of("X")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("10000", 10000),
        ("0x4b484f424c4f434bULL", 0x4B484F424C4F434B),
        ("010", 8),
        ('"kho-v4"', "kho-v4"),
        ('"kho-" "v4"', "kho-v4"),
        ("(512 * 8)", 4096),
        ("(PAGE_SIZE * 8)", 32768),
        ("1 << 3 + 1", 16),
        ("7 - 2 - 1", 4),
        ("(1 | 2) & ~0x0", None),
        ("-(2 - 5) * 4", 12),
        ("BIT(1)", 2),
        ("ALIGN(sizeof(NAME), 8)", 8),
        ("const_ilog2(PAGE_SIZE / sizeof(phys_addr_t))", 9),
        ("PAGE_SHIFT + const_ilog2(BITS_PER_BYTE)", 15),
        ("DIV_ROUND_UP(64 - PAGE_SHIFT + 1 - 15, 9) + 1", 6),
        ("sizeof(unsigned long)", 8),
        ("OTHER", 63),
        ("(PAGE_SIZE - sizeof(struct kho_vmalloc_hdr)) / sizeof(u64)", None),
        ("1 / 0", None),
        ("5 % 0", None),
        ("1 << 64", None),
        ("BIT(1 << 40)", None),
        ("1 << 63 << 63", None),
        ("X + 1", None),
        ("(1", None),
        ("1 2", None),
        ("", None),
        ("(" * 500 + "1" + ")" * 500, None),
    ],
)  # fmt: skip
def test_values(expression: str, expected: Value | None) -> None:
    assert value(expression, NAME='"luo-v5"', OTHER="(PAGE_SIZE - 64) / 64") == expected


def test_each_constant_is_evaluated_once_however_often_it_is_used() -> None:
    doubled = {f"A{n}": tokens(f"A{n + 1} + A{n + 1}") for n in range(10)}
    assert Values({**doubled, "A10": ("1",)}).of("A0") == 1 << 10


@pytest.mark.parametrize("length", [30, 5000])
def test_a_chain_may_be_long_and_asked_for_from_its_end(length: int) -> None:
    chain = {f"A{n}": (f"A{n - 1}", "+", "1") for n in range(1, length)}
    values = Values({**chain, "A0": ("0",)})
    assert values.of(f"A{length - 1}") == length - 1
    assert values.of(f"A{length // 2}") == length // 2
    assert Values({**chain, "A0": ("0",)}).evaluate((f"A{length - 1}", "*", "2")) == 2 * length - 2


def test_what_refers_to_itself_is_unknown_from_wherever_it_is_asked_for() -> None:
    values = Values({"A": ("B",), "B": ("C", "+", "1"), "C": ("B",), "D": ("1",)})
    assert [values.of(name) for name in "ABCD"] == [None, None, None, 1]


@given(st.lists(st.sampled_from(CODE)))
def test_no_expression_is_too_odd(code: list[str]) -> None:
    found = Values({"A": ("B",), "B": tuple(code)}).of("A")
    assert found is None or isinstance(found, int)
