from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khoci.guest.protocol import MAX_LINE, Hello, encode_command, parse_line, sum_of_words
from tests.guest.talk import ask, ask_in_parts, converse

PING = encode_command(1, "ping").encode() + b"\n"


def test_hello_tells_who_it_is(built_agent: Path) -> None:
    [hello] = converse(built_agent, [])
    parsed = parse_line(json.dumps(hello))
    assert isinstance(parsed, Hello)
    assert parsed.release == os.uname().release
    assert parsed.cmdline == Path("/proc/cmdline").read_text().strip()
    assert parsed.uptime > 0


def test_each_command_has_its_answer(built_agent: Path) -> None:
    lines = b"".join(encode_command(n, "ping").encode() + b"\n" for n in range(1, 200))
    _, *answers = converse(built_agent, [lines])
    assert [(answer["id"], answer["ok"]) for answer in answers] == [
        (n, True) for n in range(1, 200)
    ]
    uptimes = [answer["uptime"] for answer in answers]
    assert uptimes == sorted(uptimes)


def test_a_line_may_come_in_pieces(built_agent: Path) -> None:
    pieces = [PING[i : i + 1] for i in range(len(PING))]
    _, answer = converse(built_agent, pieces)
    assert (answer["id"], answer["ok"]) == (1, True)


def test_an_unfinished_line_is_not_obeyed(built_agent: Path) -> None:
    assert len(converse(built_agent, [PING.rstrip(b"\n")])) == 1


@pytest.mark.parametrize("name", ["jump", "poweroff", "load", "finalize", "write"])
def test_the_host_is_left_alone(built_agent: Path, name: str) -> None:
    files = {"kernel": "/dev/null", "initrd": "/dev/null", "path": "/dev/null"}
    answer = ask(built_agent, name, **files, cmdline="", text="")
    assert answer["ok"] is False
    assert answer["errno"] != 0


def test_an_unknown_command_is_refused(built_agent: Path) -> None:
    answer = ask(built_agent, "fly")
    assert answer["ok"] is False
    assert "unknown command" in answer["error"]


@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE + 7])
def test_a_line_that_is_too_long_is_refused_and_the_next_obeyed(
    sanitized_agent: Path, length: int
) -> None:
    _, refusal, answer = converse(sanitized_agent, [b"x" * length + b"\n", PING])
    assert refusal["ok"] is False
    assert (answer["id"], answer["ok"]) == (1, True)


def test_the_longest_command_is_obeyed(sanitized_agent: Path) -> None:
    room = MAX_LINE - 1 - len(encode_command(1, "ping", pad=""))
    _, answer = converse(
        sanitized_agent, [encode_command(1, "ping", pad="x" * room).encode() + b"\n"]
    )
    assert answer["ok"] is True


def test_read_gives_the_text_of_a_file(built_agent: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text('one "two"\n\\three\n')
    assert ask(built_agent, "read", path=str(tmp_path / "text"))["text"] == 'one "two"\n\\three\n'


def test_list_is_sorted(built_agent: Path, tmp_path: Path) -> None:
    for name in ("b", "c", "a"):
        (tmp_path / name).touch()
    assert ask(built_agent, "list", path=str(tmp_path))["names"] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["read", "list"])
def test_what_is_not_there_is_named(built_agent: Path, name: str) -> None:
    answer = ask(built_agent, name, path="/no/such/thing")
    assert answer["ok"] is False
    assert "/no/such/thing: ENOENT" in answer["error"]
    assert answer["errno"] == 2
    assert ask(built_agent, name)["ok"] is False


@pytest.mark.skipif(not os.access("/proc/kpageflags", os.R_OK), reason="kpageflags is for root")
def test_pages_are_counted(sanitized_agent: Path) -> None:
    answer = ask(sanitized_agent, "pages", ranges="0x0:0x2000,0x100000:0x100001")
    assert [item["pages"] for item in answer["ranges"]] == [2, 257]
    for item in answer["ranges"]:
        assert 0 <= item["free"] + item["reserved"] + item["nopage"] <= item["pages"]


@pytest.mark.parametrize("ranges", ["x", "1", "1:2;3:4"])
@pytest.mark.skipif(not os.access("/proc/kpageflags", os.R_OK), reason="kpageflags is for root")
def test_bad_ranges_are_refused(sanitized_agent: Path, ranges: str) -> None:
    assert ask(sanitized_agent, "pages", ranges=ranges)["ok"] is False


@pytest.mark.parametrize("percent", [-1, 0, 96, 1 << 40])
def test_pressure_is_a_share(built_agent: Path, percent: int) -> None:
    assert ask(built_agent, "pressure", percent=percent)["ok"] is False


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.binary(max_size=80)
        | st.text('{}":,\\u0id1cmping truefals-', max_size=60).map(str.encode),
        max_size=12,
    )
)
def test_garbage_is_answered_and_never_kills(sanitized_agent: Path, garbage: list[bytes]) -> None:
    sent = b"\n".join(garbage) + b"\n"
    _, *answers, last = converse(sanitized_agent, [sent, PING])
    assert len(answers) == sent.count(b"\n")
    assert not any(answer["ok"] for answer in answers)
    assert (last["id"], last["ok"]) == (1, True)


def test_the_host_is_told_where_the_pages_of_a_file_are(built_agent: Path, tmp_path: Path) -> None:
    path = tmp_path / "file"
    answer = ask(built_agent, "receive", path=str(path), size=3 * 4096 + 1)
    starts, sizes = answer["runs"][::2], answer["runs"][1::2]
    assert sum(sizes) == 4 * 4096
    assert all(start and start % 4096 == 0 for start in starts)
    assert path.read_bytes() == bytes(3 * 4096 + 1)


def test_a_file_may_have_more_runs_than_a_line_has_room_for(
    built_agent: Path, tmp_path: Path
) -> None:
    size = 100 << 20
    parts = ask_in_parts(built_agent, "receive", path=str(tmp_path / "file"), size=size)
    runs = [number for part in parts for number in part["runs"]]
    assert sum(runs[1::2]) == size
    assert all(start for start in runs[::2])


@pytest.mark.parametrize("size", [0, -1, 1 << 62])
def test_a_file_of_no_size(built_agent: Path, tmp_path: Path, size: int) -> None:
    answer = ask(built_agent, "receive", path=str(tmp_path / "file"), size=size)
    assert answer["ok"] is False
    assert answer["errno"] != 0


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 131_072, 131_077, 300_001])
def test_both_sides_sum_alike(built_agent: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    content = random.Random(size).randbytes(size)  # noqa: S311
    path.write_bytes(content)
    assert int(ask(built_agent, "sum", path=str(path))["sum"], 16) == sum_of_words(content)
