"""Descriptors and live update sessions, as far as a host without /dev/liveupdate goes.

The rest is in tests/vm/test_liveupdate.py.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khoci.guest.memfd import descriptors
from khoci.guest.protocol import Argument
from khoci.guest.session import Agent, AgentError
from tests.guest.talk import with_agent

COMMANDS = (
    *("create-session", "retrieve-session", "session-name", "preserve", "retrieve", "finish"),
    *("open", "close", "memfd", "fill", "check", "seek", "seal"),
)
NUMBERS = st.integers(-2, 70) | st.sampled_from([1 << 16, 1 << 31, 1 << 32, -(1 << 63)])
TEXTS = st.sampled_from(
    ["", "3", "3,3", "4-5", "0:1", "1:1,2:", "/", "/no/such", "x" * 64, "é" * 9]
)
KEYS = st.sampled_from(
    ["device", "session", "name", "fds", "token", "count", "seed", "holes", "position", "seals"]
)
SIZES = st.integers(-1, 1 << 17)


def refused(agent: Path, name: str, /, **arguments: Argument) -> AgentError:
    """How the agent refuses a command; ``memfd`` as an argument becomes a file without content."""

    async def work(talking: Agent) -> None:
        [fd] = descriptors(await talking.command("memfd", size=1))
        given = {key: fd if value == "memfd" else value for key, value in arguments.items()}
        await talking.command(name, **given)

    with pytest.raises(AgentError) as caught:
        with_agent(agent, work)
    return caught.value


def test_a_kernel_without_live_update_is_told(sanitized_agent: Path) -> None:
    error = refused(sanitized_agent, "open", path="/dev/no-liveupdate")
    assert str(error) == "open: open /dev/no-liveupdate: ENOENT"
    assert error.errno == errno.ENOENT


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("create-session", {"device": "memfd", "name": "a"}, "session a: ENOTTY"),
        ("create-session", {"device": "memfd", "name": "a", "count": 2}, "session a0: ENOTTY"),
        ("retrieve-session", {"device": "memfd", "name": "\udce9"}, "session \xe9: ENOTTY"),
        ("create-session", {"device": "memfd", "name": "x" * 65}, f"session {'x' * 65}: ENAMETOO"),
        ("create-session", {"device": "memfd", "name": "a", "count": 0}, "count is not 1 to 16384"),
        ("create-session", {"device": "memfd"}, "no text for name: EINVAL"),
        ("create-session", {"name": "a"}, "no number for device: EINVAL"),
        ("create-session", {"device": 1000, "name": "a"}, "session a: EBADF"),
        ("preserve", {"session": "memfd", "token": -1, "fds": "9"}, f"token {2**64 - 1}: ENOTTY"),
        ("preserve", {"session": "memfd", "fds": "9"}, "no number for token: EINVAL"),
        ("preserve", {"session": "memfd", "token": 1}, "no text for fds: EINVAL"),
        ("retrieve", {"session": "memfd", "token": 5, "count": 3}, "retrieve token 5: ENOTTY"),
        ("finish", {"fds": [500]}, "finish fd 500: EBADF"),
        ("session-name", {"session": "memfd"}, ": ENOTTY"),
        ("close", {"fds": [500]}, "close fd 500: EBADF"),
    ],
)
def test_what_is_wrong_is_named(
    sanitized_agent: Path, name: str, arguments: dict[str, Argument], message: str
) -> None:
    assert message in str(refused(sanitized_agent, name, **arguments))


@pytest.mark.parametrize("fd", [-(1 << 63), -1, 0, 1, 2, 1 << 32])
@pytest.mark.parametrize(
    ("name", "key"), [("session-name", "session"), ("create-session", "device")]
)
def test_the_line_itself_is_out_of_reach(
    sanitized_agent: Path, name: str, key: str, fd: int
) -> None:
    assert refused(sanitized_agent, name, name="a", **{key: fd}).errno == errno.EBADF


@pytest.mark.parametrize("name", ["close", "check", "seal", "seek", "finish"])
@pytest.mark.parametrize("fds", ["", ",", "5,", ",5", "x", "5;6", "-1", "0", "1,5", str(1 << 31)])
def test_odd_descriptors_are_refused(sanitized_agent: Path, name: str, fds: str) -> None:
    error = refused(sanitized_agent, name, fds=fds, size=1, seed=1)
    assert error.errno in (errno.EINVAL, errno.EBADF)


def test_more_descriptors_than_a_process_has_are_refused(sanitized_agent: Path) -> None:
    error = refused(sanitized_agent, "close", fds=[7] * 16385)
    assert str(error) == "close: more than 16384 fds: E2BIG"


def test_a_closed_file_is_closed(sanitized_agent: Path) -> None:
    async def work(talking: Agent) -> None:
        fds = descriptors(await talking.command("memfd", size=1, count=3))
        await talking.command("close", fds=fds[1:])
        await talking.command("seek", fds=fds[:1], position=1)
        await talking.command("seek", fds=fds[1:2], position=1)

    with pytest.raises(AgentError, match="EBADF"):
        with_agent(sanitized_agent, work)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(COMMANDS), st.dictionaries(KEYS, NUMBERS | TEXTS), SIZES),
        max_size=30,
    )
)
def test_no_arguments_kill_the_agent(
    sanitized_agent: Path, commands: list[tuple[str, dict[str, Argument], int]]
) -> None:
    async def work(talking: Agent) -> None:
        await talking.command("memfd", size=1, count=2)
        for name, arguments, size in commands:
            with contextlib.suppress(AgentError):
                await talking.command(name, size=size, path="/no/such", **arguments)
        await talking.command("ping")

    with_agent(sanitized_agent, work, files=256)
