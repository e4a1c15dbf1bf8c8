from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from khoci.abi.dwarf import layouts_in, read_probe
from khoci.abi.model import Field, Layout
from khoci.abi.probe import Probe, at_fault, symbol_of
from khoci.errors import BuildError, HarnessError
from khoci.kernel.headers import Headers, autoconf
from tests.abi import fakelinux
from tests.abi.fakelinux import HEADER, KHO, MEMFD, MEMFD_HEADER, TEST_FILE, TEST_KHO

if TYPE_CHECKING:
    from khoci.abi.dwarf import Found

CONFIG = "CONFIG_PAGE_SHIFT=12\nCONFIG_M=m\nCONFIG_Y=y\n# CONFIG_N is not set\n"


def probed(folder: Path, **changed: str) -> tuple[Found, frozenset[str]]:
    headers = Headers("fake", fakelinux.write(folder / "linux", **changed))
    headers.prepare(CONFIG)
    return headers.read(Probe(headers.definitions()))


def test_values_for_each_size_of_a_page(tmp_path: Path) -> None:
    found, unknown = probed(tmp_path)
    assert not unknown
    depths = [found["KHO_TREE_MAX_DEPTH", shift] for shift in (12, 14, 16)]
    assert depths == [6, 5, 4]
    assert [found["KHO_VMALLOC_SIZE", shift] for shift in (12, 14, 16)] == [511, 2047, 8191]
    assert found["KHO_FDT_COMPATIBLE", 12] == "kho-v4"
    assert found["KHO_TEST_MAGIC", 16] == 0x4B484F21
    assert found["MEMFD_LUO_FOLIO_DIRTY", 12] == 1


def test_a_fix_that_changes_pages_of_16_kib_only(tmp_path: Path) -> None:
    before = KHO.replace("KHO_BITMAP_SIZE_LOG2 + 1,", "KHO_BITMAP_SIZE_LOG2,")
    assert before != KHO
    found, _ = probed(tmp_path, **{HEADER: before})
    assert [found["KHO_TREE_MAX_DEPTH", shift] for shift in (12, 14, 16)] == [6, 4, 4]


def test_layouts(tmp_path: Path) -> None:
    found, _ = probed(tmp_path)
    assert found["memfd_luo_folio_ser", 12] == Layout(
        16,
        (
            Field("pfn", 0, 8, "u64", bit=0, bits=52),
            Field("flags", 0, 8, "u64", bit=52, bits=12),
            Field("index", 8, 8, "u64"),
        ),
    )
    assert found["kho_vmalloc_hdr", 14] == Layout(
        8, (Field("next", 0, 8, "u64", "struct kho_vmalloc_chunk"),)
    )
    chunk = found["kho_vmalloc_chunk", 16]
    assert isinstance(chunk, Layout)
    assert chunk.size == 65536
    assert chunk.fields[0].type == "struct kho_vmalloc_hdr"


def test_an_unnamed_struct_inside_has_both_names(tmp_path: Path) -> None:
    more = "struct memfd_luo_ser { u32 a; union { u16 b; struct { u8 c; u8 d; }; } e; char f[3]; };"
    found, _ = probed(tmp_path, **{MEMFD_HEADER: MEMFD.replace("#endif", f"{more}\n#endif")})
    layout = found["memfd_luo_ser", 12]
    assert isinstance(layout, Layout)
    assert [(f.name, f.offset, f.type) for f in layout.fields] == [
        ("a", 0, "u32"),
        ("e.b", 4, "u16"),
        ("e.c", 4, "u8"),
        ("e.d", 5, "u8"),
        ("f", 6, "char[3]"),
    ]


def test_what_has_no_value_is_named(tmp_path: Path) -> None:
    strange = f"{TEST_KHO}\n#define KHO_TEST_FLAGS (VM_ALLOC | 1)\n"
    found, unknown = probed(tmp_path, **{TEST_FILE: strange})
    assert unknown == {"KHO_TEST_FLAGS"}
    assert found["KHO_TEST_COMPAT", 12] == "kho-test-v1"


def test_a_header_that_does_not_compile(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="fake: what defines its handover does not compile") as no:
        probed(tmp_path, **{HEADER: KHO.replace("u64 phys[", "u128_t phys[")})
    assert "u128_t" in no.value.detail


def test_what_a_probe_comes_to(tmp_path: Path) -> None:
    headers = Headers("fake", fakelinux.write(tmp_path / "linux"))
    headers.prepare(CONFIG)
    headers.read(Probe(headers.definitions()))
    used = headers.used()
    assert {HEADER, "include/linux/types.h", "arch/x86/include/asm/page.h"} <= used
    assert not any(name.startswith(("build", "/")) for name in used)
    assert used <= fakelinux.FILES.keys()


def test_no_object(tmp_path: Path) -> None:
    path = tmp_path / "x.o"
    path.write_bytes(b"no ELF")
    with path.open("rb") as file, pytest.raises(HarnessError, match="fake: the probe's object"):
        read_probe(file, "fake")


def test_no_debug_information(tmp_path: Path) -> None:
    says = pytest.raises(HarnessError, match="true: has no debug information")
    with Path(shutil.which("true") or "").open("rb") as file, says:
        layouts_in(file, frozenset({"kho_vmalloc"}), "true")


def test_symbols() -> None:
    assert symbol_of("khoci_n_14_KHO_TREE_MAX_DEPTH") == ("n", 14, "KHO_TREE_MAX_DEPTH")
    assert symbol_of("main") is None
    assert at_fault("khoci:A:1:30: error: x\na.h:1: error: y\nkhoci:B:1:70: note: in") == {"A", "B"}


def test_autoconf() -> None:
    assert (
        autoconf(CONFIG)
        == "#define CONFIG_PAGE_SHIFT 12\n#define CONFIG_M_MODULE 1\n#define CONFIG_Y 1\n"
    )
