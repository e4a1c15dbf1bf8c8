"""Live update sessions with memory files: made, and compared on the other side.

What a real VMM does: it holds its session open, preserves files under tokens, and after the jump
retrieves session and files by name and token, compares, and finishes.
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from khoci.guest.memfd import Found, Memfd, check, descriptors, fill, make
from khoci.guest.session import Agent, AgentError
from khoci.scenario.base import Checked, NotPossibleError, Outcome, Scenario, Verified

DEVICE = "/dev/liveupdate"
_GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO)
_FULL = (errno.ENOMEM, errno.ENOSPC)
_OTHER = 1 << 32
"""Added to a seed for a content that is written over."""


@dataclass(frozen=True)
class Files:
    """``count`` files with consecutive tokens and seeds."""

    token: int
    memfd: Memfd
    count: int = 1

    @property
    def each(self) -> list[tuple[int, Memfd]]:
        """The token and the file of each."""
        return [(self.token + i, self.memfd.numbered(i)) for i in range(self.count)]


@dataclass(frozen=True)
class Session:
    """One session and the files in it; or ``count`` empty ones, name0, name1 and so on."""

    name: str
    files: tuple[Files, ...] = ()
    count: int = 0

    @property
    def arguments(self) -> dict[str, str | int]:
        """How the agent is told of it."""
        return {"name": self.name, **({"count": self.count} if self.count else {})}

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.count} sessions '{self.name}'" if self.count else f"session '{self.name}'"


@dataclass(frozen=True)
class Preserved:
    """The sessions that the kernel took, and why it took no more if it did not."""

    sessions: tuple[Session, ...]
    refused: str = ""


@dataclass
class Held:
    """What the consumer's user space holds: of each session what was retrieved."""

    sessions: list[HeldSession] = field(default_factory=list)


@dataclass
class HeldSession:
    """A retrieved session, or several: descriptors of theirs, and of their files."""

    session: Session
    fds: list[int]
    files: list[tuple[Files, list[int]]] = field(default_factory=list)


def scenario(
    name: str,
    summary: str,
    preserve: Callable[[Agent], Awaitable[Preserved]],
    *,
    needs: tuple[str, ...] = (),
    components: tuple[str, ...] = (),
) -> Scenario:
    """A scenario whose state is in live update sessions.

    Args:
        name: of the scenario.
        summary: one line for people.
        preserve: makes the sessions.
        needs: kconfig symbols besides those of live update.
        components: that it is about besides sessions and files.
    """
    return Scenario(
        name=name,
        summary=summary,
        component="session",
        components=("session", "memfd", *components),
        needs=("KEXEC_HANDOVER", "LIVEUPDATE", *needs),
        cmdline="initcall_blacklist=kho_test_init",
        joint=True,
        preserve=preserve,
        verify=verify,
        release=release,
        again=again,
    )


async def preserve(agent: Agent, wanted: Sequence[Session]) -> Preserved:
    """Make the sessions and their files, and preserve them.

    A kernel that is full (ENOMEM, ENOSPC) takes no more: the rest is left out.

    Raises:
        NotPossibleError: there is no live update device.
        AgentError: the kernel refuses for another reason.
    """
    taken: list[Session] = []
    async with _possible_device(agent) as device:
        for session in wanted:
            try:
                fd = (await _create(agent, device, session))[0]
                taken.append(replace(session, files=()))
                for files in session.files:
                    await _preserve_files(agent, fd, files)
                    taken[-1] = replace(taken[-1], files=(*taken[-1].files, files))
            except AgentError as error:
                if error.errno not in _FULL:
                    raise
                return Preserved(tuple(taken), str(error))
    return Preserved(tuple(taken))


async def verify(agent: Agent, state: Preserved) -> Verified:
    """Retrieve all sessions and files, compare each, and finish the sessions."""
    held, checked = Held(), list[Checked]()
    try:
        async with _device(agent) as device:
            for session in state.sessions:
                checked += await _session(agent, device, held, session)
    except _UnusableError as error:
        return Verified(tuple(_unusable(state, error.error)))
    return Verified(tuple(checked), held)


async def release(agent: Agent, held: Held | None) -> None:
    """Close everything."""
    if held is None:
        return
    for item in held.sessions:
        await agent.command("close", fds=[*item.fds, *(fd for _, fds in item.files for fd in fds)])


