"""``khoci decode --live`` on what a real kernel shows: debugfs, /proc/kcore, setup_data.

Python does not run in the guest, so its files are copied. Of ``/proc/kcore`` the headers are the
kernel's own; the content behind them is the guest's RAM, and a few pages of it are compared with
what the kernel gives for them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from khoci.decode import live
from khoci.format.handover import decode, orphans
from khoci.guest.session import Agent
from khoci.kernel.cache import Artifact
from khoci.scenario.sessions import Files, Session
from khoci.source import elfcore, kcore
from khoci.source.elfcore import Core
from khoci.vm.ram import GuestRam
from tests.vm import luo
from tests.vm.handovers import Handover, Standing, run

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

KHO = "/sys/kernel/debug/kho"
SETUP_DATA = "/sys/kernel/boot_params/setup_data"
FILES = ("/proc/iomem", "/proc/cmdline")
HEADERS = 1 << 15
WANTED = (Session("vm", (Files(7, luo.ONE_PAGE), Files(8, luo.HOLES))),)


def test_both_sides_of_a_real_machine(kernels: dict[str, Artifact], tmp_path: Path) -> None:
    kernel = kernels["7.3"]
    producer, consumer = tmp_path / "producer", tmp_path / "consumer"

    async def prepare(agent: Agent) -> None:
        await luo.preserve(agent, WANTED)
        await copy(agent, producer, FILES)
        await copy_folder(agent, producer, KHO)
        await copy_headers(agent, producer)

    def look(standing: Standing[None]) -> None:
        whole = decode(standing.ram, standing.fdt_addr, scratch=standing.scratch)
        with filled(producer / "proc/kcore", standing.ram), live.outgoing(root=producer) as found:
            assert found.handover.fdt_addr == standing.fdt_addr
            assert found.handover.map.blocks == whole.map.blocks
            assert found.handover.scratch == whole.scratch
            assert {item.title for item in found.handover.components} == {"kexec-metadata", "luo"}
            assert found.handover.luo
            assert found.handover.luo.sessions == 1
            assert not len(orphans(found.handover))

    async def check(agent: Agent, _: None) -> None:
        await copy(agent, consumer, FILES)
        await copy_folder(agent, consumer, KHO)
        await copy_folder(agent, consumer, SETUP_DATA)
        found = live.incoming(consumer)
        assert found.release == kernel.release
        assert str(found.handover.version) == "kho-v4"
        assert found.handover.metadata
        assert found.handover.metadata.kexec_count == 1

    run(Handover(kernel, kernel, prepare, look, check), tmp_path)


def test_kcore_gives_the_pages_that_are_there(kernels: dict[str, Artifact], tmp_path: Path) -> None:
    kernel = kernels["7.3"]

    async def prepare(agent: Agent) -> Mapping[int, bytes]:
        await copy_headers(agent, tmp_path)
        core = read_headers(tmp_path / "proc/kcore")
        seen: dict[int, bytes] = {}
        for item in kcore._direct_map(core.loads):
            for phys in (item.paddr, item.paddr + item.filesz // 8192 * 4096):
                offset = item.offset + phys - item.paddr
                seen[phys] = await content(agent, "/proc/kcore", offset=offset, size=4096)
        return seen

    def look(standing: Standing[Mapping[int, bytes]]) -> None:
        equal = [
            phys
            for phys, page in standing.prepared.items()
            if standing.ram.read(phys, 4096) == page
        ]
        assert len(equal) >= len(standing.prepared) - 1  # one may have been written since
        assert len(equal) >= 2

    run(Handover(kernel, kernel, prepare, look), tmp_path)


async def copy(agent: Agent, root: Path, paths: tuple[str, ...]) -> None:
    for path in paths:
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(await content(agent, path))


async def copy_folder(agent: Agent, root: Path, folder: str) -> None:
    (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for name in (await agent.command("list", path=folder))["names"]:
        if name.endswith("/"):
            await copy_folder(agent, root, f"{folder}/{name.rstrip('/')}")
        else:
            await copy(agent, root, (f"{folder}/{name}",))


async def copy_headers(agent: Agent, root: Path) -> None:
    target = root / "proc/kcore"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(await content(agent, "/proc/kcore", size=HEADERS))


async def content(agent: Agent, path: str, offset: int = 0, size: int = 1 << 16) -> bytes:
    answer = await agent.command("read", path=path, offset=offset, max=size)
    return bytes.fromhex(answer["hex"]) if "hex" in answer else answer["text"].encode()


@contextmanager
def filled(path: Path, ram: GuestRam) -> Iterator[None]:
    """Put the guest's RAM where the headers say that it is.

    With five levels of page tables that is at petabytes: more than most filesystems let a file
    have, so the file is in memory, and ``path`` becomes a link to it.
    """
    core = read_headers(path)
    with os.fdopen(os.memfd_create("kcore"), "w+b") as file:
        file.write(path.read_bytes())
        for item in kcore._direct_map(core.loads):
            put(file, item.offset, item.paddr, item.filesz, ram)
        file.truncate(max(item.offset + item.filesz for item in kcore._direct_map(core.loads)))
        path.unlink()
        path.symlink_to(f"/proc/{os.getpid()}/fd/{file.fileno()}")
        yield


def put(file: BinaryIO, offset: int, phys: int, size: int, ram: GuestRam) -> None:
    for extent in ram.data():
        start, end = max(extent.start, phys), min(extent.end, phys + size)
        if start < end:
            file.seek(offset + start - phys)
            file.write(ram.read(start, end - start))


def read_headers(path: Path) -> Core:
    with path.open("rb", buffering=0) as file:
        return elfcore.read_core(file)
