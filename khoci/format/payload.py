"""Payloads of the handover: native-endian (little) numbers and NUL-terminated strings.

Properties in a handover's FDT are C values as the kernel had them, not big-endian cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from khoci.format.errors import Place
    from khoci.format.fdt import Node


def u32(node: Node, name: str, place: Place) -> int:
    """The property as a u32; `DecodeError` if it is missing or not 4 bytes long."""
    return _number(node, name, 4, place)


def u64(node: Node, name: str, place: Place) -> int:
    """The property as a u64; `DecodeError` if it is missing or not 8 bytes long."""
    return _number(node, name, 8, place)


def string(node: Node, name: str, place: Place) -> str:
    """The property as a string; `DecodeError` if it is missing."""
    return text(raw(node, name, place))


def raw(node: Node, name: str, place: Place) -> bytes:
    """The property as it is; `DecodeError` if it is missing."""
    value = node.get(name)
    if value is None:
        raise (place / name).error("the property is missing")
    return value


def text(value: bytes) -> str:
    """The bytes up to the first NUL; what is not ASCII is shown with backslashes."""
    return value.split(b"\0", 1)[0].decode("ascii", "backslashreplace")


def _number(node: Node, name: str, size: int, place: Place) -> int:
    value = raw(node, name, place)
    if len(value) != size:
        raise (place / name).error(f"the property has {len(value)} bytes, not {size}")
    return int.from_bytes(value, "little")
