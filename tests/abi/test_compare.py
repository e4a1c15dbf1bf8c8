from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.abi.compare import compare
from khoci.abi.findings import Finding, Judgement, suppressed, worst
from khoci.abi.model import Field, KernelAbi, Layout, Need, Part, load
from khoci.paths import data_dir

FOLDER = data_dir("matrix") / "abi"
NAMES = ("v6.16.12", "v6.17.13", "v6.18.15", "v6.19.14", "v7.0.13", "v7.1.13", "v7.2.12", "v7.3.4")
RELEASES = {name: load(FOLDER / f"{name}.json") for name in NAMES}
V73 = RELEASES["v7.3.4"]


def keys(findings: tuple[Finding, ...], judgement: Judgement) -> set[str]:
    return {finding.key for finding in findings if finding.judgement is judgement}


def changed(abi: KernelAbi, *parts: Part) -> KernelAbi:
    """The ABI with other parts in the place of those of their names."""
    others = {part.name: part for part in parts}

    def table(old: Mapping[str, Part]) -> dict[str, Part]:
        return {name: others.get(name, part) for name, part in old.items()}

    return replace(
        abi,
        versions=table(abi.versions),
        constants=table(abi.constants),
        structs=table(abi.structs),
    )


def version(name: str, value: str) -> Part:
    return replace(V73.versions[name], values={12: value})


def layout(name: str, *fields: Field, size: int = 16) -> Part:
    return replace(V73.structs[name], values={12: Layout(size, fields)})


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("v6.16.12", "v6.17.13", Judgement.COMPATIBLE),
        ("v6.17.13", "v6.18.15", Judgement.SILENT),
        ("v6.18.15", "v6.19.14", Judgement.COMPATIBLE),
        ("v6.19.14", "v7.0.13", Judgement.SILENT),
        ("v7.0.13", "v7.1.13", Judgement.DECLARED),
        ("v7.1.13", "v7.2.12", Judgement.DECLARED),
        ("v7.2.12", "v7.3.4", Judgement.SAME),
    ],
)
def test_neighbours(old: str, new: str, verdict: Judgement) -> None:
    assert worst(compare(RELEASES[old], RELEASES[new])) is verdict


def test_the_three_silent_breaks() -> None:
    found = compare(RELEASES["v6.17.13"], RELEASES["v6.18.15"])
    assert keys(found, Judgement.SILENT) == {
        "memory map:PRESERVE_BITS",
        "memory map:kho_mem_phys_bits",
        "kho_test:property folios_info",
    }
    bitmaps = next(f for f in found if f.name == "kho_mem_phys_bits")
    assert bitmaps.what == "had 512 bytes and has 4096"
    assert bitmaps.version == "kho-v1"
    assert not bitmaps.hint
    data = next(f for f in found if f.component == "kho_test" and f.judgement is Judgement.SILENT)
    assert data.hint
    assert "u64[]" in data.what
    assert "struct kho_vmalloc" in data.what
    found = compare(RELEASES["v6.19.14"], RELEASES["v7.0.13"])
    assert keys(found, Judgement.SILENT) == {"flb:node luo-flb", "flb:property luo-flb-header"}
    assert {f.version for f in found if f.judgement is Judgement.SILENT} == {"luo-v1"}


def test_newly_required_is_no_break_backwards() -> None:
    found = compare(RELEASES["v7.0.13"], RELEASES["v6.19.14"])
    assert not [f for f in found if "is required now" in f.what]


def test_the_rename_of_7_3_is_the_same() -> None:
    found = compare(RELEASES["v7.2.12"], V73)
    assert {f.judgement for f in found} == {Judgement.SAME}
    renamed = next(f for f in found if f.name == "KHO_ORDER_0_LOG2")
    assert "KHO_RADIX_KEY_WIDTH = 53" in renamed.what


@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_and_itself(name: str) -> None:
    assert compare(RELEASES[name], RELEASES[name]) == ()


def test_the_other_layout_of_memfds_is_declared_by_their_own_version() -> None:
    found = compare(RELEASES["v7.0.13"], RELEASES["v7.1.13"])
    memfd = next(f for f in found if f.name == "memfd_luo_ser")
    assert memfd.judgement is Judgement.DECLARED
    assert memfd.version == "memfd-v1 -> memfd-v2"


def test_only_one_size_of_a_page_differs() -> None:
    depth = V73.constants["KHO_TREE_MAX_DEPTH"]
    other = changed(V73, replace(depth, values={12: 6, 14: 4, 16: 4}))
    (found,) = compare(other, V73)
    assert found.judgement is Judgement.SILENT
    assert found.what == "was 4 and is 5 with pages of 16 KiB only"


def test_a_needless_bump() -> None:
    (found,) = compare(V73, changed(V73, version("LUO_ABI_COMPATIBLE", "luo-v6")))
    assert found.judgement is Judgement.NEEDLESS
    assert found.version == "luo-v5 -> luo-v6"


SWAPPED = layout("kho_scratch", Field("size", 0, 8, "u64"), Field("addr", 8, 8, "u64"))


