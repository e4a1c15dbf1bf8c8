"""A model of live update sessions for an agent on the host, whose files are real."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from khoci.guest.protocol import Argument
from khoci.guest.session import Agent, AgentError

DEVICE, FIRST = 100_000, 100_001
"""Descriptors of the model; those of real files are less."""


class LiveUpdate(Agent):
    """Answers what is about sessions itself, and asks the real agent for the rest.

    Attributes:
        errors: error numbers of commands that the kernel is to refuse.
        room: for how many sessions, and how many files in each.
        outgoing: by session, the files by token; `jump` makes them incoming.
        finished: sessions, in the order they were finished.
    """

    def __init__(self, agent: Agent, errors: Mapping[str, int] | None = None) -> None:
        self._agent = agent
        self.errors = dict(errors or {})
        self.room = (1000, 1000)
        self.outgoing: dict[str, dict[int, int]] = {}
        self.finished: list[str] = []
        self._incoming: dict[str, dict[int, int]] = {}
        self._names: dict[int, str] = {}

    def jump(self) -> None:
        """The other side: what was preserved can be retrieved."""
        self._incoming, self.outgoing, self._names = self.outgoing, {}, {}

    async def command(self, name: str, /, **arguments: Argument) -> Mapping[str, Any]:
        """Do as the kernel does, or refuse."""
        if name in self.errors:
            raise refusal(name, self.errors[name])
        modelled = getattr(self, "_" + name.replace("-", "_"), None)
        if modelled is None:
            return await self._agent.command(name, **arguments)
        answer: Mapping[str, Any] = await modelled(**arguments)
        return answer

    async def _open(self, path: str) -> Mapping[str, Any]:
        assert path == "/dev/liveupdate"
        if DEVICE in self._names:
            raise refusal("open", errno.EBUSY)
        self._names[DEVICE] = path
        return {"fds": [DEVICE]}

    async def _close(self, fds: list[int]) -> Mapping[str, Any]:
        for fd in fds:
            if fd >= DEVICE:
                self.outgoing.pop(self._names.pop(fd), None)
        real = [fd for fd in fds if fd < DEVICE]
        return await self._agent.command("close", fds=real) if real else {}

    async def _create_session(self, device: int, name: str) -> Mapping[str, Any]:
        assert device in self._names
        if name in self.outgoing:
            raise refusal("create-session", errno.EEXIST)
        if len(self.outgoing) == self.room[0]:
            raise refusal("create-session", errno.ENOMEM)
        self.outgoing[name] = {}
        return {"fds": [self._opened(name)]}

    async def _retrieve_session(self, device: int, name: str, count: int = 0) -> Mapping[str, Any]:
        assert device in self._names
        names = [f"{name}{i}" for i in range(count)] if count else [name]
        if not self._incoming.keys() >= set(names):
            raise refusal("retrieve-session", errno.ENOENT)
        return {"fds": [self._opened(each) for each in names]}

    async def _preserve(self, session: int, token: int, fds: list[int]) -> Mapping[str, Any]:
        files = self.outgoing[self._names[session]]
        for i, fd in enumerate(fds):
            if len(files) == self.room[1]:
                raise refusal("preserve", errno.ENOSPC)
            files[token + i] = fd
        return {}

    async def _retrieve(self, session: int, token: int, count: int) -> Mapping[str, Any]:
        files = self._incoming[self._names[session]]
        if any(token + i not in files for i in range(count)):
            raise refusal("retrieve", errno.ENOENT)
        return {"fds": [files[token + i] for i in range(count)]}

    async def _finish(self, fds: list[int]) -> Mapping[str, Any]:
        self.finished += [self._names[fd] for fd in fds]
        return {}

    def _opened(self, name: str) -> int:
        fd = max(FIRST, *self._names, DEVICE) + 1
        self._names[fd] = name
        return fd


def refusal(name: str, number: int) -> AgentError:
    return AgentError(f"{name}: {errno.errorcode[number]}", number)
