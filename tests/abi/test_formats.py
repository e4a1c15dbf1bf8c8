from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.abi.formats import (
    Format,
    Manifest,
    Reading,
    all_understood,
    of_abi,
    of_strings,
    read_by,
    versions_of,
)
from khoci.abi.model import KernelAbi, Layout, Part
from khoci.format.announced import Features
from tests.abi.test_compare import NAMES, RELEASES, V73, version

MANIFESTS = {name: of_abi(abi, "a test") for name, abi in RELEASES.items()}


def readings(producer: str, consumer: str) -> dict[str, Reading]:
    reads = read_by(MANIFESTS[producer], MANIFESTS[consumer])
    return {read.component: read.reading for read in reads}


@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_understands_itself(name: str) -> None:
    assert all_understood(read_by(MANIFESTS[name], MANIFESTS[name]))


def test_both_ways_between_7_2_and_7_3() -> None:
    assert set(readings("v7.2.12", "v7.3.4").values()) == {Reading.UNDERSTOOD}
    assert set(readings("v7.3.4", "v7.2.12").values()) == {Reading.UNDERSTOOD}


def test_a_root_that_is_refused_takes_all_with_it() -> None:
    reads = read_by(MANIFESTS["v7.1.13"], MANIFESTS["v7.2.12"])
    assert {read.reading for read in reads} == {Reading.REFUSED}
    assert {read.why for read in reads} == {"kho-v3 is unknown, next to v4"}


def test_bitmaps_that_are_misread_spoil_what_lies_in_memory() -> None:
    found = readings("v6.17.13", "v6.18.15")
    assert found["root"] is Reading.UNDERSTOOD
    assert found["memory map"] is found["reserve_mem"] is found["kho_test"] is Reading.MISREAD


def test_a_node_that_only_the_reader_wants_spoils_what_holds_it() -> None:
    found = readings("v6.19.14", "v7.0.13")
    assert found["luo"] is found["session"] is found["memfd"] is Reading.MISREAD
    assert found["kho_test"] is Reading.UNDERSTOOD
    back = readings("v7.0.13", "v6.19.14")
    assert back["luo"] is Reading.UNDERSTOOD
    assert back["flb"] is Reading.NOBODY


def test_what_nobody_reads() -> None:
    assert readings("v6.17.13", "v6.16.12")["kho_test"] is Reading.NOBODY
    assert readings("v7.0.13", "v6.18.15")["luo"] is Reading.NOBODY


def with_versions(*parts: Part) -> KernelAbi:
    return replace(V73, versions={**V73.versions, **{part.name: part for part in parts}})


def test_several_versions_of_one_subtree_side_by_side() -> None:
    older = replace(version("LUO_ABI_COMPATIBLE", "luo-v4"), name="LUO_ABI_COMPATIBLE_V4")
    both = of_abi(with_versions(older), "a test")
    assert both.formats["luo"] == Format("luo-v5", ("luo-v5", "luo-v4"))
    old = of_abi(with_versions(version("LUO_ABI_COMPATIBLE", "luo-v4")), "a test")
    assert all_understood(read_by(old, both))
    assert not all_understood(read_by(both, old))


def test_composite_versions() -> None:
    def composite(text: str) -> Manifest:
        return of_abi(with_versions(version("KHO_FDT_COMPATIBLE", text)), "a test")

    one = composite("kho-v4;radix-v1;vmalloc-v1")
    assert all_understood(read_by(one, composite("kho-v4;vmalloc-v1;radix-v1")))
    reads = read_by(one, composite("kho-v4;radix-v1;vmalloc-v2"))
    assert {read.reading for read in reads} == {Reading.REFUSED}
    assert "vmalloc-v1 is unknown" in reads[0].why or "kho-v4" in reads[0].why