def test_members_that_change_places() -> None:
    (found,) = compare(V73, changed(V73, SWAPPED))
    assert found.judgement is Judgement.SILENT
    assert found.what == "other members in 16 bytes: addr, size"


def test_a_declared_break() -> None:
    found = compare(V73, changed(V73, SWAPPED, version("KHO_FDT_COMPATIBLE", "kho-v5")))
    assert {f.judgement for f in found} == {Judgement.DECLARED}
    assert {f.version for f in found} == {"kho-v4 -> kho-v5"}


def test_another_version_than_the_governing_one_declares_nothing() -> None:
    found = compare(V73, changed(V73, SWAPPED, version("MEMFD_LUO_FH_COMPATIBLE", "memfd-v3")))
    assert keys(found, Judgement.SILENT) == {"scratch:kho_scratch"}
    assert keys(found, Judgement.NEEDLESS) == {"memfd:MEMFD_LUO_FH_COMPATIBLE"}


def test_a_member_of_another_name_is_compatible() -> None:
    other = layout("kho_scratch", Field("start", 0, 8, "u64"), Field("size", 8, 8, "u64"))
    (found,) = compare(V73, changed(V73, other))
    assert found.judgement is Judgement.COMPATIBLE
    assert "addr -> start" in found.what


def test_an_address_that_was_a_plain_number_is_the_same() -> None:
    other = layout("kho_scratch", Field("addr", 0, 8, "u64", "void"), Field("size", 8, 8, "u64"))
    assert compare(V73, changed(V73, other)) == ()


def test_the_part_of_a_composite_version_that_governs() -> None:
    composite = "kho-v4;radix-v1;scratch-v1;vmalloc-v1"
    old = changed(V73, version("KHO_FDT_COMPATIBLE", composite))
    wrong = version("KHO_FDT_COMPATIBLE", composite.replace("vmalloc-v1", "vmalloc-v2"))
    right = version("KHO_FDT_COMPATIBLE", composite.replace("scratch-v1", "scratch-v2"))
    silent = compare(old, changed(V73, SWAPPED, wrong))
    assert keys(silent, Judgement.SILENT) == {"scratch:kho_scratch"}
    declared = compare(old, changed(V73, SWAPPED, right))
    assert not keys(declared, Judgement.SILENT)
    assert "scratch:kho_scratch" in keys(declared, Judgement.DECLARED)


def test_a_header_that_khoci_does_not_know_is_governed_by_its_own_version() -> None:
    def pci(value: str, size: int) -> KernelAbi:
        own = Part("PCI_COMPATIBLE", "pci", "", "include/linux/kho/abi/pci.h", 1, {12: value})
        ser = Part("pci_ser", "pci", "", own.file, 2, {12: Layout(size, ())})
        return replace(
            V73,
            versions={**V73.versions, own.name: own},
            structs={**V73.structs, ser.name: ser},
        )

    assert keys(compare(pci("pci-v1", 8), pci("pci-v1", 16)), Judgement.SILENT) == {"pci:pci_ser"}
    found = compare(pci("pci-v1", 8), pci("pci-v2", 16))
    assert keys(found, Judgement.DECLARED) == {"pci:pci_ser", "pci:PCI_COMPATIBLE"}
    assert worst(compare(V73, pci("pci-v1", 8))) is Judgement.COMPATIBLE


def test_checks_are_hints_and_never_count() -> None:
    checks = [need for need in V73.needs if need.what == "check"]
    assert checks
    fewer = replace(V73, needs=tuple(n for n in V73.needs if n.what != "check"))
    found = compare(V73, fewer)
    assert all(f.hint and f.judgement is Judgement.SAME for f in found)
    assert {f.what.partition(",")[0] for f in found} == {"a check that is gone"}


def test_a_property_that_becomes_required() -> None:
    need = Need("property", "extra", "u64", True, "root", "", "a.c", "kho_in", 3)
    (found,) = compare(V73, replace(V73, needs=(*V73.needs, need)))
    assert found.judgement is Judgement.SILENT
    assert found.hint
    written = replace(V73, writes=(*V73.writes, "property extra"))
    assert compare(written, replace(V73, needs=(*V73.needs, need))) == ()
    optional = replace(need, required=False)
    assert compare(V73, replace(V73, needs=(*V73.needs, optional))) == ()


def test_what_is_let_pass_does_not_count() -> None:
    found = suppressed(compare(V73, changed(V73, SWAPPED)), {"scratch:kho_scratch": "a test"})
    assert worst(found) is Judgement.SAME
    assert found[0].reason == "a test"


def test_a_whole_subtree_that_nobody_reads_any_more() -> None:
    found = compare(RELEASES["v7.0.13"], RELEASES["v6.18.15"])
    assert "luo:luo" in keys(found, Judgement.SILENT)


def test_files_are_there_for_all_that_the_toml_describes() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == set(NAMES)
    assert {path.stem for path in Path(FOLDER).glob("*.json")} == set(NAMES)
