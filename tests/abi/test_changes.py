from __future__ import annotations

import pytest

from khoci.abi.changes import changes
from khoci.abi.places import component, is_handover
from tests.abi.patches import SELFTEST, shown

HEADER = "include/linux/kho/abi/kexec_handover.h"
CODE = "kernel/kexec_handover.c"
MEMFD = "include/linux/kho/abi/memfd.h"
V6_16 = """
#define KHO_FDT_COMPATIBLE "kho-v1"
#define PROP_SUB_FDT "fdt"
#define PRESERVE_BITS (512 * 8)
struct kho_mem_phys_bits {
	DECLARE_BITMAP(preserve, PRESERVE_BITS);
};
struct kho_serialization {
	struct page *fdt;
};
"""
MAP = ("constant", "PRESERVE_BITS", "memory map")
BITS = ("struct", "kho_mem_phys_bits", "memory map")


def found(before: str, after: str, path: str = HEADER) -> list[tuple[str, str, str]]:
    return [
        (item.kind, item.name, item.component) for item in changes({path: before}, {path: after})
    ]


def test_larger_bitmaps() -> None:
    after = V6_16.replace("(512 * 8)", "(PAGE_SIZE * 8)").replace("*fdt", "*another")
    assert found(V6_16, after, CODE) == [MAP, BITS]
    (bits, _) = changes({CODE: V6_16}, {CODE: after})
    assert (bits.old, bits.new, bits.governor) == ("4096", "32768", "KHO_FDT_COMPATIBLE")
    assert str(bits) == "PRESERVE_BITS was 4096 and is 32768 (kernel/kexec_handover.c)"


@pytest.mark.parametrize(
    "after",
    [
        V6_16.replace("(512 * 8)", "4096"),
        V6_16.replace("PRESERVE_BITS", "KHO_BITMAP_BITS"),
        "/* moved */" + V6_16.replace("\n\t", " "),
        V6_16.replace("struct page", "struct folio"),
    ],
)
def test_what_changes_nothing(after: str) -> None:
    assert found(V6_16, after, CODE) == []


def test_what_moves_to_another_file_is_the_same() -> None:
    kept = V6_16.partition("struct kho_serialization")[0]
    assert changes({CODE: V6_16}, {HEADER: kept, CODE: ""}) == ()


def test_a_constant_of_another_file_counts() -> None:
    struct = "struct luo_file_ser { char compatible[LIVEUPDATE_HNDL_COMPAT_LENGTH]; };"
    uapi = "include/linux/kho/abi/luo.h"
    before = {uapi: struct, MEMFD: "#define LIVEUPDATE_HNDL_COMPAT_LENGTH 48"}
    after = {**before, MEMFD: "#define LIVEUPDATE_HNDL_COMPAT_LENGTH 64"}
    assert [item.name for item in changes(before, after)] == [
        "LIVEUPDATE_HNDL_COMPAT_LENGTH",
        "luo_file_ser",
    ]


def test_a_member_of_a_type_that_changes() -> None:
    before = "typedef u64 pos_t; struct memfd_luo_ser { pos_t pos; };"
    assert found("struct memfd_luo_ser { u64 pos; };", before, MEMFD) == []
    after = before.replace("u64", "u32")
    assert found(before, after, MEMFD) == [("struct", "memfd_luo_ser", "memfd")]


@pytest.mark.parametrize(
    "after",
    [
        "struct luo_ser {\n#ifdef CONFIG_B\nu32 a;\n#endif\nu64 b; };",
        "#pragma pack(1)\nstruct luo_ser { u32 a; u64 b; };",
        "struct luo_ser { u32 a; u64 b; } __packed;",
        "struct __packed luo_ser { u32 a; u64 b; };",
    ],
)
def test_where_members_lie(after: str) -> None:
    before = "struct luo_ser { u32 a; u64 b; };"
    assert found(before, after) == [("struct", "luo_ser", "luo")]


VMALLOC = """
#define KHO_VMALLOC_SIZE ((PAGE_SIZE - sizeof(struct kho_vmalloc_hdr)) / sizeof(u64))
struct kho_vmalloc_hdr { DECLARE_KHOSER_PTR(next, struct kho_vmalloc_chunk *); };
struct kho_vmalloc_chunk { struct kho_vmalloc_hdr hdr; u64 phys[KHO_VMALLOC_SIZE]; };
struct kho_vmalloc { DECLARE_KHOSER_PTR(first, struct kho_vmalloc_chunk *); u32 order; };
"""
FILE = "struct memfd_luo_ser { u64 pos; struct kho_vmalloc folios; } __packed;"


