"""Whole handovers with bytes changed: only `DecodeError` ever leaves, and soon."""

from __future__ import annotations

import functools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format.errors import DecodeError
from khoci.format.handoff import find_handoffs
from khoci.format.handover import decode, owners
from khoci.format.memory import Pages, Recorder
from tests.format.guests import guest, scratch_array

FAMILIES = ("A", "B", "radix")
WORDS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**52, 2**63, 2**64 - 4096, 2**64 - 1]),
    st.integers(0, 1 << 18).map(lambda page: page << 12),
)


@functools.cache
def recorded(family: str) -> tuple[Pages, int]:
    made = guest(family)
    recorder = Recorder(made.memory)
    decode(recorder, made.fdt_addr)
    return recorder.recorded(), made.fdt_addr


@st.composite
def damage(draw: st.DrawFn) -> tuple[str, Pages, int]:
    """A family's pages with a few words changed; pages also point to one another."""
    family = draw(st.sampled_from(FAMILIES))
    pages, fdt_addr = recorded(family)
    damaged = {address: bytearray(page) for address, page in pages.pages.items()}
    words = st.one_of(WORDS, st.sampled_from(sorted(damaged)))
    for _ in range(draw(st.integers(1, 5))):
        page = damaged[draw(st.sampled_from(sorted(damaged)))]
        used = len(page.rstrip(b"\0")) + 16
        offset = draw(st.integers(0, min(used, 4088)))
        size = draw(st.sampled_from([1, 4, 8]))
        page[offset : offset + size] = draw(words).to_bytes(8, "little")[:size]
    return family, Pages(pages.ram, {k: bytes(v) for k, v in damaged.items()}), fdt_addr


@settings(max_examples=400, deadline=None)
@given(damage(), st.binary(max_size=64))
def test_damaged_guests_decode_or_say_where(
    damaged: tuple[str, Pages, int], scratch: bytes
) -> None:
    _, memory, fdt_addr = damaged
    began = time.monotonic()
    try:
        handover = decode(memory, fdt_addr, scratch=scratch)
    except DecodeError as error:
        assert error.where.startswith("root")  # noqa: PT017
    else:
        owners(handover)
        assert all(problem.where for problem in handover.problems)
    find_handoffs(memory)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("family", FAMILIES)
def test_ram_that_ends_anywhere(family: str) -> None:
    memory, fdt_addr = recorded(family)
    for address in memory.pages:
        short = {key: page for key, page in memory.pages.items() if key < address}
        cut = Pages((type(memory.ram[0])(0, address),), short)
        try:
            find_handoffs(cut)
            decode(cut, fdt_addr, scratch=scratch_array())
        except DecodeError:
            continue
