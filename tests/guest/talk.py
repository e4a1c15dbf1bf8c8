"""Talking with the agent as a process of the host."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from khoci.guest.session import Agent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from pathlib import Path

T = TypeVar("T")
Message = dict[str, Any]

_ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}


def converse(agent: Path, chunks: Iterable[bytes]) -> list[Message]:
    """Write the chunks one by one; return what the agent said until it ended, hello first."""
    process = subprocess.Popen(
        [agent, "--stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_ENVIRONMENT,
        bufsize=0,
    )
    assert process.stdin is not None
    with process:
        for chunk in chunks:
            process.stdin.write(chunk)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors.decode("utf-8", "replace")
    return [json.loads(line) for line in output.splitlines()]


def ask(agent: Path, name: str, /, **arguments: str | int) -> Message:
    """The answer to one command."""
    return ask_in_parts(agent, name, **arguments)[-1]


def ask_in_parts(agent: Path, name: str, /, **arguments: str | int) -> list[Message]:
    """All parts of the answer to one command."""
    line = json.dumps({"id": 7, "cmd": name, **arguments}).encode() + b"\n"
    hello, *parts = converse(agent, [line])
    assert hello["event"] == "hello"
    assert {part["id"] for part in parts} == {7}
    return parts


@dataclass(frozen=True)
class Pipes:
    """The line to an agent on the host."""

    process: asyncio.subprocess.Process

    async def next_line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()

    async def send_line(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        await self.process.stdin.drain()


def with_agent(agent: Path, work: Callable[[Agent], Awaitable[T]], files: int = 4096) -> T:
    """What ``work`` makes of an agent on the host that may have ``files`` files open."""

    async def run() -> T:
        process = await asyncio.create_subprocess_exec(
            *("sh", "-c", f'ulimit -n {files}; exec "$0" --stdio', agent),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_ENVIRONMENT,
            limit=1 << 20,
        )
        try:
            talking = Agent(Pipes(process))
            await talking.hello()
            result = await work(talking)
        finally:
            output, _ = await process.communicate(b"")
        assert (process.returncode, output) == (0, b"")
        return result

    return asyncio.run(run())
