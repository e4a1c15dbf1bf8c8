"""A guest may say anything: parse_line has one error for all that is no message."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from khoci.guest.protocol import ProtocolError, encode_command, joined, parse_line

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "ok", "event", "kho", "khoci", "error", "more"]), inner
        )
    ),
)


@given(st.text() | VALUES.map(json.dumps))
@example("[]")
@example("[" * 100_000)
@example('{"id":1e999,"ok":true}')
@example('{"id":NaN,"ok":true}')
@example('{"id":' + "9" * 5000 + ',"ok":true}')
def test_only_protocol_errors(line: str) -> None:
    with contextlib.suppress(ProtocolError):
        parse_line(line)


def test_an_argument_with_nul_is_refused() -> None:
    with pytest.raises(ProtocolError, match="NUL"):
        encode_command(1, "load", cmdline="kho=on\0")


def test_arguments_are_sent_as_their_bytes() -> None:
    assert json.loads(encode_command(1, "read", path="é"))["path"] == "\xc3\xa9"


def test_parts_are_joined() -> None:
    first = {"lines": ["a"], "uptime": 1}
    assert joined(first, {"lines": ["b"], "uptime": 2}) == {"lines": ["a", "b"], "uptime": 2}
    assert joined({}, {"bytes": 4}) == {"bytes": 4}
