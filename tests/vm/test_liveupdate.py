"""The agent's live update sessions through real handovers, each kernel to itself."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.guest.memfd import NOEXEC_SEAL, Memfd, Seal, check, descriptors, make
from khoci.guest.protocol import Argument
from khoci.guest.session import Agent, AgentError
from khoci.scenario.base import Outcome
from khoci.scenario.preserving import preserve
from khoci.scenario.retrieving import verify
from khoci.scenario.sessions import DEVICE, Files, Preserved, Session
from tests.vm import luo
from tests.vm.handovers import Handover, built, run
from tests.vm.luo import open_device

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

OTHERS = [pytest.param(name, marks=pytest.mark.releases) for name in ("6.19", "7.1", "7.2")]
KERNELS = ["7.0", "7.3", *OTHERS]
Arguments = dict[str, Argument]
DIRTY = Memfd(1 << 20, seed=40)
SEALS = Memfd(4096, seed=41, seals=~Seal(0))
NOEXEC = Memfd(4096, seed=42, flags=NOEXEC_SEAL)


@pytest.mark.parametrize("name", KERNELS)
def test_everything_is_restored(tmp_path: Path, name: str) -> None:
    kernel = built(name)
    log = run(Handover(kernel, kernel, luo.preserve, check=luo.verify), tmp_path)
    assert log.count("finish was triggered") == (0 if name == "6.19" else 3)


@pytest.mark.parametrize("name", ["7.0", "7.3"])
def test_what_is_written_after_preserving_is_handed_over(tmp_path: Path, name: str) -> None:
    after = replace(DIRTY, seed=50, position=99)

    async def prepare(agent: Agent) -> None:
        session = await created(agent, "vm")
        fds = await make(agent, DIRTY)
        await agent.command("preserve", session=session, token=1, fds=fds)
        await agent.command("fill", fds=fds, size=after.size, seed=after.seed)
        await agent.command("seek", fds=fds, position=after.position)

    async def look(agent: Agent, _: None) -> None:
        fds = await retrieved(agent, "vm")
        assert (await check(agent, after, fds))[0].differences(after) == ()
        [found] = await check(agent, DIRTY, fds)
        assert found.differences(DIRTY)[:2] == (
            "position: 99 instead of 0",
            f"wrong bytes: {found.wrong} instead of 0",
        )
        assert found.wrong > DIRTY.size * 0.99

    kernel = built(name)
    run(Handover(kernel, kernel, prepare, check=look), tmp_path)


@pytest.mark.parametrize(("name", "kept"), [("7.0", Seal.SEAL), ("7.3", SEALS.seals)])
def test_seals_are_handed_over_since_7_1(tmp_path: Path, name: str, kept: int) -> None:
    async def prepare(agent: Agent) -> None:
        session = await created(agent, "vm")
        await agent.command("preserve", session=session, token=1, fds=await make(agent, SEALS))

    async def look(agent: Agent, _: None) -> None:
        [found] = await check(agent, SEALS, await retrieved(agent, "vm"))
        assert (found.differences(SEALS), found.seals) == ((), kept)

    kernel = built(name)
    run(Handover(kernel, kernel, prepare, check=look), tmp_path)


def test_a_file_that_is_not_executable_comes_back_executable_and_sealed_against_writing(
    tmp_path: Path,
) -> None:
    """memfd_luo_retrieve() of 7.1 and later: the seals are put on an executable file."""

    async def prepare(agent: Agent) -> None:
        session = await created(agent, "vm")
        fds = await make(agent, NOEXEC)
        [found] = await check(agent, NOEXEC, fds)
        assert (found.mode, found.seals) == (0o666, Seal.EXEC)
        await agent.command("preserve", session=session, token=1, fds=fds)

    async def look(agent: Agent, _: None) -> None:
        fds = await retrieved(agent, "vm")
        [found] = await check(agent, NOEXEC, fds)
        assert found.differences(NOEXEC) == ()
        assert (found.mode, found.seals) == (0o777, ~Seal(0) & ~Seal.SEAL)
        assert await refusal(agent, "fill", fds=fds, size=1, seed=0) == errno.EPERM

    kernel = built("7.3")
    run(Handover(kernel, kernel, prepare, check=look), tmp_path)


def test_what_the_kernel_refuses_is_told_by_its_error(tmp_path: Path) -> None:
    async def prepare(agent: Agent) -> None:
        device = await open_device(agent)
        assert await refusal(agent, "open", path=DEVICE) == errno.EBUSY
        taken: Arguments = {"device": device, "name": "taken"}
        [session] = descriptors(await agent.command("create-session", **taken))
        assert await refusal(agent, "create-session", **taken) == errno.EEXIST
        assert await refusal(agent, "create-session", device=device, name="") == errno.EINVAL
        assert await refusal(agent, "create-session", device=device, name="x" * 64) == errno.EINVAL
        assert await refusal(agent, "retrieve-session", device=device, name="no") == errno.ENOENT
        fds = await make(agent, DIRTY)
        await agent.command("preserve", session=session, token=1, fds=fds)
        again: Arguments = {"session": session, "token": 2, "fds": fds}
        assert await refusal(agent, "preserve", **again) == errno.EBUSY
        other: Arguments = {"session": session, "token": 2, "fds": [session]}
        assert await refusal(agent, "preserve", **other) == errno.ENOENT
        assert await refusal(agent, "retrieve", session=session, token=1) == errno.EINVAL
        assert await refusal(agent, "finish", fds=[session]) == errno.EINVAL
        assert (await agent.command("session-name", session=session))["name"] == "taken"

    async def look(agent: Agent, _: None) -> None:
        await retrieved(agent, "taken")

    kernel = built("7.3")
    run(Handover(kernel, kernel, prepare, check=look), tmp_path)


def test_there_is_no_device_where_live_update_is_off(tmp_path: Path) -> None:
    async def prepare(agent: Agent) -> None:
        assert await refusal(agent, "open", path=DEVICE) == errno.ENOENT

    kernel = replace(built("7.3"), cmdline="liveupdate=off")
    run(Handover(kernel, kernel, prepare), tmp_path)


def test_thousands_of_sessions_and_hundreds_of_files(tmp_path: Path) -> None:
    many = [
        Session("s", count=3000),
        Session("files", (Files(1, Memfd(4096, seed=9), count=1000),)),
    ]

    async def prepare(agent: Agent) -> list[Session]:
        return await luo.preserve(agent, tuple(many))

    kernel = built("7.3")
    run(Handover(kernel, kernel, prepare, check=luo.verify), tmp_path)


@pytest.mark.parametrize("name", ["7.0", *OTHERS[:2]])
def test_there_were_limits_before_7_2(tmp_path: Path, name: str) -> None:
    """LUO_SESSION_MAX and LUO_FILE_MAX of kernel/liveupdate; what fits comes back."""
    many = Files(0, Memfd(1, seed=1), 129)

    async def prepare(agent: Agent) -> Preserved:
        files = await preserve(agent, [Session("files", (many,)), Session("never")])
        assert files.sessions == (Session("files", (replace(many, count=128),)),)
        assert files.refused == "preserve: preserve token 128: ENOSPC"
        empty = await preserve(agent, [Session("s", count=820)])
        assert empty.sessions == (Session("s", count=818),)
        assert empty.refused == "create-session: session s818: ENOMEM"
        assert files.full
        assert empty.full
        return replace(empty, sessions=(*files.sessions, *empty.sessions))

    async def look(agent: Agent, state: Preserved) -> None:
        found = await verify(agent, state)
        assert {item.outcome for item in found.checked} == {Outcome.SAME}
        assert len(found.checked) == 1 + 1 + 128 + 1
        assert found.checked[0].detail == state.refused

    kernel = built(name)
    run(Handover(kernel, kernel, prepare, check=look), tmp_path)


async def created(agent: Agent, name: str) -> int:
    device = await open_device(agent)
    return descriptors(await agent.command("create-session", device=device, name=name))[0]


async def retrieved(agent: Agent, name: str) -> list[int]:
    """The file of token 1 in this session, and the session held open."""
    device = await open_device(agent)
    [session] = descriptors(await agent.command("retrieve-session", device=device, name=name))
    return descriptors(await agent.command("retrieve", session=session, token=1))


async def refusal(agent: Agent, command: str, /, **arguments: Argument) -> int:
    """The error number that the guest's kernel refuses a command with."""
    with pytest.raises(AgentError) as caught:
        await agent.command(command, **arguments)
    return caught.value.errno
