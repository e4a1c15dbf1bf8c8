"""A kernel image of a few bytes of real-mode code, for tests of what is around a guest.

The layout is the x86 boot protocol's (Documentation/arch/x86/boot.rst); QEMU loads it at
``LOADED`` and jumps 0x200 bytes behind that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from khoci.vm.machine import TCG, Accelerator, Machine

if TYPE_CHECKING:
    from pathlib import Path

LOADED = 0x1_0000
CODE = 0x270
HEADER = 8192
CONSOLE, AGENT = 0x3F8, 0x2F8

HALT = bytes.fromhex("fa f4 eb fd")
SPIN = bytes.fromhex("eb fe")
SLEEP = bytes.fromhex("fb f4 eb fc")
RESET = bytes.fromhex("b0 fe e6 64") + HALT
POWEROFF = bytes.fromhex("ba 04 06 b8 00 20 ef") + HALT
ECHO_LINE = bytes.fromhex("ba fd 02 ec a8 01 74 fb ba f8 02 ec ee 3c 0a 75 ef")
"""Read from the agent's port and write back, up to the end of a line."""


def say(text: str, port: int = CONSOLE) -> bytes:
    letters = b"".join(bytes((0xB0, letter, 0xEE)) for letter in text.encode())
    return b"\xba" + port.to_bytes(2, "little") + letters


def flood(letter: str, count: int) -> bytes:
    """Write a letter ``count`` times to the console, never asking whether the port is ready."""
    return b"\xb9" + count.to_bytes(2, "little") + say(letter)[:5] + bytes.fromhex("ee e2 fd")


def store(address: int, value: int) -> bytes:
    """Write a byte at guest-physical ``address``, below ``LOADED`` + 64 KiB."""
    return b"\xc6\x06" + (address - LOADED).to_bytes(2, "little") + bytes([value])


def say_byte_at(address: int) -> bytes:
    return b"\xa0" + (address - LOADED).to_bytes(2, "little") + b"\xba\xf8\x03\xee"


def image(code: bytes) -> bytes:
    raw = bytearray(2 * HEADER)
    raw[0x1F1] = 31
    raw[0x1FE:0x200] = b"\x55\xaa"
    raw[0x200:0x202] = bytes((0xEB, CODE - 0x202))
    raw[0x202:0x206] = b"HdrS"
    raw[0x206:0x208] = (0x20C).to_bytes(2, "little")
    raw[0x211] = 1
    raw[0x22C:0x230] = (0x7FFF_FFFF).to_bytes(4, "little")
    raw[CODE : CODE + len(code)] = code
    return bytes(raw)


def machine(folder: Path, code: bytes, accelerator: Accelerator = TCG) -> Machine:
    kernel, initrd = folder / "image", folder / "initrd"
    kernel.write_bytes(image(code))
    initrd.write_bytes(bytes(16))
    return Machine(kernel, initrd, "a b", 128 << 20, 1, accelerator)
