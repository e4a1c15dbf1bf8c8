from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from khoci.sizes import parse_size, size_text


@given(
    st.integers(0, 1 << 40),
    st.sampled_from([("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)]),
)
def test_sizes(number: int, unit: tuple[str, int]) -> None:
    assert parse_size(f"{number}{unit[0]}") == number * unit[1]


@given(st.text())
def test_no_text_breaks_the_size(text: str) -> None:
    size = parse_size(text)
    assert size is None or size >= 0


@given(st.integers(0, 1 << 50))
def test_the_text_of_a_size_is_that_size(size: int) -> None:
    assert parse_size(size_text(size)) == size


def test_the_largest_unit_is_taken() -> None:
    assert [size_text(size) for size in (0, 4097, 4096, 8 << 20, 3 << 30)] == [
        "0",
        "4097",
        "4K",
        "8M",
        "3G",
    ]
