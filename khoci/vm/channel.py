"""What khoci and QEMU say to each other over file descriptors that QEMU inherits.

Reading is by callback, so ``drain`` can take what is already there at once: that is what makes the
log of the producer end exactly at the jump.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import Callable

_CHUNK = 1 << 16
_PIPE_SIZE = 1 << 20

OnData = Callable[[bytes], None]


class Inflow:
    """Takes everything that arrives at a descriptor, as it comes, until it is closed."""

    def __init__(self, fd: int, on_data: OnData) -> None:
        self._fd = fd
        self._on_data = on_data
        self.open = True
        os.set_blocking(fd, False)
        asyncio.get_running_loop().add_reader(fd, self.drain)

    def drain(self) -> None:
        """Take all bytes that have arrived."""
        while self.open:
            try:
                data = os.read(self._fd, _CHUNK)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            if not data:
                self.close()
                return
            self._on_data(data)

    def close(self) -> None:
        """Stop taking; may be called more than once."""
        if self.open:
            self.open = False
            asyncio.get_running_loop().remove_reader(self._fd)


class Channel:
    """One end of a socket pair whose other end QEMU holds: for what goes both ways."""

    def __init__(self, on_data: OnData) -> None:
        self._socket, self.peer = socket.socketpair()
        self._inflow = Inflow(self._socket.fileno(), on_data)

    def drain(self) -> None:
        """Take all bytes that have arrived."""
        self._inflow.drain()

    async def send(self, data: bytes) -> None:
        """Write all of ``data``; a guest that is gone is not an error here."""
        if self._inflow.open:
            try:
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
            except (BrokenPipeError, ConnectionResetError):
                self._inflow.close()

    def close_peer(self) -> None:
        """Close our copy of QEMU's end, once QEMU has its own."""
        self.peer.close()

    def close(self) -> None:
        """Stop receiving and close both ends; may be called more than once."""
        self._inflow.close()
        self._socket.close()
        self.peer.close()


class LogPipe:
    """A pipe that QEMU writes a console to.

    It holds a whole kernel log, also when nobody reads for a while. A socket holds a few hundred
    single bytes; then QEMU's serial port makes the guest wait, and an old kernel that has waited
    for 10 ms writes over what is not sent yet.

    Attributes:
        peer: the descriptor of QEMU's end.
    """

    def __init__(self, on_data: OnData) -> None:
        self._ours, self.peer = os.pipe()
        self._peer_open = True
        with contextlib.suppress(OSError):  # the user's share of pipe memory may be used up
            fcntl.fcntl(self.peer, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        self._inflow = Inflow(self._ours, on_data)
        self._closed = False

    def drain(self) -> None:
        """Take all bytes that have arrived."""
        self._inflow.drain()

    def close_peer(self) -> None:
        """Close our copy of QEMU's end, once QEMU has its own."""
        if self._peer_open:
            self._peer_open = False
            os.close(self.peer)

    def close(self) -> None:
        """Stop receiving and close both ends; may be called more than once."""
        self._inflow.close()
        self.close_peer()
        if not self._closed:
            self._closed = True
            os.close(self._ours)
