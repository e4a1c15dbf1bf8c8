"""A running machine: copies of what debugfs shows, and a file in the shape of ``/proc/kcore``."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from khoci.decode import live, text
from khoci.errors import UsageError
from khoci.format.root import Root, read
from tests.format.encoders import setup_data
from tests.format.guests import SCRATCH, Guest, guest
from tests.source.dumps import Kcore

KHO = "sys/kernel/debug/kho"


def put(root: Path, name: str, content: bytes) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def tree_of(made: Guest) -> Root:
    return read(made.memory, made.fdt_addr)


def machine(root: Path, made: Guest, side: str = "out", *, shown: int | None = None) -> Path:
    """What debugfs shows: ``shown`` bytes of the root FDT, None for all, 0 for no file."""
    fdt = made.memory.read(made.fdt_addr, 4096)
    fdt = fdt[: int.from_bytes(fdt[4:8], "big")]
    if shown != 0:
        put(root, f"{KHO}/{side}/fdt", fdt[:shown])
    for item in tree_of(made).subtrees:
        assert item.address is not None
        blob = made.memory.read(item.address, item.size or 4096)
        put(root, f"{KHO}/{side}/sub_fdts/{item.name}", blob)
    for name, column in (("scratch_phys", 0), ("scratch_len", 1)):
        lines = "".join(f"{area[column]:#x}\n" for area in SCRATCH)
        put(root, f"{KHO}/out/{name}", lines.encode())
    put(root, "proc/sys/kernel/osrelease", b"7.3.4\n")
    return root


def kcore(root: Path, made: Guest) -> None:
    shape = Kcore(made.memory)
    put(root, "proc/kcore", shape.head)
    with (root / "proc/kcore").open("r+b") as file:
        for address, page in made.memory.pages.items():
            file.seek(address + Kcore.DATA)
            file.write(page)
        file.truncate(made.memory.ram[-1].end + Kcore.DATA)


@pytest.mark.parametrize(("family", "shown"), [("A", None), ("B", 144), ("radix", 240)])
def test_all_that_will_be_handed_over(tmp_path: Path, family: str, shown: int | None) -> None:
    made = guest(family)
    kcore(machine(tmp_path, made, shown=shown), made)
    with live.outgoing(root=tmp_path) as found:
        assert (found.kind, found.release) == ("out", "7.3.4")
        assert found.handover.fdt_addr == made.fdt_addr
        assert tuple(found.handover.map.blocks) == made.blocks
        assert found.handover.scratch is not None
        assert not found.handover.root.truncated
        assert found.handover.problems == ()


def test_after_a_handover_the_root_fdt_is_searched_and_that_of_this_boot_left(
    tmp_path: Path,
) -> None:
    """From 6.19 on there is no ``out/fdt`` then."""
    made = guest("radix")
    given = 0x300_0000
    made.image.write(given, made.memory.read(made.fdt_addr, 4096))
    kcore(machine(tmp_path, made, shown=0), made)
    node = setup_data(given, 0x400_0000, 48)
    put(tmp_path, "sys/kernel/boot_params/setup_data/0/type", b"0xa\n")
    put(tmp_path, "sys/kernel/boot_params/setup_data/0/data", node[16:])
    with live.outgoing(root=tmp_path) as found:
        assert found.handover.fdt_addr == made.fdt_addr
        assert tuple(found.handover.map.blocks) == made.blocks


def test_two_root_fdts_are_a_question(tmp_path: Path) -> None:
    made = guest("radix")
    made.image.write(0x300_0000, made.memory.read(made.fdt_addr, 4096))
    kcore(machine(tmp_path, made, shown=0), made)
    with (
        pytest.raises(UsageError, match="2 handovers, say --root ADDRESS: 0x3000000"),
        live.outgoing(root=tmp_path),
    ):
        pass
    with live.outgoing(made.fdt_addr, tmp_path) as found:
        assert found.handover.fdt_addr == made.fdt_addr


@pytest.mark.parametrize("shown", [None, 240, 0])
def test_without_memory_the_blobs_are_decoded(tmp_path: Path, shown: int | None) -> None:
    made = guest("radix")
    with live.outgoing(root=machine(tmp_path, made, shown=shown)) as found:
        handover = found.handover
        tree = text.render(found)
    assert handover.map.family is None
    assert handover.metadata is not None
    assert handover.reserve_mem is not None
    assert [region.name for region in handover.reserve_mem.regions] == ["data"]
    assert handover.luo is not None
    assert {item.kind for item in handover.problems} <= {"missing"}
    assert "proc/kcore: cannot be opened" in tree
    assert live.ONLY_BLOBS in tree


def test_of_a_blob_that_is_nowhere_no_address_is_made_up(tmp_path: Path) -> None:
    made = guest("radix")
    with live.outgoing(root=machine(tmp_path, made, shown=0)) as found:
        top = found.handover.components
        problems = found.handover.problems
    assert {item.address for item in top} == {None}
    ram = made.memory.ram[-1].end
    assert all(item.address is None or item.address < ram for item in problems)


def test_of_what_was_given_the_map_is_gone(tmp_path: Path) -> None:
    made = guest("radix")
    machine(tmp_path, made, "in")
    node = setup_data(made.fdt_addr, 0x400_0000, 48)
    put(tmp_path, "sys/kernel/boot_params/setup_data/0/type", b"0xa\n")
    put(tmp_path, "sys/kernel/boot_params/setup_data/0/data", node[16:])
    found = live.incoming(tmp_path)
    assert (found.kind, found.release) == ("in", "7.3.4")
    assert found.handover.fdt_addr == made.fdt_addr
    assert found.handover.map.family is None
    assert len(found.handover.map.blocks) == 0
    assert found.notes == (live.MAP_IS_GONE,)
    assert found.handover.scratch is not None


def refusal(root: Path) -> str:
    with pytest.raises(UsageError) as caught, live.outgoing(root=root):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_why_there_is_nothing(tmp_path: Path) -> None:
    assert "mount -t debugfs" in refusal(tmp_path)
    put(tmp_path, "sys/kernel/debug/tracing/README", b"")
    assert "boot with kho=on" in refusal(tmp_path)
    put(tmp_path, "proc/cmdline", b"quiet kho=off\n")
    assert "kho=off is given" in refusal(tmp_path)
    put(tmp_path, "proc/cmdline", b"quiet kho=on\n")
    assert "the kernel has no KHO" in refusal(tmp_path)


def test_not_finalized_yet(tmp_path: Path) -> None:
    put(tmp_path, f"{KHO}/out/finalize", b"0\n")
    assert "echo 1 >" in refusal(tmp_path)


def test_a_boot_that_was_no_handover(tmp_path: Path) -> None:
    machine(tmp_path, guest("radix"))
    with pytest.raises(UsageError, match="this boot was no handover"):
        live.incoming(tmp_path)


def test_a_root_fdt_that_is_none(tmp_path: Path) -> None:
    put(tmp_path, f"{KHO}/out/fdt", struct.pack(">10I", *range(10)))
    assert "out/fdt: no FDT" in refusal(tmp_path)
