from __future__ import annotations

import difflib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.abi.compare import compare
from khoci.abi.findings import Judgement, worst
from khoci.config.kernels import KernelSpec, TarballSource, usual_kernel
from khoci.errors import BuildError, HarnessError, UsageError
from khoci.kernel.cache import Cache
from khoci.kernel.download import file_sha256
from khoci.kernel.extract import abi_of, abi_of_tree, abis_of, takes, texts_of
from khoci.progress import NoProgress
from tests.abi import fakelinux
from tests.abi.fakelinux import HEADER, TEST_FILE

QUIET = NoProgress()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def spec(tmp_path: Path) -> KernelSpec:
    path = fakelinux.tarball(tmp_path / "linux.tar.gz")
    return usual_kernel("v9.9.9", TarballSource(f"file:{path}", file_sha256(path)))


def patch(folder: Path, name: str, file: str, old: str, new: str) -> Path:
    """A patch that replaces text in a file of the tree, or makes a new one if there is none."""
    before = fakelinux.FILES.get(file, "")
    assert before.count(old) == 1 or not before
    after = before.replace(old, new) if before else new
    sides = (f"a/{file}" if before else "/dev/null", f"b/{file}")
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), *sides)
    mode = "" if before else "new file mode 100644\n"
    path = folder / name
    path.write_text(f"diff --git a/{file} b/{file}\n{mode}{''.join(lines)}")
    return path


def test_a_tree_is_not_written_to(tmp_path: Path) -> None:
    tree = fakelinux.write(tmp_path / "linux")
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
    found = abi_of_tree(tree)
    assert {path: path.stat().st_mtime_ns for path in tree.rglob("*")} == before
    assert found.name == "linux"
    assert found.constants["KHO_TREE_MAX_DEPTH"].values == {12: 6, 14: 5, 16: 4}
    assert found.structs["memfd_luo_folio_ser"].governor == "MEMFD_LUO_FH_COMPATIBLE"
    assert found.structs["kho_radix_leaf"].place == f"{HEADER}:37"
    assert found.versions["KHO_TEST_COMPAT"].value == "kho-test-v1"
    assert [(need.name, need.type, need.required) for need in found.needs] == [
        ("nr_folios", "u32", True)
    ]


def test_a_tree_that_was_built_in(tmp_path: Path) -> None:
    tree = fakelinux.write(tmp_path / "linux")
    (tree / ".config").write_text("CONFIG_PAGE_SHIFT=16\n")
    (tree / "include/generated").mkdir()
    (tree / "include/generated/autoconf.h").write_text("#define CONFIG_PAGE_SHIFT 16\n")
    assert abi_of_tree(tree).constants["KHO_TREE_MAX_DEPTH"].value == 6


