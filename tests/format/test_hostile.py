"""Whole handovers with bytes changed: only `DecodeError` ever leaves, and soon."""

from __future__ import annotations

import functools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khoci.format.errors import DecodeError
from khoci.format.handover import Handover, decode, lost, orphans, owners
from khoci.format.locate import candidates
from khoci.format.memory import Pages, Recorder
from tests.format.guests import guest, scratch_array

GUESTS = (("A", None), ("B", None), ("radix", "kho-v3"), ("radix", "kho-v4"))
WORDS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**52, 2**63, 2**64 - 4096, 2**64 - 1]),
    st.integers(0, 1 << 18).map(lambda page: page << 12),
)


@functools.cache
def recorded(kind: tuple[str, str | None]) -> tuple[Pages, int]:
    made = guest(*kind, luo=kind[0] == "B")
    recorder = Recorder(made.memory)
    decode(recorder, made.fdt_addr)
    return recorder.recorded(), made.fdt_addr


@st.composite
def damage(draw: st.DrawFn) -> tuple[Pages, int]:
    """A release's pages with a few words changed; pages also point to one another."""
    pages, fdt_addr = recorded(draw(st.sampled_from(GUESTS)))
    damaged = {address: bytearray(page) for address, page in pages.pages.items()}
    words = st.one_of(WORDS, st.sampled_from(sorted(damaged)))
    for _ in range(draw(st.integers(1, 5))):
        page = damaged[draw(st.sampled_from(sorted(damaged)))]
        used = len(page.rstrip(b"\0")) + 16
        offset = draw(st.integers(0, min(used, 4088)))
        size = draw(st.sampled_from([1, 4, 8]))
        page[offset : offset + size] = draw(words).to_bytes(8, "little")[:size]
    return Pages(pages.ram, {k: bytes(v) for k, v in damaged.items()}), fdt_addr


def kinds(handover: Handover) -> set[str]:
    return {item.kind for item in handover.problems}


@settings(max_examples=400, deadline=None)
@given(damage(), st.binary(max_size=64))
def test_damaged_guests_decode_or_say_where(damaged: tuple[Pages, int], scratch: bytes) -> None:
    memory, fdt_addr = damaged
    began = time.monotonic()
    try:
        handover = decode(memory, fdt_addr, scratch=scratch)
    except DecodeError as error:
        assert error.where.startswith("root")  # noqa: PT017
    else:
        assert len(owners(handover)) == len(handover.map.blocks)
        assert all(problem.where for problem in handover.problems)
        assert (len(orphans(handover)) > 0) == ("orphan" in kinds(handover))
        assert bool(lost(handover)) == ("lost" in kinds(handover)) or handover.family is None
    candidates(memory)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("kind", GUESTS)
def test_ram_that_ends_anywhere(kind: tuple[str, str | None]) -> None:
    memory, fdt_addr = recorded(kind)
    for address in memory.pages:
        short = {key: page for key, page in memory.pages.items() if key < address}
        cut = Pages((type(memory.ram[0])(0, address),), short)
        try:
            candidates(cut)
            decode(cut, fdt_addr, scratch=scratch_array())
        except DecodeError:
            continue
