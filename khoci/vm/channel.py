"""One end of a socket pair whose other end QEMU holds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

_CHUNK = 1 << 16


class Channel:
    """Receives everything QEMU writes, as it comes, and tells who waits for it.

    Reading is by callback, so ``drain`` can take what is already there at once: that is what makes
    the log of the producer end exactly at the jump.
    """

    def __init__(self, on_data: Callable[[bytes], None]) -> None:
        self._socket, self.peer = socket.socketpair()
        self._socket.setblocking(False)
        self._on_data = on_data
        self._open = True
        asyncio.get_running_loop().add_reader(self._socket, self.drain)

    def drain(self) -> None:
        """Take all bytes that have arrived."""
        while self._open:
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            if not data:
                self.close()
                return
            self._on_data(data)

    async def send(self, data: bytes) -> None:
        """Write all of ``data``; a guest that is gone is not an error here."""
        if self._open:
            try:
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
            except (BrokenPipeError, ConnectionResetError):
                self.close()

    def close_peer(self) -> None:
        """Close our copy of QEMU's end, once QEMU has its own."""
        self.peer.close()

    def close(self) -> None:
        """Stop receiving; may be called more than once."""
        if self._open:
            self._open = False
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        self.peer.close()
