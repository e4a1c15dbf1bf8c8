"""Live update sessions of every kind: to preserve them, and to check them on the other side.

``python -m tests.vm.luo FOLDER KERNEL...`` leaves a capture of each kernel: ``RELEASE-luo.ram``, a
sparse file of guest RAM at the jump, and ``RELEASE-luo.json``, which says what is in it.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from khoci.format.ranges import Range
from khoci.guest.memfd import Memfd, Seal, check, descriptors, make
from khoci.guest.session import Agent, AgentError
from khoci.vm.ram import GuestRam
from tests.vm.handovers import Handover, Standing, built, run

DEVICE = "/dev/liveupdate"
PAGE, MIB = 4096, 1 << 20


@dataclass(frozen=True)
class Files:
    """``count`` files with consecutive tokens and seeds."""

    token: int
    memfd: Memfd
    count: int = 1


@dataclass(frozen=True)
class Sessions:
    """One session, or ``count`` of them, name0, name1 and so on, each with the same files."""

    name: str
    files: tuple[Files, ...] = ()
    count: int = 0

    @property
    def arguments(self) -> dict[str, str | int]:
        """How the agent is told of them."""
        return {"name": self.name, **({"count": self.count} if self.count else {})}

    @property
    def names(self) -> list[str]:
        """The name of each."""
        return [f"{self.name}{i}" for i in range(self.count)] if self.count else [self.name]


ONE_PAGE = Memfd(PAGE, seed=1)
HOLES = Memfd(MIB, seed=2, holes=(Range(0, 3 * PAGE), Range(5 * PAGE, PAGE), Range(65536, 500_000)))
SEALED = Memfd(
    5 * MIB + 123,
    seed=3,
    position=4711,
    seals=Seal.SHRINK | Seal.GROW | Seal.FUTURE_WRITE,
)
VARIETY = (
    Sessions("empty"),
    Sessions("vm-1", (Files(7, ONE_PAGE), Files(8, HOLES), Files(2**63 - 1, SEALED))),
    Sessions("n" * 63, (Files(0, Memfd(0, seed=4)),)),
    Sessions("größe", (Files(1, Memfd(1, seed=5, position=1 << 40)),)),
    Sessions("byte-\udce9", (Files(1, Memfd(8 * PAGE, holes=(Range(0, 8 * PAGE),))),)),
    Sessions(
        "untouched", (Files(1, Memfd(8 * PAGE + 1, 6, (Range(0, 8 * PAGE),), allocate=True)),)
    ),
    Sessions("", (Files(1, ONE_PAGE),)),
    Sessions("files", (Files(1000, Memfd(PAGE, seed=1000), 120),)),
    Sessions("many-", (Files(1, Memfd(PAGE + 1, seed=7)),), 60),
)
"""What one guest preserves: more than a kho block of sessions, and of files in one of them."""


async def preserve(agent: Agent, wanted: tuple[Sessions, ...] = VARIETY) -> list[Sessions]:
    """Preserve all that the kernel takes; it may refuse names (EINVAL). Return what it took."""
    device = await open_device(agent)
    return [item for item in wanted if await _preserve(agent, device, item)]


async def open_device(agent: Agent) -> int:
    return descriptors(await agent.command("open", path=DEVICE))[0]


async def _preserve(agent: Agent, device: int, item: Sessions) -> bool:
    try:
        answer = await agent.command("create-session", device=device, **item.arguments)
    except AgentError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    for session in descriptors(answer):
        for files in item.files:
            fds = await make(agent, files.memfd, files.count)
            await agent.command("preserve", session=session, token=files.token, fds=fds)
    return True


async def verify(agent: Agent, preserved: list[Sessions]) -> None:
    """Retrieve everything, compare it, and finish."""
    device = await open_device(agent)
    for item in preserved:
        answer = await agent.command("retrieve-session", device=device, **item.arguments)
        sessions = descriptors(answer)
        for session in sessions:
            for files in item.files:
                await _verify_files(agent, session, files)
        await agent.command("finish", fds=sessions)
        await agent.command("close", fds=sessions)


async def _verify_files(agent: Agent, session: int, files: Files) -> None:
    arguments = {"session": session, "token": files.token, "count": files.count}
    fds = descriptors(await agent.command("retrieve", **arguments))
    found = await check(agent, files.memfd, fds)
    assert len(found) == files.count
    for index, item in enumerate(found):
        assert item.differences(files.memfd.numbered(index)) == ()
    await agent.command("close", fds=fds)


def manifest(standing: Standing[list[Sessions]], release: str) -> dict[str, Any]:
    """What is in a capture, for who decodes it."""
    return {
        "release": release,
        "memory": standing.ram.size,
        "fdt_addr": standing.fdt_addr,
        "scratch": standing.scratch.hex() if standing.scratch else None,
        "sessions": [
            {"name": os.fsencode(name).hex(), "files": _files(item)}
            for item in standing.prepared
            for name in item.names
        ],
    }


def _files(item: Sessions) -> list[dict[str, Any]]:
    return [
        _file(files.token + index, files.memfd.numbered(index))
        for files in item.files
        for index in range(files.count)
    ]


def _file(token: int, memfd: Memfd) -> dict[str, Any]:
    return {
        "token": token,
        "size": memfd.size,
        "position": memfd.position,
        "seals": int(memfd.seals),
        "seed": memfd.seed,
        "holes": [[hole.start, hole.size] for hole in memfd.holes],
        "sha256": memfd.sha256(),
    }


def copy_ram(ram: GuestRam, target: Path) -> None:
    """Write a file in which guest-physical address is offset; a hole is what nobody touched."""
    with target.open("wb") as file:
        file.truncate(ram.ram[-1].end)
        for extent in ram.data():
            file.seek(extent.start)
            file.write(ram.read(extent.start, extent.size))


def _keep(folder: Path, release: str, standing: Standing[list[Sessions]]) -> None:
    copy_ram(standing.ram, folder / f"{release}-luo.ram")
    text = json.dumps(manifest(standing, release), indent=1)
    (folder / f"{release}-luo.json").write_text(text + "\n")
    (folder / f"{release}-luo.log").write_text(standing.log)


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        kernel = built(name)
        keep = partial(_keep, folder, kernel.release)
        run(Handover(kernel, kernel, preserve, keep), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
