"""Sessions and what is said of them, with the files of a real kernel; tests/vm has the rest."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from khoci.format.ranges import Range
from khoci.guest.memfd import NOEXEC_SEAL, Memfd, Seal, check, make
from khoci.guest.session import Agent, AgentError
from khoci.scenario.base import Checked, NotPossibleError, Outcome
from khoci.scenario.preserving import again, preserve
from khoci.scenario.retrieving import release, verify
from khoci.scenario.sessions import Files, Preserved, Session
from khoci.scenario.unfinalized import preserve as preserve_unfinalized
from tests.guest.talk import with_agent
from tests.scenario.liveupdate import LiveUpdate

FILE = Memfd(8192 + 5, seed=7, holes=(Range(4096, 100),), position=9, seals=Seal.GROW)
VM = Session("vm", (Files(3, FILE, 2),))
EMPTY = Session("empty-", count=3)
SAME, DIFFERENT = Outcome.SAME, Outcome.DIFFERENT
MISSING, REFUSED = Outcome.MISSING, Outcome.REFUSED

Damage = Callable[[LiveUpdate], object]
Answer = Mapping[str, Any]


async def seen_after(model: LiveUpdate, *wanted: Session) -> tuple[Checked, ...]:
    state = await preserve(model, wanted or (VM, EMPTY))
    model.jump()
    return (await verify(model, state)).checked


def outcomes(checked: tuple[Checked, ...]) -> list[tuple[str, str, str]]:
    return [(item.component, item.what, item.outcome) for item in checked]


def test_what_was_preserved_comes_back_and_is_finished(built_agent: Path) -> None:
    async def work(agent: Agent) -> None:
        model = LiveUpdate(agent)
        checked = await seen_after(model)
        assert outcomes(checked) == [
            ("session", "session 'vm'", SAME),
            ("memfd", "file 3 of 'vm'", SAME),
            ("memfd", "file 4 of 'vm'", SAME),
            ("session", "3 sessions 'empty-'", SAME),
        ]
        assert checked[1].data == {
            "size": FILE.size,
            "position": 9,
            "seals": Seal.GROW,
            "sha256": FILE.sha256(),
            "wrong_bytes": 0,
            "unsealed": False,
        }
        assert model.finished == ["vm", "empty-0", "empty-1", "empty-2"]

    with_agent(built_agent, work)


@pytest.mark.parametrize(
    ("seals", "written"), [(0, True), (Seal.SHRINK, True), (Seal.WRITE, False), (Seal.EXEC, False)]
)
def test_what_can_be_written_is_written_after_it_was_preserved(
    built_agent: Path, seals: Seal, *, written: bool
) -> None:
    memfd = replace(FILE, seals=seals)
    wrong: list[int] = []

    class Watching(LiveUpdate):
        async def _preserve(self, session: int, token: int, fds: list[int]) -> Answer:
            wrong.extend(item.wrong for item in await check(self, memfd, fds))
            return await super()._preserve(session, token, fds)

    async def work(agent: Agent) -> None:
        checked = await seen_after(Watching(agent), Session("vm", (Files(1, memfd),)))
        assert [item.outcome for item in checked] == [SAME, SAME]

    with_agent(built_agent, work)
    assert [number > memfd.size // 2 for number in wrong] == [written]


async def seen_instead(agent: Agent, other: Memfd) -> Checked:
    """What is said where another file comes back than ``FILE``."""
    model = LiveUpdate(agent)
    state = await preserve(model, [Session("vm", (Files(1, FILE),))])
    [model.outgoing["vm"][1]] = await make(agent, other)
    model.jump()
    return (await verify(model, state)).checked[1]


@pytest.mark.parametrize(
    ("other", "detail"),
    [
        (replace(FILE, position=8), "position: 8 instead of 9"),
        (replace(FILE, seals=0), "seals: 0x0 instead of 0x4"),
        (replace(FILE, seals=6), "seals: 0x6 instead of 0x4"),
        (replace(FILE, flags=NOEXEC_SEAL), "seals: 0x24 instead of 0x4"),
    ],
)
def test_position_and_seals_are_compared(built_agent: Path, other: Memfd, detail: str) -> None:
    found = with_agent(built_agent, lambda agent: seen_instead(agent, other))
    assert (found.outcome, found.detail) == (DIFFERENT, detail)
    assert not found.data["unsealed"]


def test_a_file_made_anew_without_its_seals_is_told_apart(built_agent: Path) -> None:
    other = replace(FILE, seals=0, flags=0)
    found = with_agent(built_agent, lambda agent: seen_instead(agent, other))
    assert (found.outcome, found.detail) == (SAME, "seals: 0x1 instead of 0x4")
    assert found.data["unsealed"]


def test_a_file_that_is_as_it_was_has_lost_nothing(built_agent: Path) -> None:
    found = with_agent(built_agent, lambda agent: seen_instead(agent, FILE))
    assert (found.outcome, found.detail) == (SAME, "")
    assert not found.data["unsealed"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(FILE, size=FILE.size + 1), ["size"]),
        (replace(FILE, size=FILE.size - 1), ["size", "bytes compared"]),
        (replace(FILE, holes=()), ["wrong bytes", "sha256"]),
        (replace(FILE, seed=8), ["wrong bytes", "sha256"]),
    ],
)
def test_size_and_content_are_compared(built_agent: Path, other: Memfd, words: list[str]) -> None:
    found = with_agent(built_agent, lambda agent: seen_instead(agent, other))
    assert found.outcome is DIFFERENT
    assert [part.split(":")[0] for part in found.detail.split("; ")][: len(words)] == words


def drop_session(model: LiveUpdate) -> None:
    del model.outgoing["vm"]


def drop_file(model: LiveUpdate) -> None:
    del model.outgoing["vm"][4]


def refuse(name: str) -> Damage:
    return lambda model: model.errors.update({name: errno.EINVAL})


@pytest.mark.parametrize(
    ("damage", "session", "files", "others"),
    [
        (drop_session, MISSING, MISSING, SAME),
        (drop_file, SAME, MISSING, SAME),
        (refuse("retrieve-session"), REFUSED, REFUSED, REFUSED),
        (refuse("retrieve"), SAME, REFUSED, SAME),
        (refuse("check"), SAME, REFUSED, SAME),
        (refuse("finish"), REFUSED, SAME, REFUSED),
    ],
)
def test_what_a_kernel_does_wrong_is_a_result(
    built_agent: Path, damage: Damage, session: Outcome, files: Outcome, others: Outcome
) -> None:
    async def work(agent: Agent) -> tuple[Checked, ...]:
        model = LiveUpdate(agent)
        state = await preserve(model, (VM, EMPTY))
        damage(model)
        model.jump()
        return (await verify(model, state)).checked

    found: dict[tuple[str, str], set[Outcome]] = {}
    for item in with_agent(built_agent, work):
        found.setdefault((item.component, item.what.rpartition(" ")[2]), set()).add(item.outcome)
        assert (item.outcome in (MISSING, REFUSED)) == ("errno" in item.data)
    session_of = {name: seen for (part, name), seen in found.items() if part == "session"}
    assert session_of == {"'vm'": {session}, "'empty-'": {others}}
    assert found[("memfd", "'vm'")] == {files}


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(errno.ENOENT, MISSING), (errno.ENODEV, MISSING), (errno.EINVAL, REFUSED)],
)
def test_a_device_that_cannot_be_opened_is_no_skip(
    built_agent: Path, number: int, outcome: Outcome
) -> None:
    async def work(agent: Agent) -> None:
        state = Preserved((VM, EMPTY))
        found = await verify(LiveUpdate(agent, {"open": number}), state)
        assert outcomes(found.checked) == [
            ("luo", "/dev/liveupdate", outcome),
            ("session", "session 'vm'", outcome),
            ("memfd", "file 3 of 'vm'", outcome),
            ("memfd", "file 4 of 'vm'", outcome),
            ("session", "3 sessions 'empty-'", outcome),
        ]
        assert {item.data["errno"] for item in found.checked} == {number}
        assert found.held is None
        await release(agent, found.held)
        with pytest.raises(NotPossibleError):
            await again(agent, found.held)

    with_agent(built_agent, work)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOENT, NotPossibleError),
        (errno.ENODEV, NotPossibleError),
        (errno.EINVAL, AgentError),
    ],
)
def test_without_a_device_there_is_nothing_to_preserve(
    built_agent: Path, number: int, error: type[Exception]
) -> None:
    async def work(agent: Agent) -> None:
        with pytest.raises(error):
            await preserve(LiveUpdate(agent, {"open": number}), [VM])

    with_agent(built_agent, work)


@pytest.mark.parametrize(
    ("room", "taken", "refused"),
    [
        ((3, 9), (VM, replace(EMPTY, count=2)), "create-session: ENOMEM"),
        ((9, 1), (Session("vm", (Files(3, FILE),)),), "preserve: ENOSPC"),
        ((4, 2), (VM, EMPTY), ""),
    ],
)
def test_what_a_full_kernel_took_has_to_come_back(
    built_agent: Path, room: tuple[int, int], taken: tuple[Session, ...], refused: str
) -> None:
    async def work(agent: Agent) -> None:
        model = LiveUpdate(agent)
        model.room = room
        state = await preserve(model, (VM, EMPTY))
        assert state == Preserved(taken, refused, full=bool(refused))
        model.jump()
        checked = (await verify(model, state)).checked
        assert [item.detail for item in checked if item.detail] == [refused] * bool(refused)
        assert {item.outcome for item in checked} == {SAME}

    with_agent(built_agent, work)


@pytest.mark.parametrize(
    ("room", "component", "refused"),
    [((0, 9), "session", "create-session: ENOMEM"), ((9, 0), "memfd", "preserve: ENOSPC")],
)
def test_a_kernel_that_is_full_from_the_start_refuses(
    built_agent: Path, room: tuple[int, int], component: str, refused: str
) -> None:
    async def work(agent: Agent) -> None:
        model = LiveUpdate(agent)
        model.room = room
        state = await preserve(model, (VM, EMPTY))
        assert state.empty
        model.jump()
        checked = (await verify(model, state)).checked
        assert [(item.component, item.detail) for item in checked if item.outcome is REFUSED] == [
            (component, refused)
        ]

    with_agent(built_agent, work)


@pytest.mark.parametrize(
    ("name", "component"), [("create-session", "session"), ("preserve", "memfd")]
)
def test_what_a_producer_refuses_otherwise_is_refused_and_the_device_is_closed(
    built_agent: Path, name: str, component: str
) -> None:
    async def work(agent: Agent) -> None:
        model = LiveUpdate(agent, {name: errno.EPERM})
        state = await preserve(model, [VM])
        assert not state.full
        model.jump()
        checked = (await verify(model, state)).checked
        refused = [item for item in checked if item.outcome is REFUSED]
        assert [(item.component, item.detail) for item in refused] == [(component, state.refused)]
        await model.command("open", path="/dev/liveupdate")

    with_agent(built_agent, work)

    with_agent(built_agent, work)


def test_what_was_retrieved_is_handed_over_again_and_then_given_up(built_agent: Path) -> None:
    async def work(agent: Agent) -> None:
        model = LiveUpdate(agent)
        before = await open_files(agent)
        state = await preserve(model, (VM, EMPTY))
        for _ in range(3):
            model.jump()
            found = await verify(model, state)
            assert {item.outcome for item in found.checked} == {SAME}
            assert await again(model, found.held) == state
        model.jump()
        await release(model, (await verify(model, state)).held)
        assert await open_files(agent) == before

    with_agent(built_agent, work)


def test_what_did_not_come_back_is_not_handed_over_again(built_agent: Path) -> None:
    other = Files(9, FILE)

    async def work(agent: Agent) -> Preserved:
        model = LiveUpdate(agent)
        state = await preserve(model, [Session("vm", (*VM.files, other)), EMPTY, Session("b")])
        drop_file(model)
        del model.outgoing["b"]
        model.jump()
        return await again(model, (await verify(model, state)).held)

    assert with_agent(built_agent, work) == Preserved((Session("vm", (other,)), EMPTY))


async def open_files(agent: Agent) -> list[str]:
    names: list[str] = (await agent.command("list", path="/proc/thread-self/fd"))["names"]
    return names


def test_where_nothing_is_finalized_nothing_can_be_forgotten(built_agent: Path) -> None:
    async def work(agent: Agent) -> None:
        with pytest.raises(NotPossibleError, match="finalizes by itself"):
            await preserve_unfinalized(agent)
        with pytest.raises(AgentError):
            await preserve_unfinalized(LiveUpdate(agent, {"read": errno.EACCES}))

    with_agent(built_agent, work)
