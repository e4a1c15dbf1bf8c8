"""What a VMM does after the jump: it retrieves sessions and files, compares, and finishes.

Nothing is raised for what a kernel does wrong: that is the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from khoci.guest.memfd import Found, Memfd, Seal, check, descriptors
from khoci.guest.session import Agent, AgentError
from khoci.scenario.base import Checked, Outcome, Verified
from khoci.scenario.sessions import (
    DEVICE,
    GONE,
    Files,
    Held,
    Preserved,
    Session,
    UnusableError,
    opened,
)

UNSEALED = "unsealed"
"""In the data of a file: it came back as one that never was sealed. Its format says if it may."""


async def verify(agent: Agent, state: Preserved) -> Verified:
    """Retrieve all sessions and files, compare each, and finish the sessions."""
    held, checked = list[Held](), _limit(state)
    try:
        async with opened(agent) as device:
            for session in state.sessions:
                checked += await _session(agent, device, held, session)
    except UnusableError as unusable:
        return Verified(tuple(_unusable(state, unusable.error)))
    return Verified(tuple(checked), held)


async def release(agent: Agent, held: Sequence[Held] | None) -> None:
    """Close everything."""
    for item in held or ():
        await agent.command("close", fds=[*item.fds, *(fd for _, fds in item.files for fd in fds)])


def _limit(state: Preserved) -> list[Checked]:
    """What the producer refused; if it was full, what it took is what has to come back."""
    if not state.refused:
        return []
    data = {"refused": state.refused}
    if state.full and not state.empty:
        return [Checked("session", "the producer's limit", Outcome.SAME, state.refused, data)]
    component = "memfd" if state.sessions else "session"
    return [Checked(component, "the producer", Outcome.REFUSED, state.refused, data)]


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


async def _session(agent: Agent, device: int, held: list[Held], session: Session) -> list[Checked]:
    try:
        answer = await agent.command("retrieve-session", device=device, **session.arguments)
    except AgentError as error:
        return _lost(session, error)
    kept = Held(session, descriptors(answer))
    held.append(kept)
    checked = [item for files in session.files for item in await _files(agent, kept, files)]
    try:
        await agent.command("finish", fds=kept.fds)
    except AgentError as error:
        return [*checked, _failed("session", session.title, error)]
    return [Checked("session", session.title, Outcome.SAME), *checked]


async def _files(agent: Agent, kept: Held, files: Files) -> list[Checked]:
    arguments = {"session": kept.fds[0], "token": files.token, "count": files.count}
    try:
        fds = descriptors(await agent.command("retrieve", **arguments))
        kept.files.append((files, fds))
        found = await check(agent, files.memfd, fds)
    except AgentError as error:
        return [_failed("memfd", _file(kept.session, token), error) for token, _ in files.each]
    return [
        _compared(_file(kept.session, token), memfd, item)
        for (token, memfd), item in zip(files.each, found, strict=True)
    ]


def _compared(what: str, wanted: Memfd, found: Found) -> Checked:
    differences = found.differences(wanted)
    seals = f"seals: {found.seals:#x} instead of {wanted.sealed:#x}"
    other = [seals] if found.seals != wanted.sealed else []
    unsealed = bool(other) and found.seals == Seal.SEAL
    data: dict[str, Any] = {
        "size": found.size,
        "position": found.position,
        "seals": found.seals,
        "sha256": found.sha256,
        "wrong_bytes": found.wrong,
        UNSEALED: unsealed,
    }
    same = not differences and (unsealed or not other)
    outcome = Outcome.SAME if same else Outcome.DIFFERENT
    return Checked("memfd", what, outcome, "; ".join([*differences, *other]), data)


def _failed(component: str, what: str, error: AgentError) -> Checked:
    outcome = Outcome.MISSING if error.errno in GONE else Outcome.REFUSED
    return Checked(component, what, outcome, str(error), {"errno": error.errno})


def _file(session: Session, token: int) -> str:
    return f"file {token} of '{session.name}'"
