"""What the commands answer, in detail."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from khoci.guest.memfd import Memfd, check, fill, make
from khoci.guest.protocol import MAX_LINE, UNREADABLE, encode_command
from khoci.guest.session import Agent, Line
from tests.guest.talk import ask, ask_in_parts, converse, with_agent

pages_of_root = pytest.mark.skipif(
    not os.access("/proc/kpageflags", os.R_OK), reason="kpageflags is for root"
)
KINDS = ("free", "reserved", "plain", "used", "nopage")


def test_hello_has_the_memory_and_nothing_missing(built_agent: Path) -> None:
    [hello] = converse(built_agent, [])
    assert f"MemTotal: {hello['mem_total']} kB".split() in [
        line.split() for line in Path("/proc/meminfo").read_text().splitlines()
    ]
    assert hello["missing"] == []


def test_without_arguments_it_does_nothing_to_the_host(built_agent: Path) -> None:
    result = subprocess.run([built_agent], capture_output=True, check=False, timeout=10)
    assert result.returncode == 2
    assert b"usage" in result.stderr


def test_a_line_that_cannot_be_read_is_answered_as_such(built_agent: Path) -> None:
    _, answer = converse(built_agent, [b"{]\n"])
    assert (answer["id"], answer["errno"]) == (UNREADABLE, 74)


@pytest.mark.parametrize("name", ["jump", "poweroff", "crash", "load", "finalize"])
def test_what_acts_on_the_machine_is_refused_on_the_host(built_agent: Path, name: str) -> None:
    answer = ask(built_agent, name)
    assert answer["error"] == f"{name} is for guests only: EPERM"


@pages_of_root
def test_pages_add_up(sanitized_agent: Path) -> None:
    answer = ask(sanitized_agent, "pages", ranges="0:0x10000000,0xfff:2,0x100000:0")
    assert [(item["start"], item["pages"]) for item in answer["ranges"]] == [
        (0, 65536),
        (0xFFF, 2),
        (0x100000, 0),
    ]
    for item in answer["ranges"]:
        assert sum(item[kind] for kind in KINDS) == item["pages"]


@pages_of_root
def test_frames_past_the_end_of_memory_have_no_page(sanitized_agent: Path) -> None:
    answer = ask(sanitized_agent, "pages", ranges="0xffff000000000:0xf000000000000")
    [item] = answer["ranges"]
    assert item["nopage"] == item["pages"] == 0xF000000000000 >> 12


@pages_of_root
@pytest.mark.parametrize(
    "ranges",
    [
        ":",
        "0x1000:",
        "1:2,",
        "1:2,,3:4",
        "-1:2",
        " 1:2",
        "1:0xffffffffffffffff",
        "1:1234567890123456789012",
    ],
)
def test_odd_ranges_are_refused(sanitized_agent: Path, ranges: str) -> None:
    answer = ask(sanitized_agent, "pages", ranges=ranges)
    assert (answer["ok"], answer["errno"]) == (False, 22)


@pages_of_root
def test_too_many_ranges_for_one_answer_are_refused(sanitized_agent: Path) -> None:
    ranges = ",".join(["1:1"] * 15000)
    answer = ask(sanitized_agent, "pages", ranges=ranges)
    assert answer["error"] == "the answer is too long: EMSGSIZE"


def test_a_command_that_takes_long_says_that_it_goes_on(built_agent: Path) -> None:
    """Longer than the two seconds after which it does: 4 GiB are written into 16 MiB."""
    file = Memfd(16 << 20, seed=1)

    async def work(agent: Agent) -> list[str]:
        fds = await make(agent, file)
        heard = Listening(agent._line)
        agent._line = heard
        await fill(agent, file, fds * 250)
        [last] = await check(agent, file.numbered(249), fds)
        assert last.differences(file.numbered(249)) == ()
        return heard.lines

    lines = with_agent(built_agent, work)
    assert [line for line in lines if "event" in line] == ['{"event":"busy"}\n'] * (len(lines) - 2)
    assert len(lines) > 2


@dataclass
class Listening:
    """A line that remembers what came."""

    line: Line
    lines: list[str] = field(default_factory=list)

    async def next_line(self) -> str:
        self.lines.append(await self.line.next_line())
        return self.lines[-1]

    async def send_line(self, line: str) -> None:
        await self.line.send_line(line)


@pytest.mark.parametrize(("hold", "children"), [(0, [0, 0]), (1, [1, 0])])
def test_pressure_holds_memory_until_it_is_told_to_relax(
    sanitized_agent: Path, hold: int, children: list[int]
) -> None:
    async def work(agent: Agent) -> list[int]:
        found = []
        for command in ("pressure", "relax"):
            arguments = {"percent": 1, "max": 1 << 20, "hold": hold}
            await agent.command(command, **(arguments if command == "pressure" else {}))
            answer = await agent.command("read", path="/proc/thread-self/children")
            found.append(len(answer["text"].split()))
        return found

    assert with_agent(sanitized_agent, work) == children


def test_an_agent_that_ends_holds_nothing(built_agent: Path) -> None:
    async def work(agent: Agent) -> Path:
        await agent.command("pressure", percent=1, max=1 << 20, hold=1)
        answer = await agent.command("read", path="/proc/thread-self/children")
        child = Path("/proc", answer["text"].strip())
        assert child.is_dir()
        return child / "cmdline"

    cmdline = with_agent(built_agent, work)
    for _ in range(1000):
        if not cmdline.exists() or not cmdline.read_bytes():
            return
        time.sleep(0.01)
    pytest.fail("the child still runs")


def functions() -> dict[str, int]:
    """The functions of the host's kernel, the first of each name."""
    lines = [line.split() for line in Path("/proc/kallsyms").read_text().splitlines()]
    found = [(words[2], int(words[0], 16)) for words in lines if words[1] in "Tt"]
    return dict(reversed(found))


