"""Memory files that the agent makes: what is in them, byte by byte, and what it finds later.

The content is a pattern, the splitmix64 generator as little-endian words, the same as in
``init/pattern.c``: the host knows each byte without ever having seen the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Any

import numpy as np

from khoci.format.ranges import Range
from khoci.guest.protocol import ProtocolError
from khoci.guest.session import Agent

ALLOW_SEALING, NOEXEC_SEAL = 2, 8
"""``MFD_*`` of include/uapi/linux/memfd.h; the latter makes files that never can be executed."""

_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_PIECE = 1 << 16


class Seal(IntFlag):
    """``F_SEAL_*`` of include/uapi/linux/fcntl.h, all that the kernel hands over."""

    SEAL = 1
    SHRINK = 2
    GROW = 4
    WRITE = 8
    FUTURE_WRITE = 16
    EXEC = 32


@dataclass(frozen=True)
class Memfd:
    """A memory file as it is to be.

    Attributes:
        size: in bytes.
        seed: decides the content, 0 to 2^63 - 1.
        holes: never written, in ascending order; they read as zeros.
        position: of the file, in bytes.
        seals: of ``Seal``, put on when it is filled.
        allocate: whether its holes have pages that were never written.
        flags: of ``memfd_create``.
    """

    size: int
    seed: int = 0
    holes: tuple[Range, ...] = ()
    position: int = 0
    seals: int = 0
    allocate: bool = False
    flags: int = ALLOW_SEALING

    def numbered(self, index: int) -> Memfd:
        """The file at ``index`` of several that are made at once."""
        return replace(self, seed=self.seed + index)

    @property
    def sealed(self) -> int:
        """What F_GET_SEALS tells: flags bring seals too, and F_SEAL_EXEC others (mm/memfd.c)."""
        if self.flags & NOEXEC_SEAL:
            return self.seals | Seal.EXEC
        if not self.flags & ALLOW_SEALING:
            return self.seals | Seal.SEAL
        executable = Seal.SHRINK | Seal.GROW | Seal.WRITE | Seal.FUTURE_WRITE
        return self.seals | executable if self.seals & Seal.EXEC else self.seals

    def content(self) -> bytes:
        """All its bytes."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """All its bytes, a few at a time: a file may be as large as its guest."""
        for start in range(0, self.size, _PIECE):
            end = min(start + _PIECE, self.size)
            piece = bytearray(pattern(self.seed, end - start, start))
            for hole in self.holes:
                first, last = max(hole.start, start), min(hole.end, end)
                if first < last:
                    piece[first - start : last - start] = bytes(last - first)
            yield bytes(piece)

    def sha256(self) -> str:
        """The digest of its content, as hex."""
        state = hashlib.sha256()
        for piece in self.pieces():
            state.update(piece)
        return state.hexdigest()


@dataclass(frozen=True)
class Found:
    """What the agent found a file to be; bytes past the size that it should have are not read.

    Attributes:
        size: in bytes.
        mode: its permissions.
        allocated: bytes of the pages that are there.
        position: in bytes.
        seals: -1 if the file cannot have any.
        checked: bytes that were read and compared.
        wrong: how many of them differ.
        first_wrong: where the first of these is, -1 if there is none.
        sha256: of the bytes that were read, as hex.
    """

    size: int
    mode: int
    allocated: int
    position: int
    seals: int
    checked: int
    wrong: int
    first_wrong: int
    sha256: str

    def differences(self, wanted: Memfd) -> tuple[str, ...]:
        """What is not as it should be, in words.

        Seals and mode are left to whoever knows the two kernels: before 7.1 no seals are handed
        over, what is restored has ``Seal.SEAL``; the mode never is.
        """
        facts = (
            ("size", self.size, wanted.size),
            ("position", self.position, wanted.position),
            ("bytes compared", self.checked, wanted.size),
            ("wrong bytes", self.wrong, 0),
            ("sha256", self.sha256, wanted.sha256()),
        )
        return tuple(f"{what}: {is_} instead of {was}" for what, is_, was in facts if is_ != was)


def pattern(seed: int, size: int, start: int = 0) -> bytes:
    """``size`` bytes of the pattern of ``seed``, from ``start`` on, a multiple of 8."""
    first = start // 8 + 1
    index = np.arange(first, first + -(-size // 8), dtype="<u8")
    mixed = index * np.uint64(_STEP) + np.uint64(seed)
    mixed = (mixed ^ mixed >> np.uint64(30)) * np.uint64(_FIRST)
    mixed = (mixed ^ mixed >> np.uint64(27)) * np.uint64(_SECOND)
    return (mixed ^ mixed >> np.uint64(31)).astype("<u8").tobytes()[:size]


async def make(agent: Agent, memfd: Memfd, count: int = 1) -> list[int]:
    """Make files that differ in their seed only; return the descriptors they have in the guest.

    Raises:
        AgentError: the guest's kernel refuses a step.
    """
    options = {"size": memfd.size, "flags": memfd.flags, "allocate": int(memfd.allocate)}
    fds = descriptors(await agent.command("memfd", count=count, **options))
    await fill(agent, memfd, fds)
    await agent.command("seek", fds=fds, position=memfd.position)
    if memfd.seals:
        await agent.command("seal", fds=fds, seals=memfd.seals)
    return fds


async def fill(agent: Agent, memfd: Memfd, fds: Sequence[int]) -> None:
    """Write the content into files that are there; their position stays.

    Raises:
        AgentError: one cannot be written.
    """
    await agent.command("fill", fds=fds, **_content(memfd))


async def check(agent: Agent, memfd: Memfd, fds: Sequence[int]) -> list[Found]:
    """Compare files with what ``make`` made.

    Raises:
        AgentError: one cannot be read.
        ProtocolError: the agent answers something else.
    """
    answer = await agent.command("check", fds=fds, **_content(memfd))
    try:
        return [Found(**item) for item in answer["files"]]
    except (KeyError, TypeError):
        raise ProtocolError(f"the agent found something else in files: {answer!r:.80}") from None


def descriptors(answer: Mapping[str, Any]) -> list[int]:
    """The file descriptors in an answer.

    Raises:
        ProtocolError: there are none.
    """
    fds = answer.get("fds")
    if not isinstance(fds, list) or not all(isinstance(fd, int) for fd in fds):
        raise ProtocolError(f"the agent opened something else than files: {answer!r:.80}")
    return fds


def _content(memfd: Memfd) -> dict[str, str | int]:
    holes = ",".join(f"{hole.start}:{hole.size}" for hole in memfd.holes)
    return {"size": memfd.size, "seed": memfd.seed, "holes": holes}
