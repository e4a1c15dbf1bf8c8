"""The one error that leaves this package, and the place it names."""

from __future__ import annotations

from dataclasses import dataclass, replace


class DecodeError(Exception):
    """Bytes that do not follow the format.

    Attributes:
        message: what is wrong, without the place.
        where: path of the thing read, such as ``root/preserved-memory-map/chunk[3]``.
        address: its physical address in bytes, None where there is none (a file).
    """

    def __init__(self, message: str, *, where: str, address: int | None) -> None:
        location = where if address is None else f"{where} at {address:#x}"
        super().__init__(f"{location}: {message}")
        self.message = message
        self.where = where
        self.address = address


@dataclass(frozen=True, slots=True)
class Place:
    """Where a decoder is: a path for people and a physical address in bytes."""

    where: str
    address: int | None = None

    def __truediv__(self, name: str) -> Place:
        return replace(self, where=f"{self.where}/{name}")

    def at(self, address: int) -> Place:
        """The same path, at another physical address."""
        return replace(self, address=address)

    def error(self, message: str) -> DecodeError:
        """An error for this place, to be raised by the caller."""
        return DecodeError(message, where=self.where, address=self.address)
