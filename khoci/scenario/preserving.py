"""What a VMM does before the jump: it makes sessions and preserves files in them."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from khoci.guest.memfd import Seal, descriptors, fill, make
from khoci.guest.protocol import Argument
from khoci.guest.session import Agent, AgentError
from khoci.scenario.base import NotPossibleError
from khoci.scenario.sessions import DEVICE, Files, Held, Preserved, Session, opened_by_producer

_FULL = (errno.ENOMEM, errno.ENOSPC)
_READ_ONLY = Seal.WRITE | Seal.FUTURE_WRITE | Seal.EXEC
_OTHER = 1 << 32
"""Added to a seed for a content that is written over."""

Arguments = Mapping[str, Argument]


async def preserve(agent: Agent, wanted: Sequence[Session]) -> Preserved:
    """Make sessions and files, preserve them, and then write over what is in the files.

    What the kernel refuses is left out with all that would come after it.

    Raises:
        NotPossibleError: there is no live update device.
        AgentError: the agent failed.
    """
    async with opened_by_producer(agent) as device:
        made = [Held(session, files=await _make(agent, session)) for session in wanted]
        preserved = await _preserve(agent, device, made)
    for files, fds in (item for held in made for item in held.files):
        if _writable(files):
            await fill(agent, files.memfd, fds)
    return preserved


async def again(agent: Agent, held: Sequence[Held] | None) -> Preserved:
    """Preserve what was retrieved once more, in new sessions of the same names.

    Raises:
        NotPossibleError: there is no live update device.
        AgentError: the agent failed.
    """
    if held is None:
        raise NotPossibleError(f"{DEVICE} cannot be opened")
    async with opened_by_producer(agent) as device:
        for item in held:
            await agent.command("close", fds=item.fds)
        return await _preserve(agent, device, held)


async def _make(agent: Agent, session: Session) -> list[tuple[Files, list[int]]]:
    """The files of a session; those that can be written later have another content."""
    made = []
    for files in session.files:
        seed = files.memfd.seed + (_OTHER if _writable(files) else 0)
        made.append((files, await make(agent, replace(files.memfd, seed=seed), files.count)))
    return made


def _writable(files: Files) -> bool:
    return not files.memfd.seals & _READ_ONLY


async def _preserve(agent: Agent, device: int, wanted: Iterable[Held]) -> Preserved:
    taken: list[Session] = []
    for item in wanted:
        refused = await _preserve_session(agent, device, item, taken)
        if refused:
            return Preserved(tuple(taken), str(refused), full=refused.errno in _FULL)
    return Preserved(tuple(taken))


async def _preserve_session(
    agent: Agent, device: int, item: Held, taken: list[Session]
) -> AgentError | None:
    """Add to ``taken`` what the kernel takes of a session; return why not all, None if all."""
    session = item.session
    created, refused = await _until_refused(
        agent, "create-session", [{"device": device, "name": name} for name in session.names]
    )
    if not created:
        return refused
    taken.append(replace(session, files=(), count=len(created) if session.count else 0))
    for files, fds in item.files:
        if not refused:
            refused = await _preserve_files(agent, descriptors(created[0])[0], files, fds, taken)
    return refused


async def _preserve_files(
    agent: Agent, session: int, files: Files, fds: Sequence[int], taken: list[Session]
) -> AgentError | None:
    preserved, refused = await _until_refused(
        agent,
        "preserve",
        [
            {"session": session, "token": token, "fds": [fd]}
            for (token, _), fd in zip(files.each, fds, strict=True)
        ],
    )
    if preserved:
        part = replace(files, count=len(preserved))
        taken[-1] = replace(taken[-1], files=(*taken[-1].files, part))
    return refused


async def _until_refused(
    agent: Agent, command: str, each: Iterable[Arguments]
) -> tuple[list[Mapping[str, Any]], AgentError | None]:
    """Give a command with each of the arguments; return the answers, and what refused the rest."""
    answers = []
    for arguments in each:
        try:
            answers.append(await agent.command(command, **arguments))
        except AgentError as error:
            if not error.errno:
                raise
            return answers, error
    return answers, None
