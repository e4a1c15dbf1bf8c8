from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.guest.protocol import (
    MAX_LINE,
    VERSION,
    Answer,
    Event,
    Hello,
    ProtocolError,
    encode_command,
    parse_line,
)

HELLO = {
    "khoci": VERSION,
    "event": "hello",
    "release": "7.3.4",
    "cmdline": "kho=on",
    "setup_data": [9, 10],
    "kho": {"enabled": True, "finalize": False, "in": ["fdt"]},
    "mem_total": 400000,
    "missing": ["debugfs: ENODEV"],
    "uptime": 12,
}


def test_hello() -> None:
    hello = parse_line(json.dumps(HELLO))
    assert isinstance(hello, Hello)
    assert (hello.release, hello.cmdline, hello.uptime) == ("7.3.4", "kho=on", 12)
    assert hello.setup_data == (9, 10)
    assert (hello.kho, hello.finalize, hello.incoming) == (True, False, ("fdt",))


def test_answers_and_events() -> None:
    answer = parse_line('{"id":3,"ok":true,"bytes":4096}')
    assert isinstance(answer, Answer)
    assert (answer.id, answer.ok, answer.fields["bytes"]) == (3, True, 4096)
    refusal = parse_line('{"id":3,"ok":false,"error":"load: EPERM","errno":1}')
    assert isinstance(refusal, Answer)
    assert (refusal.ok, refusal.error, refusal.errno) == (False, "load: EPERM", 1)
    event = parse_line('{"event":"jump-failed","errno":16}')
    assert event == Event("jump-failed", {"errno": 16})


def test_another_version_says_so_in_one_line() -> None:
    with pytest.raises(ProtocolError, match=rf"version 2, khoci {VERSION}") as caught:
        parse_line(json.dumps(HELLO | {"khoci": 2}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["release", "cmdline", "setup_data", "kho", "uptime"])
def test_hello_without_a_field_is_refused(missing: str) -> None:
    with pytest.raises(ProtocolError):
        parse_line(json.dumps({key: value for key, value in HELLO.items() if key != missing}))


@pytest.mark.parametrize("line", ["", "{", "nonsense", "{}", '{"id":1}', "\0\xff"])
def test_garbage_is_refused_in_one_short_line(line: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_line(line + " " * 500)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@given(
    st.integers(0, 1 << 40),
    st.dictionaries(st.sampled_from("abcd"), st.integers() | st.text('xyzé\n"\\')),
)
def test_a_command_is_one_ascii_line(number: int, arguments: dict[str, str | int]) -> None:
    line = encode_command(number, "ping", **arguments)
    assert line.isascii()
    assert "\n" not in line
    command = json.loads(line)
    assert (command["id"], command["cmd"]) == (number, "ping")
    assert command.keys() == {"id", "cmd", *arguments}


def test_a_command_that_the_agent_would_not_read_is_refused() -> None:
    with pytest.raises(ProtocolError, match="load"):
        encode_command(1, "load", cmdline="x" * MAX_LINE)


@pytest.mark.parametrize(("fds", "sent"), [([], ""), ([5], "5"), ((5, 6, 700), "5,6,700")])
def test_numbers_in_a_row_are_sent_as_text(fds: list[int], sent: str) -> None:
    assert json.loads(encode_command(1, "close", fds=fds))["fds"] == sent


def test_an_argument_may_be_called_as_the_command_is() -> None:
    assert json.loads(encode_command(1, "create-session", name="vm"))["name"] == "vm"
