from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.abi.changes import changes
from khoci.abi.patched import known_of, patched_abi
from khoci.config.abi import Abi, load_releases
from khoci.format.known import Known
from khoci.format.versions import Version
from khoci.paths import data_dir
from tests.abi.patches import SELFTEST, shown
from tests.abi.test_changes import CODE, HEADER, MEMFD, V6_16

RELEASES = load_releases(data_dir("matrix") / "abi")
LUO = "include/linux/kho/abi/luo.h"
NAME = "mine"


def patched(release: str, before: str, after: str, path: str = CODE) -> Abi:
    return patched_abi(RELEASES.select(release), changes({path: before}, {path: after}), NAME)


def mutant(name: str) -> Abi:
    return patched_abi(RELEASES.select("7.3"), changes(*shown(SELFTEST / f"{name}.patch")), name)


@pytest.mark.parametrize(
    ("bits", "layout"),
    [("(PAGE_SIZE * 8)", "B"), ("(1 << 13)", "1024"), ("(64 * BITS_PER_BYTE)", "64")],
)
def test_the_size_of_bitmaps(bits: str, layout: str) -> None:
    abi = patched("6.16", V6_16, V6_16.replace("(512 * 8)", bits))
    assert abi.memory_map == replace(RELEASES.select("6.16").memory_map, layout=layout)
    assert (abi.name, abi.base, abi.unmodelled) == (NAME, "v6.16.12", {})
    assert known_of(abi) == Known(layout)


@pytest.mark.parametrize("bits", ["(PAGE_SIZE * 16)", "(100 * 8)", "4100", "nr_bits()"])
def test_a_size_that_no_bitmap_has(bits: str) -> None:
    abi = patched("6.16", V6_16, V6_16.replace("(512 * 8)", bits))
    assert abi.memory_map.layout == "A"
    assert abi.unmodelled["memory map"].startswith("PRESERVE_BITS was 4096 and is ")
    assert known_of(abi).layout is None


def test_more_in_a_bitmap_than_bits() -> None:
    after = V6_16.replace("512", "1024").replace("DECLARE_BITMAP", "u64 count; DECLARE_BITMAP")
    abi = patched("6.16", V6_16, after)
    assert set(abi.unmodelled) == {"memory map"}
    assert "kho_mem_phys_bits changed" in abi.unmodelled["memory map"]


FILE = "struct memfd_luo_ser { u64 pos; };"


@pytest.mark.parametrize(
    "added", ['#define HUGETLB_LUO_FH_COMPATIBLE "hugetlb-v1"\n', "struct hugetlb_ser { u64 a; };"]
)
def test_what_only_new_code_uses_breaks_nothing(added: str) -> None:
    assert patched("7.3", FILE, added + FILE, MEMFD).unmodelled == {}
    old = FILE + "int load(void) { return 0; }"
    name = "HUGETLB_LUO_FH_COMPATIBLE" if "#" in added else "sizeof(struct hugetlb_ser)"
    used = patched("7.3", old, added + old.replace("return 0", f"return {name}"), MEMFD)
    assert set(used.unmodelled) == {"memfd"}


def test_two_unknown_layouts_of_one_struct() -> None:
    before = "struct memfd_luo_ser { u64 pos; u64 size; } __packed;"
    each = [
        patched("7.3", before, before.replace("u64 size;", f"u64 size; {member};"), MEMFD)
        for member in ("u64 extra", "u32 other[9]", "u64  extra")
    ]
    one, other, again = each
    assert one.unmodelled == other.unmodelled == again.unmodelled
    assert one.digests == again.digests != other.digests
    assert set(one.digests) == {"memfd"}


@pytest.mark.parametrize(
    ("struct", "component"),
    [
        ("struct kho_scratch_header { u64 magic[4096]; };", "scratch"),
        ("struct khoser_mem_chunk { u64 all[4096]; u64 more[40960]; };", "memory map"),
    ],
)
def test_a_number_of_the_map_explains_nothing_else(struct: str, component: str) -> None:
    before = V6_16 + struct
    after = before.replace("(512 * 8)", "(PAGE_SIZE * 8)").replace("4096", "32768")
    abi = patched("6.16", before, after)
    assert abi.memory_map.layout == "B"
    assert set(abi.unmodelled) == {component}


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "\u0663"])
def test_a_number_that_is_none(number: str) -> None:
    before = "#define KHO_KEXEC_METADATA_VERSION 1\n"
    assert patched("7.1", before, before.replace("1", number), HEADER).metadata is None
    patched("6.16", V6_16, V6_16.replace("(512 * 8)", number))