def test_symbol_has_the_address_of_a_function(sanitized_agent: Path) -> None:
    name, address = functions().popitem()
    answer = ask(sanitized_agent, "symbol", name=name)
    if address:
        assert answer["address"] == hex(address)
    else:
        assert (answer["error"], answer["errno"]) == (
            "/proc/kallsyms hides addresses: EPERM",
            errno.EPERM,
        )


@pytest.mark.parametrize("name", ["no_such_function", "", "jiffies"])
def test_what_is_no_function_has_no_address(sanitized_agent: Path, name: str) -> None:
    answer = ask(sanitized_agent, "symbol", name=name)
    assert answer["error"] == f"/proc/kallsyms has no function {name}: ENOENT"


def test_pressure_uses_memory_and_gives_it_back(sanitized_agent: Path) -> None:
    assert ask(sanitized_agent, "pressure", percent=95, max=1 << 20)["bytes"] == 1 << 20
    assert ask(sanitized_agent, "pressure", percent=1, max=4095)["bytes"] == 0
    assert ask(sanitized_agent, "pressure", percent=1, max=0)["ok"] is False
    assert ask(sanitized_agent, "pressure")["ok"] is False


@pytest.mark.parametrize("content", [b"\0", b"\x80", b"text\x7f", bytes(range(256))])
def test_read_gives_what_is_not_text_as_hex(
    sanitized_agent: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "blob").write_bytes(content)
    answer = ask(sanitized_agent, "read", path=str(tmp_path / "blob"))
    assert bytes.fromhex(answer["hex"]) == content
    assert "text" not in answer


@pytest.mark.parametrize(("limit", "text", "truncated"), [(3, "abc", True), (4, "abcd", False)])
def test_read_says_when_there_is_more(
    built_agent: Path, tmp_path: Path, limit: int, text: str, truncated: bool
) -> None:
    (tmp_path / "file").write_text("abcd")
    answer = ask(built_agent, "read", path=str(tmp_path / "file"), max=limit)
    assert (answer["text"], answer["truncated"]) == (text, truncated)


def test_read_begins_where_it_is_told(sanitized_agent: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("abcd")
    answer = ask(sanitized_agent, "read", path=str(tmp_path / "file"), offset=2, max=1)
    assert (answer["text"], answer["truncated"]) == ("c", True)
    assert ask(sanitized_agent, "read", path=str(tmp_path / "file"), offset=9)["text"] == ""
    assert ask(sanitized_agent, "read", path=str(tmp_path / "file"), offset=-1)["errno"] == 22


@pytest.mark.parametrize("content", [b"\n" * (1 << 16), b"\xff" * (1 << 16)])
def test_the_largest_read_fits(sanitized_agent: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    answer = ask(sanitized_agent, "read", path=str(tmp_path / "file"))
    assert answer["ok"] is True
    assert answer["truncated"] is False
    assert ask(sanitized_agent, "read", path="/", max=MAX_LINE + 1)["errno"] == 22


def test_read_does_not_wait(built_agent: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert ask(built_agent, "read", path=str(tmp_path / "fifo"))["text"] == ""


def test_paths_are_bytes(built_agent: Path, tmp_path: Path) -> None:
    (tmp_path / "Köln").write_text("found")
    line = encode_command(7, "read", path=str(tmp_path / "Köln")).encode() + b"\n"
    _, answer = converse(built_agent, [line])
    assert answer["text"] == "found"


def test_list_marks_folders(built_agent: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "10").touch()
    (tmp_path / "9").touch()
    assert ask(built_agent, "list", path=str(tmp_path))["names"] == ["9", "10", "folder/"]


@pytest.mark.skipif(not os.access("/dev/kmsg", os.R_OK), reason="/dev/kmsg is for root")
def test_kmsg_gives_the_whole_log_in_parts(sanitized_agent: Path) -> None:
    *parts, last = ask_in_parts(sanitized_agent, "kmsg")
    assert all(part["more"] is True for part in parts)
    assert "more" not in last
    lines = [line for part in (*parts, last) for line in part["lines"]]
    assert all(line.startswith("[") and "] " in line for line in lines)
    stamps = [float(line[1 : line.index("]")]) for line in lines]
    assert stamps