def test_versions_that_are_numbers() -> None:
    metadata = replace(V73.versions["KHO_KEXEC_METADATA_VERSION"], values={12: 2})
    found = {
        r.component: r for r in read_by(of_abi(with_versions(metadata), ""), MANIFESTS["v7.3.4"])
    }
    assert found["kexec-metadata"].reading is Reading.REFUSED
    assert found["kexec-metadata"].writes == "2"
    assert found["luo"].reading is Reading.UNDERSTOOD


def featured(supported: int, required: int, active: int) -> Manifest:
    bits = {"SUPP": supported, "REQ": required, "ACTIVE": active}
    luo = V73.constants["LUO_KHO_ENTRY_NAME"]
    parts = {
        f"LUO_CORE_FEATURES_{which}": replace(
            luo, name=f"LUO_CORE_FEATURES_{which}", values={12: value}
        )
        for which, value in bits.items()
    }
    return of_abi(replace(V73, constants={**V73.constants, **parts}), "a test")


def test_feature_bits() -> None:
    old, new = featured(0b11, 0b1, 0b11), featured(0b111, 0b1, 0b111)
    assert old.formats["luo"].features == Features(0b11, 0b1, 0b11)
    assert all_understood(read_by(old, new))
    refused = {r.component: r for r in read_by(new, old)}["luo"]
    assert refused.reading is Reading.REFUSED
    assert refused.why == "features 0x4 are in use, and it does not support them"
    wants = featured(0b111, 0b100, 0b111)
    why = {r.component: r.why for r in read_by(old, wants)}["luo"]
    assert why == "it requires features 0x4, which are not in use"


STRINGS = ("kho-v4", "luo-v5", "memfd-v2", "memblock-v1", "ext4-v1")


def test_strings_of_an_image() -> None:
    image = of_strings("bzImage", STRINGS, (), {}, {})
    assert list(image.formats) == ["root", "reserve_mem", "luo", "memfd"]
    assert all_understood(read_by(image, of_strings("other", STRINGS, (), {}, {})))
    older = of_strings("other", ("kho-v3", "luo-v5"), (), {}, {})
    assert {read.reading for read in read_by(image, older)} == {Reading.REFUSED}


def test_an_image_that_reads_two_versions_writes_the_newest() -> None:
    image = of_strings("bzImage", ("kho-v9", "kho-v10"), (), {}, {})
    assert image.formats["root"] == Format("kho-v10", ("kho-v10", "kho-v9"))


def test_an_image_without_a_handover() -> None:
    (read,) = read_by(of_strings("a", ("kho-v1",), (), {}, {}), of_strings("b", (), (), {}, {}))
    assert read.reading is Reading.NOBODY
    assert read.why == "b has no Kexec HandOver"


def test_what_only_a_section_announces() -> None:
    image = of_strings("a", ("kho-v4",), ("vfio-pci-v3",), {"luo": Features(1, 1, 1)}, {})
    assert image.formats["vfio-pci"].reads == ("vfio-pci-v3",)
    assert image.formats["luo"].features == Features(1, 1, 1)
    other = of_strings("b", ("kho-v4",), ("vfio-pci-v2",), {"luo": Features(1, 1, 1)}, {})
    verdicts = {read.component: read.reading for read in read_by(image, other)}
    assert verdicts["vfio-pci"] is Reading.REFUSED
    assert verdicts["luo"] is Reading.UNDERSTOOD


def test_layouts_that_only_btf_tells() -> None:
    def image(size: int) -> Manifest:
        layouts = {"kho_mem_phys_bits": Layout(size, ())}
        return of_strings(f"with {size}", ("kho-v1", "memblock-v1"), (), {}, layouts)

    verdicts = {r.component: r for r in read_by(image(512), image(4096))}
    assert verdicts["reserve_mem"].reading is Reading.MISREAD
    assert "has 512 bytes, and with 4096 has 4096" in verdicts["reserve_mem"].why


def test_versions_of() -> None:
    assert versions_of(V73)["root"] == "kho-v4"
    assert versions_of(RELEASES["v6.19.14"])["session"] == "luo-session-v2"
