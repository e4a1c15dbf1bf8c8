from __future__ import annotations

import asyncio
import os

from khoci.vm.channel import Channel, LogPipe


def test_drain_takes_what_is_there_without_waiting() -> None:
    async def run() -> None:
        got = bytearray()
        channel = Channel(got.extend)
        channel.peer.send(b"a" * 100)
        assert got == b""
        channel.drain()
        assert got == b"a" * 100
        channel.drain()
        channel.close()

    asyncio.run(run())


def test_bytes_come_in_by_themselves_and_go_out_whole() -> None:
    async def run() -> None:
        got = bytearray()
        channel = Channel(got.extend)
        peer = channel.peer.dup()
        channel.close_peer()
        await asyncio.get_running_loop().run_in_executor(None, peer.sendall, b"x" * 100_000)
        while len(got) < 100_000:
            await asyncio.sleep(0)
        sending = asyncio.create_task(channel.send(b"y" * 1_000_000))
        peer.settimeout(5)
        received = 0
        while received < 1_000_000:
            received += len(await asyncio.to_thread(peer.recv, 1 << 16))
        await sending
        peer.close()
        channel.close()

    asyncio.run(run())


def test_a_guest_that_is_gone_is_not_an_error() -> None:
    async def run() -> None:
        channel = Channel(lambda _data: None)
        channel.close_peer()
        await channel.send(b"hello")
        await channel.send(b"again")
        channel.drain()
        channel.close()
        channel.close()

    asyncio.run(run())


def test_a_log_pipe_holds_a_whole_log_that_nobody_reads() -> None:
    async def run() -> None:
        got = bytearray()
        pipe = LogPipe(got.extend)
        os.set_blocking(pipe.peer, False)
        for _ in range(50_000):
            assert os.write(pipe.peer, b"x") == 1
        pipe.drain()
        assert len(got) == 50_000
        pipe.close_peer()
        pipe.drain()
        pipe.close()
        pipe.close()

    asyncio.run(run())
