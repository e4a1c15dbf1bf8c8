"""Dumps that QEMU itself makes of a guest: all of them hold what the guest's RAM holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from khoci.errors import UsageError
from khoci.format.blocks import Block
from khoci.format.handoff import locate
from khoci.format.handover import Handover, decode
from khoci.format.ranges import Range, common
from khoci.source.opener import Source, open_source
from khoci.vm.guest import Guest, start_guest
from tests.format.encoders import Image, memblock_tree, radix_tree, root_tree, setup_data
from tests.format.guests import decompose
from tests.vm import tiny

SIZE = 64 << 20
REGION = (0x300_0000, 0x70_0000)
MARK = tiny.LOADED + 0x9000
CODE = tiny.store(MARK, 0x4B) + tiny.say("up\n", tiny.AGENT) + tiny.SPIN


@dataclass(frozen=True)
class Dumps:
    """What was dumped while the guest stood still, and what its RAM held."""

    folder: Path
    handover: Handover
    contents: dict[Range, bytes]


def made() -> Image:
    """A handover that fits into a small guest, with its hand-off."""
    image = Image((Range(0, SIZE),), free=0x200_0000)
    fdt_addr, tree = image.alloc(), memblock_tree({"data": REGION})
    blob = image.put(tree)
    memory_map = radix_tree(image, [Block(fdt_addr, 0), Block(blob, 0), *decompose(*REGION)])
    image.write(fdt_addr, root_tree("kho-v4", memory_map, {"memblock": (blob, len(tree))}))
    image.write(0x30_0000, setup_data(fdt_addr))
    return image


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[Guest]:
    machine = replace(tiny.machine(folder, CODE), memory=SIZE)
    async with start_guest(machine, folder / "qemu.log") as running:
        for address, page in made().pages.items():
            running.ram.write(address, bytes(page))
        await running.run()
        assert await running.next_line() == "up"
        await running._qmp.execute("stop")
        yield running


async def dump(folder: Path) -> Dumps:
    async with standing(folder) as running:
        for command, arguments in {
            "pmemsave": {"val": 0, "size": SIZE, "filename": str(folder / "pmemsave")},
            "dump-guest-memory": {"paging": False, "protocol": f"file:{folder / 'elf'}"},
        }.items():
            await running._qmp.execute(command, arguments)
        small = {"paging": False, "protocol": f"file:{folder / 'kdump'}", "format": "kdump-zlib"}
        await running._qmp.execute("dump-guest-memory", small)
        found = locate(running.ram)
        assert found is not None
        handover = decode(running.ram, found.fdt_addr)
        assert handover.problems == ()
        contents = {part: running.ram.read(part.start, part.size) for part in running.ram.data()}
        return Dumps(folder, handover, contents)


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Dumps:
    return asyncio.run(asyncio.wait_for(dump(tmp_path_factory.mktemp("dumps")), 120))


def test_a_pmemsave_dump(dumps: Dumps) -> None:
    with open_source(dumps.folder / "pmemsave") as source:
        assert source.kind == "raw"
        check(source, dumps)


def test_a_part_of_a_pmemsave_dump(dumps: Dumps, tmp_path: Path) -> None:
    """As ``pmemsave`` makes one that does not begin at address zero."""
    part = tmp_path / "part"
    with (dumps.folder / "pmemsave").open("rb") as whole:
        whole.seek(16 << 20)
        part.write_bytes(whole.read())
    with open_source(part, layout="16M-64M") as source:
        assert dumps.handover.fdt_addr is not None
        found = decode(source.memory, dumps.handover.fdt_addr)
        assert found.map == dumps.handover.map


def test_an_elf_dump(dumps: Dumps) -> None:
    with open_source(dumps.folder / "elf") as source:
        assert source.kind == "elf"
        check(source, dumps)


def test_a_kdump_is_refused_with_what_to_do(dumps: Dumps) -> None:
    with pytest.raises(UsageError, match=r"flattened dump.*makedumpfile -R|kdump-compressed"):
        open_source(dumps.folder / "kdump")


def check(source: Source, dumps: Dumps) -> None:
    memory = source.memory
    assert memory.read(MARK, 1) == b"\x4b"
    for part, content in dumps.contents.items():
        for inside in common(memory.ram, part):
            if inside.start >= 1 << 20:
                start = inside.start - part.start
                expected = content[start : start + inside.size]
                assert memory.read(inside.start, inside.size) == expected
    found = locate(memory)
    assert found is not None
    assert decode(memory, found.fdt_addr) == dumps.handover
