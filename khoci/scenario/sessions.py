"""Live update sessions with memory files, and the device that makes them."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from khoci.guest.memfd import Memfd, descriptors
from khoci.guest.session import Agent, AgentError
from khoci.scenario.base import NotPossibleError

DEVICE = "/dev/liveupdate"
GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO)


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
    def names(self) -> list[str]:
        """The name of each."""
        return [f"{self.name}{i}" for i in range(self.count)] if self.count else [self.name]

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.count} sessions '{self.name}'" if self.count else f"session '{self.name}'"


@dataclass(frozen=True)
class Preserved:
    """The sessions that the kernel took, and why it took no more if it did not.

    ``full``: because it was full.
    """

    sessions: tuple[Session, ...]
    refused: str = ""
    full: bool = False

    @property
    def empty(self) -> bool:
        """Whether no file at all was taken."""
        return not any(files.count for session in self.sessions for files in session.files)


@dataclass
class Held:
    """A session, or several, in user space: their descriptors, and those of their files."""

    session: Session
    fds: list[int] = field(default_factory=list)
    files: list[tuple[Files, list[int]]] = field(default_factory=list)


class UnusableError(Exception):
    """The device cannot be opened, for the reason ``error``."""

    def __init__(self, error: AgentError) -> None:
        super().__init__(str(error))
        self.error = error


@asynccontextmanager
async def opened(agent: Agent) -> AsyncIterator[int]:
    """The device, as long as sessions are made or retrieved: only one can have it open.

    Raises:
        UnusableError: it cannot be opened.
    """
    try:
        [device] = descriptors(await agent.command("open", path=DEVICE))
    except AgentError as error:
        raise UnusableError(error) from None
    try:
        yield device
    except AgentError:
        await agent.command("close", fds=[device])
        raise
    await agent.command("close", fds=[device])


@asynccontextmanager
async def opened_by_producer(agent: Agent) -> AsyncIterator[int]:
    """The same, where sessions are made.

    Raises:
        NotPossibleError: there is no such device.
        AgentError: it cannot be opened.
    """
    try:
        async with opened(agent) as device:
            yield device
    except UnusableError as unusable:
        if unusable.error.errno in GONE:
            raise NotPossibleError(f"has no {DEVICE}") from None
        raise unusable.error from None
