"""Memory files: the agent's C and the host's Python know the same bytes."""

from __future__ import annotations

import asyncio
import errno
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khoci.format.ranges import Range
from khoci.guest.memfd import (
    ALLOW_SEALING,
    NOEXEC_SEAL,
    Found,
    Memfd,
    Seal,
    check,
    descriptors,
    make,
    pattern,
)
from khoci.guest.protocol import Argument, ProtocolError
from khoci.guest.session import Agent, AgentError
from tests.guest.talk import with_agent

PAGE = 4096
FILE = Memfd(3 * PAGE + 5, seed=77, holes=(Range(PAGE, PAGE),))
slow = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def memfds(draw: st.DrawFn) -> Memfd:
    size = draw(st.integers(0, 200_000))
    cuts = sorted(draw(st.lists(st.integers(0, size), max_size=8)))
    holes = tuple(Range(a, b - a) for a, b in zip(cuts[::2], cuts[1::2], strict=False))
    return Memfd(size, draw(st.integers(0, (1 << 63) - 9)), holes, draw(st.integers(0, 1 << 40)))


def found(agent: Path, wanted: Memfd, made: Memfd | None = None, count: int = 1) -> list[Found]:
    """What the agent finds, comparing ``made`` with ``wanted``."""

    async def work(talking: Agent) -> list[Found]:
        return await check(talking, wanted, await make(talking, made or wanted, count))

    return with_agent(agent, work)


def refused(agent: Path, name: str, **arguments: Argument) -> AgentError:
    async def work(talking: Agent) -> None:
        await talking.command(name, **arguments)

    with pytest.raises(AgentError) as caught:
        with_agent(agent, work)
    return caught.value


def test_the_pattern_is_splitmix64() -> None:
    """The first numbers of the generator with seed 0, as its author publishes them."""
    words = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)
    assert pattern(0, 24) == b"".join(word.to_bytes(8, "little") for word in words)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 100), st.integers(0, 100))
def test_a_shorter_pattern_is_the_beginning_of_a_longer_one(
    seed: int, size: int, more: int
) -> None:
    assert len(pattern(seed, size)) == size
    assert pattern(seed, size + more)[:size] == pattern(seed, size)


@slow
@given(memfds())
def test_guest_and_host_agree_on_every_byte(sanitized_agent: Path, memfd: Memfd) -> None:
    [item] = found(sanitized_agent, memfd)
    assert item.sha256 == memfd.sha256()
    assert item.differences(memfd) == ()


def test_content_has_zeros_in_its_holes() -> None:
    content = FILE.content()
    assert content[PAGE : 2 * PAGE] == bytes(PAGE)
    assert content[:PAGE] + content[2 * PAGE :] == (
        pattern(77, FILE.size)[:PAGE] + pattern(77, FILE.size)[2 * PAGE :]
    )


def test_many_files_differ_by_their_seeds(sanitized_agent: Path) -> None:
    items = found(sanitized_agent, FILE, count=1000)
    assert [item.sha256 for item in items[:3]] == [FILE.numbered(i).sha256() for i in range(3)]
    assert len({item.sha256 for item in items}) == 1000
    assert not any(item.wrong for item in items)


@pytest.mark.parametrize("at", [0, 7, PAGE, PAGE + 1, 2 * PAGE - 1, FILE.size - 1])
def test_a_single_wrong_byte_is_found(sanitized_agent: Path, at: int) -> None:
    content = FILE.content()
    seed = next(seed for seed in range(9) if pattern(seed, FILE.size)[at] != content[at])
    around = [0, at, at + 1, FILE.size - at - 1]

    async def work(talking: Agent) -> list[Found]:
        fds = await make(talking, FILE)
        holes = "{}:{},{}:{}".format(*around)
        await talking.command("fill", fds=fds, size=FILE.size, seed=seed, holes=holes)
        return await check(talking, FILE, fds)

    [item] = with_agent(sanitized_agent, work)
    assert (item.wrong, item.first_wrong, item.checked) == (1, at, FILE.size)
    assert [line.split(":")[0] for line in item.differences(FILE)] == ["wrong bytes", "sha256"]


def test_another_size_is_told_and_no_byte_made_up(sanitized_agent: Path) -> None:
    short = replace(FILE, size=2 * PAGE)
    [item] = found(sanitized_agent, FILE, short)
    assert (item.size, item.checked, item.wrong) == (2 * PAGE, 2 * PAGE, 0)
    assert "size: 8192 instead of 12293" in item.differences(FILE)
    [item] = found(sanitized_agent, short, FILE)
    assert (item.size, item.checked, item.sha256) == (FILE.size, 2 * PAGE, short.sha256())