@pytest.mark.parametrize("path", [HEADER, CODE])
@pytest.mark.parametrize(
    "names",
    [
        {"kho_vmalloc": "kho_varea"},
        {"kho_vmalloc": "kho_varea", "KHO_VMALLOC": "KHO_VAREA"},
        {"kho_vmalloc_chunk": "kho_page", "kho_vmalloc_hdr": "a_hdr"},
    ],
)
def test_structs_of_another_name(path: str, names: dict[str, str]) -> None:
    before, after = {path: VMALLOC, MEMFD: FILE}, {path: VMALLOC, MEMFD: FILE}
    for old, new in names.items():
        after = {where: text.replace(old, new) for where, text in after.items()}
    assert before != after
    assert changes(before, after) == ()
    larger = {where: text.replace("u32 order", "u64 order") for where, text in after.items()}
    assert {item.component for item in changes(before, larger)} >= {"vmalloc"}


def test_which_of_two_equal_structs_a_struct_holds() -> None:
    before = """
        struct luo_ser { struct one a; struct two b; };
        struct one { u64 a; }; struct two { u64 a; };
    """
    assert found(before, before.replace("one", "z").replace("two", "y"), HEADER) == []
    assert found(before, before.replace("one", "y").replace("two", "z"), HEADER) == []
    assert ("struct", "luo_ser", "luo") in found(before, before.replace("struct two b", "u64 b"))


def test_members_that_change_places_are_no_renaming() -> None:
    before = "struct memfd_luo_ser { u64 pos; u64 size; u32 seals; } __packed;"
    swapped = before.replace("u64 pos; u64 size", "u64 size; u64 pos")
    assert found(before, swapped, MEMFD) == [("struct", "memfd_luo_ser", "memfd")]
    assert found(before, before.replace("size", "bytes"), MEMFD)[0][0] == "names"
    assert found(before, before.replace("u32 seals", "__le32 seals"), MEMFD)[0][0] == "struct"


def test_a_renamed_member_may_be_used_as_before_or_not() -> None:
    struct = "struct kho_vmalloc_chunk { u64 phys[511]; };"
    before = struct + "void f(void) { chunk->phys[i] = page_to_phys(page); (dest).phys = 0; }"
    renamed = before.replace("u64 phys", "u64 addr").replace("->phys", "->addr")
    other = renamed.replace("page_to_phys", "page_to_pfn")
    assert [item.same_use for item in changes({HEADER: before}, {HEADER: renamed})] == [True]
    assert [item.same_use for item in changes({HEADER: before}, {HEADER: other})] == [False]


def test_files_of_the_handover() -> None:
    assert is_handover(HEADER)
    assert is_handover("kernel/liveupdate/luo_flb.c")
    assert not is_handover("kernel/kexec_core.c")
    assert not is_handover("include/linux/kho/abi/deep/luo.h")
    assert component("IOMMU_ABI", "include/linux/kho/abi/iommu.h") == "iommu"
    assert component("IOMMU_ABI", "kernel/liveupdate/iommu.c") is None


ROOT = ("version", "KHO_FDT_COMPATIBLE", "root")
LUO = ("version", "LUO_ABI_COMPATIBLE", "luo")
BROKEN = {
    "root": [("string", "KHO_FDT_SUB_TREES_NODE", "root")],
    "memory-map": [("string", "KHO_FDT_LARGE_MAP_PROP_NAME", "memory map")],
    "scratch": [("struct", "kho_scratch_header", "scratch")],
    "luo-header": [("struct", "luo_ser", "luo")],
    "file-entry": [("struct", "luo_file_ser", "luo")],
    "memfd": [("struct", "memfd_luo_ser", "memfd")],
    "vmalloc": [("names", "kho_vmalloc_chunk", "vmalloc")],
    "block": [
        ("constant", "KHO_BLOCK_MAGIC", "block"),
        ("struct", "kho_block_header_ser", "block"),
    ],
}
BUMP = {
    **dict.fromkeys(BROKEN, ROOT),
    **dict.fromkeys(("luo-header", "file-entry"), LUO),
    "memfd": ("version", "MEMFD_LUO_FH_COMPATIBLE", "memfd"),
}


@pytest.mark.parametrize("name", sorted(path.stem for path in SELFTEST.glob("*.patch")))
def test_mutants(name: str) -> None:
    stem, _, kind = name.rpartition("-")
    before, after = shown(SELFTEST / f"{name}.patch")
    told = changes(before, after)
    expected = [*BROKEN.get(stem, []), *([BUMP[stem]] if kind == "bumped" else [])]
    assert sorted((item.kind, item.name, item.component) for item in told) == sorted(expected)
    assert not any(item.same_use or item.new_file for item in told)