def test_a_version_of_its_own_with_the_format_of_the_base() -> None:
    abi = patched("6.16", V6_16, V6_16.replace("kho-v1", "kho-v2"))
    assert abi.root.compatible == "kho-v2"
    assert known_of(abi) == Known("A", {Version("kho", 2): Version("kho", 1)})


def test_the_property_of_a_blob() -> None:
    abi = patched("6.16", V6_16, V6_16.replace('"fdt"', '"preserved-data"'))
    assert (abi.root.blob, abi.unmodelled) == ("preserved-data", {})
    other = patched("6.16", V6_16, V6_16.replace('"fdt"', '"blob"'))
    assert other.unmodelled == {"root": f'PROP_SUB_FDT was "fdt" and is "blob" ({CODE})'}


def test_a_node_that_luo_comes_to_need() -> None:
    before = '#define LUO_FDT_COMPATIBLE "luo-v1"\n'
    after = before + '#define LUO_FDT_FLB_COMPATIBLE "luo-flb-v1"\n'
    luo = patched("6.19", before, after, LUO).luo
    assert luo
    assert (luo.compatible, luo.flb) == ("luo-v1", "luo-flb-v1")


def test_every_version() -> None:
    before = "".join(
        f'#define {name} "{old}"\n'
        for name, old in (
            ("MEMBLOCK_KHO_NODE_COMPATIBLE", "memblock-v1"),
            ("RESERVE_MEM_KHO_NODE_COMPATIBLE", "reserve-mem-v1"),
            ("KHO_TEST_COMPAT", "kho-test-v1"),
            ("LUO_FDT_SESSION_COMPATIBLE", "luo-session-v1"),
            ("MEMFD_LUO_FH_COMPATIBLE", "memfd-v2"),
        )
    )
    before += "#define KHO_KEXEC_METADATA_VERSION 1\n"
    after = before.replace("-v1", "-v9").replace("-v2", "-v9").replace(" 1\n", " 9\n")
    abi = patched("7.1", before, after, HEADER)
    assert (abi.reserve_mem.compatible, abi.reserve_mem.region) == ("memblock-v9", "reserve-mem-v9")
    assert abi.kho_test
    assert abi.luo
    assert (abi.kho_test.compatible, abi.luo.session) == ("kho-test-v9", "luo-session-v9")
    assert (abi.luo.handlers, abi.metadata, abi.unmodelled) == (("memfd-v9",), 9, {})


@pytest.mark.parametrize("number", ["²", "٣", "9" * 5000, "4294967296", "-1"])
def test_numbers_that_are_none(number: str) -> None:
    version = "#define KHO_KEXEC_METADATA_VERSION 1\n"
    abi = patched("7.3", version, version.replace("1", number), HEADER)
    assert abi.metadata is None
    for name in ("PRESERVE_BITS", "KHO_BITMAP_SIZE_LOG2", "KHO_TREE_MAX_DEPTH"):
        sizes = [f"#define {name} {value}\n" for value in ("12", number)]
        for before, after in (sizes, reversed(sizes)):
            assert "memory map" in patched("7.3", before, after).unmodelled


def test_a_header_of_its_own_is_a_new_component() -> None:
    files = {
        "include/linux/kho/abi/iommu.h": '#define IOMMU "iommu-v1"\nstruct iommu_ser { u64 a; };'
    }
    abi = patched_abi(RELEASES.select("7.3"), changes({}, files), NAME)
    assert abi.unmodelled == {}


STRINGS = {
    "root": ("kho-v5", "luo-v5", ("memfd-v2",)),
    **dict.fromkeys(("luo-header", "file-entry"), ("kho-v4", "luo-v6", ("memfd-v2",))),
    "memfd": ("kho-v4", "luo-v5", ("memfd-v3",)),
}
COMPONENT = {
    "root": "root",
    "memory-map": "memory map",
    "scratch": "scratch",
    "luo-header": "luo",
    "file-entry": "luo",
    "memfd": "memfd",
    "vmalloc": "vmalloc",
    "block": "block",
}


@pytest.mark.parametrize("name", sorted(path.stem for path in SELFTEST.glob("*.patch")))
def test_mutants(name: str) -> None:
    stem, _, kind = name.rpartition("-")
    abi = mutant(name)
    assert abi.luo
    strings = (abi.root.compatible, abi.luo.compatible, abi.luo.handlers)
    kept = ("kho-v4", "luo-v5", ("memfd-v2",))
    assert strings == (STRINGS.get(stem, STRINGS["root"]) if kind == "bumped" else kept)
    assert set(abi.unmodelled) == ({COMPONENT[stem]} if stem in COMPONENT else set())
    assert known_of(abi).layout == (None if stem == "memory-map" else "radix")


def test_a_release_is_known_by_its_versions() -> None:
    assert known_of(None) == known_of(RELEASES.select("7.3")) == Known()