def test_no_tree(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no kernel's sources"):
        abi_of_tree(tmp_path)


def test_a_tree_that_cannot_be_configured(tmp_path: Path) -> None:
    tree = fakelinux.write(tmp_path / "linux")
    (tree / "Makefile").write_text("VERSION = 9\nPATCHLEVEL = 9\nallnoconfig:\n\tfalse\n")
    with pytest.raises(BuildError, match="linux: make allnoconfig failed"):
        abi_of_tree(tree)


def test_what_is_kept_of_a_source(spec: KernelSpec, cache: Cache, tmp_path: Path) -> None:
    found = abi_of(spec, QUIET, cache)
    assert found.name == "v9.9.9"
    assert found.provenance["source"].endswith("linux.tar.gz")
    (kept,) = cache.definitions.glob("*.kit.json")
    files = json.loads(kept.read_text())["files"]
    assert {HEADER, TEST_FILE, "include/linux/types.h", "Makefile"} <= files.keys()
    assert "drivers/other.c" not in files
    (tmp_path / "linux.tar.gz").unlink()
    assert abi_of(spec, QUIET, cache).to_json() == found.to_json()
    assert "Documentation/core-api/kho/index.rst" in texts_of(spec, QUIET, cache)


def test_what_is_kept_and_damaged_is_made_again(spec: KernelSpec, cache: Cache) -> None:
    found = abi_of(spec, QUIET, cache)
    (kept,) = cache.definitions.glob("*.kit.json")
    kept.write_text("{")
    assert abi_of(spec, QUIET, cache).to_json() == found.to_json()


def series(spec: KernelSpec, *patches: Path) -> list[KernelSpec]:
    return [
        replace(spec, name=f"s{count}", patches=patches[:count], untrusted=bool(count))
        for count in range(len(patches) + 1)
    ]


def test_a_series_patch_by_patch(spec: KernelSpec, cache: Cache, tmp_path: Path) -> None:
    leaf = "ilog2(BITS_PER_BYTE),"
    patches = (
        patch(tmp_path, "1.patch", "drivers/other.c", "int other;", "int others;"),
        patch(tmp_path, "2.patch", HEADER, leaf, f"{leaf[:-1]} - 1,"),
        patch(tmp_path, "3.patch", HEADER, '"kho-v4"', '"kho-v5"'),
    )
    base, *found = abis_of(series(spec, *patches), QUIET, cache)
    assert [abi.name for abi in found] == ["s1", "s2", "s3"]
    steps = zip([base, *found], found, strict=False)
    assert [worst(compare(one, other)) for one, other in steps] == [
        Judgement.SAME,
        Judgement.SILENT,
        Judgement.NEEDLESS,
    ]
    assert worst(compare(base, found[-1])) is Judgement.DECLARED


def test_a_patch_that_brings_a_header(spec: KernelSpec, cache: Cache, tmp_path: Path) -> None:
    text = '#define PCI_LUO_COMPATIBLE "pci-v1"\nstruct pci_ser {\n\tunsigned int a;\n};\n'
    path = patch(tmp_path, "1.patch", "include/linux/kho/abi/pci.h", "", text)
    base, found = abis_of(series(spec, path), QUIET, cache)
    assert found.structs["pci_ser"].governor == "PCI_LUO_COMPATIBLE"
    assert worst(compare(base, found)) is Judgement.COMPATIBLE


def test_a_new_symbol_counts_as_set(spec: KernelSpec, cache: Cache, tmp_path: Path) -> None:
    symbol = patch(tmp_path, "1.patch", "kernel/Kconfig", "", "config KHO_MORE\n\tbool\n")
    under = "#ifdef CONFIG_KHO_MORE\n#define KHO_TEST_MORE 3\n#endif\n"
    line = "#define KHO_TEST_MAGIC 0x4b484f21\n"
    more = patch(tmp_path, "2.patch", TEST_FILE, line, f"{line}{under}")
    found = abis_of(series(spec, symbol, more), QUIET, cache)
    assert ["KHO_TEST_MORE" in abi.constants for abi in found] == [False, False, True]


def test_a_patch_that_does_not_apply(spec: KernelSpec, cache: Cache, tmp_path: Path) -> None:
    wrong = patch(tmp_path, "1.patch", HEADER, '"kho-v4"', '"kho-v5"')
    wrong.write_text(wrong.read_text().replace("-#define KHO_FDT_COMP", "-#define KHO_FTD_COMP"))
    with pytest.raises(BuildError, match="does not apply"):
        takes(replace(spec, patches=(wrong,)), cache, QUIET)
    takes(spec, cache, QUIET)


def test_a_patch_that_does_not_compile(spec: KernelSpec, cache: Cache, tmp_path: Path) -> None:
    wrong = patch(tmp_path, "1.patch", HEADER, "u64 phys;              \\", "u128 phys; \\")
    with pytest.raises(BuildError, match="does not compile"):
        abi_of(replace(spec, patches=(wrong,)), QUIET, cache)


def test_the_compiler_of_strangers_sees_no_files_of_the_user(
    spec: KernelSpec, cache: Cache, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.h"
    secret.write_text("#define KHO_TEST_SECRET 42\n")
    line = "#include <asm/page.h>\n"
    path = patch(tmp_path, "1.patch", HEADER, line, f'{line}#include "{secret}"\n')
    assert "KHO_TEST_SECRET" not in str(abi_of(spec, QUIET, cache))
    with pytest.raises(BuildError, match="does not compile") as no:
        abi_of(replace(spec, patches=(path,), untrusted=True), QUIET, cache)
    assert "secret.h: No such file" in no.value.detail


def test_sources_that_are_not_here(cache: Cache, tmp_path: Path) -> None:
    gone = usual_kernel("v9.9.9", TarballSource(f"file:{tmp_path}/none.tar", "0" * 64))
    with pytest.raises(HarnessError, match=r"v9\.9\.9: its sources are not here"):
        abi_of(gone, QUIET, cache)