@pytest.mark.parametrize(
    ("memfd", "allocated", "mode", "seals"),
    [
        (FILE, 3 * PAGE, 0o777, 0),
        (replace(FILE, allocate=True), 4 * PAGE, 0o777, 0),
        (replace(FILE, flags=NOEXEC_SEAL), 3 * PAGE, 0o666, Seal.EXEC),
        (replace(FILE, flags=0), 3 * PAGE, 0o777, Seal.SEAL),
        (replace(FILE, seals=Seal.GROW | Seal.SEAL), 3 * PAGE, 0o777, Seal.GROW | Seal.SEAL),
    ],
)
def test_what_a_file_is(
    sanitized_agent: Path, memfd: Memfd, allocated: int, mode: int, seals: int
) -> None:
    [item] = found(sanitized_agent, replace(memfd, position=11))
    assert (item.allocated, item.mode, item.seals) == (allocated, mode, seals)
    assert item.position == 11
    assert item.differences(memfd) == ("position: 11 instead of 0",)


def test_a_sealed_file_is_not_written(sanitized_agent: Path) -> None:
    async def work(talking: Agent) -> None:
        fds = await make(talking, replace(FILE, seals=Seal.WRITE))
        await talking.command("fill", fds=fds, size=8, seed=1)

    with pytest.raises(AgentError, match="EPERM") as caught:
        with_agent(sanitized_agent, work)
    assert caught.value.errno == errno.EPERM


@pytest.mark.parametrize("holes", ["1", "1:", "8:1,4:1", "0:5,4:1", "0:13", "9:9", "0:1,", ","])
@pytest.mark.parametrize("command", ["fill", "check"])
def test_odd_holes_are_refused(sanitized_agent: Path, command: str, holes: str) -> None:
    async def work(talking: Agent) -> None:
        fds = descriptors(await talking.command("memfd", size=12))
        await talking.command(command, fds=fds, size=12, seed=1, holes=holes)

    with pytest.raises(AgentError, match=f"{command}: holes are not"):
        with_agent(sanitized_agent, work)


def test_where_not_all_can_be_made_none_stays_open(sanitized_agent: Path) -> None:
    async def work(talking: Agent) -> int:
        with pytest.raises(AgentError, match="EMFILE"):
            await talking.command("memfd", size=1, count=100)
        return len(descriptors(await talking.command("memfd", size=1, count=40)))

    assert with_agent(sanitized_agent, work, files=64) == 40


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        ({"size": -1}, errno.EINVAL),
        ({"size": 1, "count": 0}, errno.EINVAL),
        ({"size": 1, "count": 1 << 40}, errno.EINVAL),
        ({"size": 1, "flags": -1}, errno.EINVAL),
        ({"size": 1, "flags": 1 << 20}, errno.EINVAL),
        ({"size": 1, "allocate": 2}, errno.EINVAL),
    ],
)
def test_odd_files_are_refused(
    sanitized_agent: Path, arguments: dict[str, Argument], number: int
) -> None:
    assert refused(sanitized_agent, "memfd", **arguments).errno == number


@pytest.mark.parametrize("answer", ['"files":[{}]', '"files":3', '"size":1', '"files":[[]]'])
def test_another_answer_is_no_finding(answer: str) -> None:
    class Line:
        async def next_line(self) -> str:
            return f'{{"id":1,"ok":true,{answer}}}'

        async def send_line(self, line: str) -> None:
            pass

    with pytest.raises(ProtocolError):
        asyncio.run(check(Agent(Line()), FILE, [3]))
    with pytest.raises(ProtocolError):
        descriptors({"fds": answer})


@pytest.mark.parametrize("flags", [0, ALLOW_SEALING, NOEXEC_SEAL])
@pytest.mark.parametrize("seals", [0, Seal.SEAL, Seal.SHRINK | Seal.GROW, Seal.EXEC, ~Seal(0)])
def test_the_seals_are_those_of_the_kernel(built_agent: Path, flags: int, seals: int) -> None:
    memfd = Memfd(1, seals=seals if flags else 0, flags=flags)
    assert [item.seals for item in found(built_agent, memfd)] == [memfd.sealed]


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 100), st.integers(0, 100))
def test_a_part_of_the_pattern(seed: int, size: int, word: int) -> None:
    assert pattern(seed, size, word * 8) == pattern(seed, word * 8 + size)[word * 8 :]


def test_a_digest_takes_no_memory_to_speak_of() -> None:
    tracemalloc.start()
    try:
        Memfd(16 << 20, holes=(Range(1, 8 << 20),)).sha256()
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
