"""The line protocol between khoci and the agent: JSON lines over a serial port. Pure.

The agent greets with ``hello`` and then answers each command, an object with ``id`` and ``cmd``,
with one or more objects of the same ``id``, all but the last marked ``more``; a line that it cannot
read is answered with the id 0. Anything with ``event`` is news that nobody asked for.

A string on the line stands for bytes, one code point each: that way the line is ASCII, and nothing
that a kernel says is lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from khoci.errors import HarnessError

VERSION = 1
Argument = str | int | Sequence[int]
"""What a command takes; numbers in a row are sent as text, ``5,6``."""
MAX_LINE = 1 << 16
UNREADABLE = 0
"""The id of the answer to a line that the agent could not read."""


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
        incoming: files below debugfs ``kho/in``: ``fdt``, ``sub_fdts/memblock``.
        uptime: nanoseconds since the kernel started.
        mem_total: the kernel's ``MemTotal`` in kB.
        missing: file systems that could not be mounted: ``debugfs: ENODEV``.
    """

    release: str
    cmdline: str
    setup_data: tuple[int, ...]
    kho: bool
    finalize: bool
    incoming: tuple[str, ...]
    uptime: int
    mem_total: int
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """The answer to command ``id``, or a part of it.

    Attributes:
        id: of the command.
        ok: whether it was done.
        error: what failed where ``ok`` is false: ``kexec_file_load: EADDRNOTAVAIL``.
        errno: the number of that error, 0 if there is none.
        more: whether the next part follows.
        fields: what the command gives.
    """

    id: int
    ok: bool
    error: str = ""
    errno: int = 0
    more: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """News that nobody asked for."""

    name: str
    fields: Mapping[str, Any]


def encode_command(number: int, name: str, /, **arguments: Argument) -> str:
    """One command as a line, without the line's end.

    Raises:
        ProtocolError: the agent could not read it: it is too long, or has a NUL in it.
    """
    encoded = {key: _encoded(value) for key, value in arguments.items()}
    line = json.dumps({"id": number, "cmd": name, **encoded}, separators=(",", ":"))
    if len(line) >= MAX_LINE:
        raise ProtocolError(f"command '{name}' has {len(line)} bytes, the agent reads {MAX_LINE}")
    if "\\u0000" in line:
        raise ProtocolError(f"command '{name}' has a NUL character in an argument")
    return line


def parse_line(line: str) -> Hello | Answer | Event:
    """One line of the agent.

    Raises:
        ProtocolError: it is not a message of this protocol, or of another version.
    """
    try:
        message = json.loads(line, parse_constant=_refuse, parse_float=_refuse)
        if not isinstance(message, dict):
            _refuse(line)
        if "event" not in message:
            return _answer(message)
        return _hello(message) if message["event"] == "hello" else _event(message)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ProtocolError(
            f"the agent said something else than it should: {line[:80]!r}"
        ) from None


def sum_of_words(content: bytes) -> int:
    """What the agent's ``sum`` says of a file: all words of 64 bits, little endian, added up."""
    padded = content + bytes(-len(content) % 8)
    return int(np.frombuffer(padded, "<u8").sum(dtype=np.uint64))


def joined(first: Mapping[str, Any], rest: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of two parts of an answer as one; lists are put end to end."""
    both = {**first, **rest}
    for key in first.keys() & rest.keys():
        if isinstance(first[key], list) and isinstance(rest[key], list):
            both[key] = first[key] + rest[key]
    return both


def _encoded(value: Argument) -> str | int:
    if isinstance(value, int):
        return value
    text = value if isinstance(value, str) else ",".join(map(str, value))
    return os.fsencode(text).decode("latin-1")


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


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
        mem_total=int(message["mem_total"]),
        missing=tuple(str(name) for name in message["missing"]),
    )


def _answer(message: Mapping[str, Any]) -> Answer:
    known = ("id", "ok", "error", "errno", "more")
    return Answer(
        id=int(message["id"]),
        ok=message["ok"] is True,
        error=str(message.get("error", "")),
        errno=int(message.get("errno", 0)),
        more=message.get("more") is True,
        fields={key: value for key, value in message.items() if key not in known},
    )


def _event(message: Mapping[str, Any]) -> Event:
    rest = {key: value for key, value in message.items() if key != "event"}
    return Event(str(message["event"]), rest)
