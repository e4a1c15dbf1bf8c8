from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.errors import HarnessError
from khoci.vm.gdb import (
    encode_packet,
    insert_breakpoint,
    is_stop,
    remove_breakpoint,
    split_packets,
)

PAYLOADS = st.text(st.characters(codec="ascii", exclude_characters="$#"))
NOISE = st.sampled_from([b"", b"+", b"++"])


def test_packets_as_the_stub_expects_them() -> None:
    assert encode_packet("c") == b"$c#63"
    assert encode_packet("") == b"$#00"
    assert encode_packet("vMustReplyEmpty") == b"$vMustReplyEmpty#3a"
    assert insert_breakpoint(0xFFFFFFFF81061EA0) == "Z1,ffffffff81061ea0,1"
    assert remove_breakpoint(0x1000) == "z1,1000,1"


@given(st.lists(st.tuples(NOISE, PAYLOADS)), NOISE, st.data())
def test_any_cut_gives_the_same_packets(
    packets: list[tuple[bytes, str]], end: bytes, data: st.DataObject
) -> None:
    stream = b"".join(noise + encode_packet(payload) for noise, payload in packets) + end
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    found: list[str] = []
    rest = b""
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        taken = split_packets(rest + stream[start:stop])
        found += taken.payloads
        rest = taken.rest
    assert found == [payload for _, payload in packets]
    assert rest == b""


@given(PAYLOADS, st.integers(0, 2))
def test_a_packet_that_is_not_whole_is_kept(payload: str, missing: int) -> None:
    part = encode_packet(payload)[: -1 - missing]
    assert split_packets(b"+" + part).rest == part
    assert split_packets(b"+" + part).payloads == ()


@given(PAYLOADS.filter(bool), st.integers(1, 255))
def test_a_wrong_checksum_is_an_error(payload: str, off: int) -> None:
    wrong = (sum(payload.encode()) + off) & 0xFF
    with pytest.raises(HarnessError, match="wrong checksum"):
        split_packets(f"${payload}#{wrong:02x}".encode())


def test_checksums_in_capitals() -> None:
    assert split_packets(b"$j#6A").payloads == ("j",)


@given(st.binary())
def test_any_bytes_give_packets_or_one_error(data: bytes) -> None:
    try:
        taken = split_packets(data)
    except HarnessError:
        return
    assert data.endswith(taken.rest)


@pytest.mark.parametrize(
    ("payload", "stop"),
    [
        ("T05thread:01;", True),
        ("S05", True),
        ("T02thread:01;", False),
        ("OK", False),
        ("", False),
        ("W00", False),
    ],
)
def test_stops(payload: str, stop: bool) -> None:
    assert is_stop(payload) is stop
