"""The tree of components, and what it says of a LUO in every state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from khoci.format.block import Chain
from khoci.format.blocks import Block, Blocks
from khoci.format.components import Component, union, walk, whole
from khoci.format.decoding import MAX_PROBLEMS, Decoding
from khoci.format.errors import Place
from khoci.format.extents import Extents
from khoci.format.flb import FlbPage
from khoci.format.liveupdate import decode
from khoci.format.luo import Luo
from khoci.format.memfd import Memfd
from khoci.format.ranges import Range
from khoci.format.session import File, Session
from khoci.format.versions import Version
from tests.format import encoders, payloads
from tests.format.encoders import GIB, Image, u64
from tests.format.payloads import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

PLACE = Place("root/LUO")
NOTHING = Extents.of(())


def named(name: str, label: str = "", *children: Component) -> Component:
    return Component(name, label, None, None, None, NOTHING, children)


def test_paths() -> None:
    area = named("vmalloc")
    tree = (
        named("reserve_mem", "", named("reserve_mem", "a"), named("reserve_mem", "b")),
        named("luo", "", named("session", "vm/1", named("memfd", "0x1a", area)), named("block")),
    )
    assert [path for path, _ in walk(tree)] == [
        "reserve_mem",
        "reserve_mem[a]",
        "reserve_mem[b]",
        "luo",
        "luo/session[vm/1]",
        "luo/session[vm/1]/memfd[0x1a]",
        "luo/session[vm/1]/memfd[0x1a]/vmalloc",
        "luo/block",
    ]


def test_the_whole_of_components() -> None:
    inner = replace(named("b"), owned=Extents.of([Range(0x1000, 0x1000)]))
    outer = replace(named("a", "", inner), owned=Extents.of([Range(0x3000, 0x1000)]))
    assert whole([outer]) == Extents.of([Range(0x1000, 0x1000), Range(0x3000, 0x1000)])
    assert union([]) == whole([]) == NOTHING


FOLIOS = ((0, Block(0x60_0000, 9)), (512, Block(0x50_0000, 0)))
FILE = payloads.Memfd(0x1A, 4096 * 513 - 7, FOLIOS, pos=3, seals=0x16)
SESSIONS = (payloads.Session(b"empty"), payloads.Session(b"vm-1", (FILE, payloads.Memfd(2, 0))))


def decoded(image: Image, blob: bytes, blocks: Sequence[Block] = ()) -> tuple[Component, list[str]]:
    """The component, and the problems as path and message."""
    address = image.put(blob)
    decoding = Decoding(image.memory(), Blocks.of(blocks))
    found = decode(address, decoding, PLACE)
    return found, [f"{item.where}: {item.message}" for item in decoding.problems()]


def by_path(component: Component) -> dict[str, Component]:
    return dict(walk([component]))


@pytest.mark.parametrize("shape", ["struct", "tree"])
def test_a_luo_with_everything(shape: str) -> None:
    writer = Writer(Image())
    flbs = writer.flbs(payloads.plain_flbs(2))
    make = writer.luo_struct if shape == "struct" else writer.luo_tree
    found, problems = decoded(writer.image, make(SESSIONS, flbs, 7), writer.blocks)
    assert problems == []
    assert isinstance(found.value, Luo)
    assert (found.value.number, found.value.sessions) == (7, 2)
    parts = by_path(found)
    assert parts["luo/session[empty]"].children == ()
    file = parts["luo/session[vm-1]/memfd[0x1a]"]
    assert isinstance(file.value, Memfd)
    assert (file.value.size, file.value.pos, file.value.seals) == (FILE.size, 3, 0x16)
    assert file.value.folios.index.tolist() == [0, 512]
    assert [item.name for item in file.children] == ["vmalloc"]
    assert parts["luo/session[vm-1]/memfd[0x2]"].children == ()
    page = parts["luo/flb"].value
    assert isinstance(page, FlbPage)
    assert len(page.objects) == len(parts["luo/flb"].children) == 3


@pytest.mark.parametrize("shape", ["struct", "tree"])
def test_a_luo_owns_each_of_its_blocks_and_nothing_else(shape: str) -> None:
    writer = Writer(Image())
    flbs = writer.flbs(payloads.plain_flbs(2))
    make = writer.luo_struct if shape == "struct" else writer.luo_tree
    blob = writer.put(make(SESSIONS, flbs))
    found = decode(blob, Decoding(writer.image.memory(), Blocks.of(writer.blocks)), PLACE)
    assert whole([found]) == Blocks.of(writer.blocks).extents


def test_which_version_governs_what() -> None:
    writer = Writer(Image())
    flbs = writer.flbs(())
    old = by_path(decoded(writer.image, writer.luo_tree(SESSIONS, flbs))[0])
    assert old["luo"].version == Version("luo", 1)
    assert old["luo/session[vm-1]"].version == Version("luo-session", 2)
    assert old["luo/session[vm-1]/memfd[0x1a]"].version == Version("memfd", 2)
    assert old["luo/flb"].version == Version("luo-flb", 1)
    new = by_path(decoded(writer.image, writer.luo_struct((), flbs))[0])
    assert (new["luo"].version, new["luo/flb"].version) == (Version("luo", 5), None)


def test_6_19_has_no_flbs() -> None:
    writer = Writer(Image())
    found, problems = decoded(writer.image, writer.luo_tree(SESSIONS, None), writer.blocks)
    assert problems == []
    assert not any(item.name == "flb" for item in found.children)


def test_blocks_are_components() -> None:
    writer = Writer(Image())
    many = tuple(payloads.Session(b"s%d" % number) for number in range(120))
    found, problems = decoded(writer.image, writer.luo_struct(many, 0))
    assert problems == []
    chain = by_path(found)["luo/block"].value
    assert isinstance(chain, Chain)
    assert chain.counts == (51, 51, 18)
    assert isinstance(found.value, Luo)
    assert found.value.sessions == 120


def test_an_unknown_version_is_a_value_and_a_problem() -> None:
    found, problems = decoded(Image(), encoders.luo_struct(1, 7, 7, b"luo-v6"))
    assert (found.version, found.children) == (Version("luo", 6), ())
    assert problems == [
        "root/LUO: version luo-v6 is unknown, next to v5: what it owns is not known"
    ]


def test_unknown_versions_inside_leave_the_rest_alone() -> None:
    writer = Writer(Image())
    flbs = writer.flbs(payloads.plain_flbs(1))
    blob = writer.luo_tree(SESSIONS, flbs)
    found, problems = decoded(writer.image, blob.replace(b"luo-session-v2", b"luo-session-v3"))
    assert {item.name for item in found.children} == {"flb"}
    assert isinstance(found.value, Luo)
    assert found.value.sessions is None
    assert "luo-session-v3 is unknown, next to v2" in problems[0]
    found, problems = decoded(writer.image, blob.replace(b"luo-flb-v1", b"luo-flb-v2"))
    assert by_path(found)["luo/flb"].value is None
    assert "luo-flb-v2 is unknown, next to v1" in problems[0]


def with_entry(entry: bytes) -> tuple[Component, list[str]]:
    """A LUO of one session with one file."""
    writer = Writer(Image())
    files = writer.kho_blocks([entry])
    session = payloads.SESSION.pack(b"vm", files, 1)
    return decoded(writer.image, encoders.luo_struct(1, writer.kho_blocks([session]), 0))


@pytest.mark.parametrize(
    ("handler", "path", "text"),
    [
        (b"vfio-pci-v1", "vfio-pci[0x2a]", "vfio-pci-v1 is unknown:"),
        (b"memfd-v3", "memfd[0x2a]", "memfd-v3 is unknown, next to v2:"),
        (b"", "file[0x2a]", "is unknown:"),
    ],
)
def test_an_unknown_handler_keeps_its_data(handler: bytes, path: str, text: str) -> None:
    found, problems = with_entry(payloads.FILE.pack(handler, 0x1234, 0x2A))
    file = by_path(found)[f"luo/session[vm]/{path}"]
    assert isinstance(file.value, File)
    assert (file.value.data, file.value.token, file.owned) == (0x1234, 0x2A, NOTHING)
    assert len(problems) == 1
    assert text in problems[0]


@pytest.mark.parametrize("data", [0x1234, GIB, 2**64 - 4096])
def test_a_memfd_that_is_nowhere(data: int) -> None:
    found, problems = with_entry(payloads.FILE.pack(b"memfd-v2", data, 1))
    file = by_path(found)["luo/session[vm]/memfd[0x1]"]
    assert (file.value, len(file.owned), len(problems)) == (None, 1, 1)
    assert problems[0].startswith("root/LUO/session[vm]/memfd[0x1]: ")


def test_unknown_seals_are_said() -> None:
    writer = Writer(Image())
    session = payloads.Session(b"vm", (payloads.Memfd(1, 0, seals=0x81),))
    _, problems = decoded(writer.image, writer.luo_struct([session], 0))
    assert [text.partition(": ")[2] for text in problems] == [
        "seals 0x80 are unknown: the next kernel refuses the file"
    ]


def test_an_unknown_flb_is_said() -> None:
    writer = Writer(Image())
    flbs = writer.flbs([(b"iommufd-v1", 0x1000, 2)])
    found, problems = decoded(writer.image, encoders.luo_struct(1, 0, flbs))
    assert "luo/flb[iommufd-v1]" in by_path(found)
    assert len(problems) == 1
    assert "iommufd-v1 is unknown" in problems[0]


@pytest.mark.parametrize("count", [0, 2, 2**64 - 1])
def test_a_count_of_files_that_is_wrong(count: int) -> None:
    writer = Writer(Image())
    files = writer.kho_blocks([writer.file(payloads.Memfd(1, 0))])
    session = payloads.SESSION.pack(b"vm", files, count)
    blob = encoders.luo_struct(1, writer.kho_blocks([session]), 0)
    found, problems = decoded(writer.image, blob)
    assert "luo/session[vm]/memfd[0x1]" in by_path(found)
    assert problems == [
        f"root/LUO/session[vm]: {count} files by the session, 1 by their list: all are refused"
    ]


def test_sessions_that_cannot_be_listed_leave_the_rest_alone() -> None:
    writer = Writer(Image())
    flbs = writer.flbs(())
    broken = writer.put(u64(0) + u64(0))
    found, problems = decoded(writer.image, encoders.luo_struct(1, broken, flbs))
    assert [item.name for item in found.children] == ["flb"]
    assert len(problems) == 1
    assert "0 entries, a block has 1 to 51" in problems[0]


def test_files_that_cannot_be_listed_leave_the_other_sessions_alone() -> None:
    writer = Writer(Image())
    entries = [payloads.SESSION.pack(b"bad", GIB, 1), payloads.SESSION.pack(b"good", 0, 0)]
    found, problems = decoded(writer.image, encoders.luo_struct(1, writer.kho_blocks(entries), 0))
    assert isinstance(by_path(found)["luo/session[bad]"].value, Session)
    assert "luo/session[good]" in by_path(found)
    assert [text.split(":")[0] for text in problems] == ["root/LUO/session[bad]/block[0]"]


def test_one_list_of_files_for_many_sessions_is_read_once() -> None:
    writer = Writer(Image())
    files = writer.put(writer.file(payloads.Memfd(1, 0)), 1)
    entries = [payloads.SESSION.pack(b"s%d" % number, files, 1) for number in range(800)]
    header = writer.put(u64(len(entries)) + b"".join(entries), 4)
    found, problems = decoded(writer.image, encoders.luo_tree(1, header, None))
    assert sum(item.name == "memfd" for _, item in walk([found])) == 1
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == f"root: {799 - MAX_PROBLEMS} more problems of components"


def test_all_areas_together_are_no_larger_than_ram() -> None:
    writer = Writer(Image((Range(0, 64 << 20),), free=0x10_0000))
    image = writer.image
    runs = [image.alloc()] * 10_000
    entries = []
    for number in range(3):
        first, _ = encoders.vmalloc_chunks(image, runs)
        descriptor = u64(first) + encoders.u32(10_000) + bytes(4)
        file = payloads.Memfd(number, 1, ((0, Block(runs[0], 0)),))
        data = writer.put(payloads.memfd_struct(file, descriptor))
        entries.append(payloads.FILE.pack(b"memfd-v2", data, number))
    session = payloads.SESSION.pack(b"vm", writer.kho_blocks(entries), 3)
    blob = encoders.luo_struct(1, writer.kho_blocks([session]), 0)
    _, problems = decoded(image, blob)
    assert [text.split(": ")[0] for text in problems] == [
        f"root/LUO/session[vm]/memfd[{number:#x}]/vmalloc" for number in (1, 2)
    ]
    assert "more pages than RAM" in problems[0]
