"""The line protocol between khoci and the agent: JSON lines over a serial port. Pure.

The agent greets with ``hello`` and then answers each command, an object with ``id`` and ``cmd``,
with an object of the same ``id``. Anything with ``event`` is news that nobody asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from khoci.errors import HarnessError

VERSION = 1
MAX_LINE = 1 << 16


class ProtocolError(HarnessError):
    """What came over the line is not the protocol."""


@dataclass(frozen=True)
class Hello:
    """The agent is up.

    Attributes:
        release: as ``uname -r`` tells it.
        cmdline: the kernel's command line.
        setup_data: types of the boot parameters' ``setup_data`` nodes; 10 is a handover.
        kho: whether the kernel's KHO is on.
        finalize: whether a handover has to be finalized by hand.
        incoming: files of debugfs ``kho/in``.
        uptime: nanoseconds since the kernel started.
    """

    release: str
    cmdline: str
    setup_data: tuple[int, ...]
    kho: bool
    finalize: bool
    incoming: tuple[str, ...]
    uptime: int


@dataclass(frozen=True)
class Answer:
    """The answer to command ``id``; ``error`` says what failed where ``ok`` is false."""

    id: int
    ok: bool
    error: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """News that nobody asked for."""

    name: str
    fields: Mapping[str, Any]


def encode_command(number: int, name: str, **arguments: str | int) -> str:
    """One command as a line, without the line's end.

    Raises:
        ProtocolError: it is longer than the agent reads.
    """
    line = json.dumps({"id": number, "cmd": name, **arguments}, separators=(",", ":"))
    if len(line) >= MAX_LINE:
        raise ProtocolError(f"command '{name}' has {len(line)} bytes, the agent reads {MAX_LINE}")
    return line


def parse_line(line: str) -> Hello | Answer | Event:
    """One line of the agent.

    Raises:
        ProtocolError: it is not a message of this protocol, or of another version.
    """
    try:
        message = json.loads(line)
        if "event" not in message:
            return _answer(message)
        return _hello(message) if message["event"] == "hello" else _event(message)
    except (ValueError, KeyError, TypeError):
        raise ProtocolError(
            f"the agent said something else than it should: {line[:80]!r}"
        ) from None


def _hello(message: Mapping[str, Any]) -> Hello:
    if message["khoci"] != VERSION:
        raise ProtocolError(f"the agent speaks version {message['khoci']}, khoci {VERSION}")
    kho = message["kho"]
    return Hello(
        release=str(message["release"]),
        cmdline=str(message["cmdline"]),
        setup_data=tuple(int(kind) for kind in message["setup_data"]),
        kho=bool(kho["enabled"]),
        finalize=bool(kho["finalize"]),
        incoming=tuple(str(name) for name in kho["in"]),
        uptime=int(message["uptime"]),
    )


def _answer(message: Mapping[str, Any]) -> Answer:
    rest = {key: value for key, value in message.items() if key not in ("id", "ok", "error")}
    return Answer(int(message["id"]), message["ok"] is True, str(message.get("error", "")), rest)


def _event(message: Mapping[str, Any]) -> Event:
    rest = {key: value for key, value in message.items() if key != "event"}
    return Event(str(message["event"]), rest)