async def again(agent: Agent, held: Held | None) -> Preserved:
    """Preserve what was retrieved once more, in new sessions of the same names.

    Raises:
        NotPossibleError: there is no live update device.
    """
    if held is None:
        raise NotPossibleError(f"{DEVICE} cannot be opened")
    async with _possible_device(agent) as device:
        for item in held.sessions:
            await agent.command("close", fds=item.fds)
            fd = (await _create(agent, device, item.session))[0]
            for files, fds in item.files:
                await agent.command("preserve", session=fd, token=files.token, fds=fds)
    return Preserved(tuple(item.session for item in held.sessions))


class _UnusableError(Exception):
    """The device cannot be opened."""

    def __init__(self, error: AgentError) -> None:
        super().__init__(str(error))
        self.error = error


@asynccontextmanager
async def _device(agent: Agent) -> AsyncIterator[int]:
    """The device, as long as sessions are made or retrieved: only one can have it open."""
    try:
        [device] = descriptors(await agent.command("open", path=DEVICE))
    except AgentError as error:
        raise _UnusableError(error) from None
    yield device
    await agent.command("close", fds=[device])


@asynccontextmanager
async def _possible_device(agent: Agent) -> AsyncIterator[int]:
    """The same, in a producer."""
    try:
        async with _device(agent) as device:
            yield device
    except _UnusableError as unusable:
        if unusable.error.errno in _GONE:
            raise NotPossibleError(f"has no {DEVICE}") from None
        raise unusable.error from None


async def _preserve_files(agent: Agent, session: int, files: Files) -> None:
    """Preserve files with another content, and write the right one after that.

    Files that are sealed cannot be written any more: they have it from the start.
    """
    memfd = files.memfd
    first = memfd if memfd.seals else replace(memfd, seed=memfd.seed + _OTHER)
    fds = await make(agent, first, files.count)
    await agent.command("preserve", session=session, token=files.token, fds=fds)
    if not memfd.seals:
        await fill(agent, memfd, fds)


async def _create(agent: Agent, device: int, session: Session) -> list[int]:
    return descriptors(await agent.command("create-session", device=device, **session.arguments))


def _unusable(state: Preserved, error: AgentError) -> list[Checked]:
    """Nothing can be retrieved where the device cannot be opened: that is no skip."""
    return [
        _failed("luo", DEVICE, error),
        *(item for session in state.sessions for item in _lost(session, error)),
    ]


def _lost(session: Session, error: AgentError) -> list[Checked]:
    """A session that cannot be retrieved, and with it its files."""
    tokens = [token for files in session.files for token, _ in files.each]
    files = (_failed("memfd", _file(session, token), error) for token in tokens)
    return [_failed("session", session.title, error), *files]


async def _session(agent: Agent, device: int, held: Held, session: Session) -> list[Checked]:
    try:
        answer = await agent.command("retrieve-session", device=device, **session.arguments)
    except AgentError as error:
        return _lost(session, error)
    kept = HeldSession(session, descriptors(answer))
    held.sessions.append(kept)
    checked = [item for files in session.files for item in await _files(agent, kept, files)]
    try:
        await agent.command("finish", fds=kept.fds)
    except AgentError as error:
        return [*checked, _failed("session", session.title, error)]
    return [Checked("session", session.title, Outcome.SAME), *checked]


async def _files(agent: Agent, kept: HeldSession, files: Files) -> list[Checked]:
    arguments = {"session": kept.fds[0], "token": files.token, "count": files.count}
    try:
        fds = descriptors(await agent.command("retrieve", **arguments))
        found = await check(agent, files.memfd, fds)
    except AgentError as error:
        return [_failed("memfd", _file(kept.session, token), error) for token, _ in files.each]
    kept.files.append((files, fds))
    return [
        _compared(_file(kept.session, token), memfd, item)
        for (token, memfd), item in zip(files.each, found, strict=True)
    ]


def _compared(what: str, wanted: Memfd, found: Found) -> Checked:
    differences = found.differences(wanted)
    data: dict[str, Any] = {
        "size": found.size,
        "position": found.position,
        "seals": found.seals,
        "sha256": found.sha256,
        "wrong_bytes": found.wrong,
    }
    outcome = Outcome.DIFFERENT if differences else Outcome.SAME
    return Checked("memfd", what, outcome, "; ".join(differences), data)


def _failed(component: str, what: str, error: AgentError) -> Checked:
    outcome = Outcome.MISSING if error.errno in _GONE else Outcome.REFUSED
    return Checked(component, what, outcome, str(error), {"errno": error.errno})


def _file(session: Session, token: int) -> str:
    return f"file {token} of '{session.name}'"
