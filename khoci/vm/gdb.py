"""A client of QEMU's gdb stub: just what stopping at one instruction takes.

The protocol is the GDB Remote Serial Protocol; packets are ``$payload#checksum``.
"""

from __future__ import annotations

from dataclasses import dataclass

from khoci.errors import HarnessError

INTERRUPT = b"\x03"
"""Asks a running guest to stop; the answer is a stop reply."""


def encode_packet(payload: str) -> bytes:
    """Frame ``payload`` as a packet."""
    return f"${payload}#{sum(payload.encode()) & 0xFF:02x}".encode()


@dataclass(frozen=True, slots=True)
class Packets:
    """What could be taken out of received bytes: whole payloads, and the rest to keep."""

    payloads: tuple[str, ...]
    rest: bytes


def split_packets(data: bytes) -> Packets:
    """Take all whole packets out of ``data``; acknowledgements (``+``) are skipped.

    Raises:
        HarnessError: a packet's checksum is wrong.
    """
    payloads: list[str] = []
    while True:
        start = data.find(b"$")
        end = data.find(b"#", start)
        if start < 0 or end < 0 or len(data) < end + 3:
            return Packets(tuple(payloads), data[start:] if start >= 0 else b"")
        payload, checksum = data[start + 1 : end], data[end + 1 : end + 3]
        if f"{sum(payload) & 0xFF:02x}".encode() != checksum.lower():
            raise HarnessError("QEMU's gdb stub sent a packet with a wrong checksum")
        payloads.append(payload.decode("ascii", "replace"))
        data = data[end + 3 :]


def insert_breakpoint(address: int) -> str:
    """The command that sets a hardware breakpoint at virtual ``address``."""
    return f"Z1,{address:x},1"


def remove_breakpoint(address: int) -> str:
    """The command that removes the hardware breakpoint at virtual ``address``."""
    return f"z1,{address:x},1"


def is_stop(payload: str) -> bool:
    """Whether a payload reports that the guest stopped at a trap."""
    return payload.startswith(("T05", "S05"))
