"""Talking with the agent as a process of the host."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

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


def ask(agent: Path, name: str, **arguments: str | int) -> Message:
    """The answer to one command."""
    return ask_in_parts(agent, name, **arguments)[-1]


def ask_in_parts(agent: Path, name: str, **arguments: str | int) -> list[Message]:
    """All parts of the answer to one command."""
    line = json.dumps({"id": 7, "cmd": name, **arguments}).encode() + b"\n"
    hello, *parts = converse(agent, [line])
    assert hello["event"] == "hello"
    assert {part["id"] for part in parts} == {7}
    return parts
