"""What the sides of a handover call its parts, and which versions they speak."""

from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.compat.facts import Facts
from khoci.compat.versions import renamed, versions
from khoci.config.abi import default_folder, load_releases
from khoci.results import Versions
from tests.compat import logs
from tests.compat.cells import ALL, FINE, HANDED, handing, saying

ABI = load_releases(default_folder()).select("7.3")
STRINGS = {"root": "kho-v4", "luo": "luo-v5", "memfd": "memfd-v2", "kexec-metadata": "1"}
SEEN = handing(versions=STRINGS)


def test_a_kernel_reads_what_its_release_does() -> None:
    found = versions(SEEN, ABI)
    assert found["root"] == Versions("kho-v4", "kho-v4")
    assert found["memfd"] == Versions("memfd-v2", "memfd-v2")
    assert not any(item.differ for item in found.values())
    assert versions(SEEN, None)["root"] == Versions("kho-v4", None)
    assert versions(replace(SEEN, handed=None), ABI) == {}


def test_a_patched_kernel_reads_what_its_sources_say() -> None:
    assert ABI.luo
    patched = replace(
        ABI,
        root=replace(ABI.root, compatible="kho-v5"),
        luo=replace(ABI.luo, handlers=("memfd-v3",)),
    )
    found = versions(SEEN, patched)
    assert [name for name, item in found.items() if item.differ] == ["root", "memfd"]


@pytest.mark.parametrize(
    ("line", "component", "wanted"),
    [
        (logs.REFUSED["7.3"].replace("kho-v4", "kho-v5"), "root", "kho-v5"),
        ("luo: LUO state is incompatible with 'luo-v6'", "luo", "luo-v6"),
        ("luo: FDT 'LUO' is incompatible with 'luo-v2' [1]", "luo", "luo-v2"),
        ("luo: No registered handler for compatible 'memfd-v2'", "memfd", "not memfd-v2"),
        ("KHO: kexec-metadata version 1 not supported (expected 2)", "kexec-metadata", "2"),
    ],
)
def test_a_patched_kernel_says_what_else_it_reads(line: str, component: str, wanted: str) -> None:
    found = versions(saying(line, facts=SEEN), ABI)
    assert found[component].understood == wanted
    assert found[component].differ
    assert [name for name, item in found.items() if item.differ] == [component]


def with_unknown(*lost: str) -> Facts:
    components = (*(name for name in ALL if name not in lost), "KEXEC")
    return replace(FINE, handed=replace(HANDED, components=components))


def test_what_a_release_always_hands_over_may_have_another_name() -> None:
    assert renamed(with_unknown("kexec-metadata"), ABI) == ["kexec-metadata"]
    assert renamed(with_unknown("luo", "kexec-metadata"), ABI) == ["luo", "kexec-metadata"]
    assert renamed(with_unknown(), ABI) == []
    assert renamed(FINE, ABI) == []
    assert renamed(with_unknown("luo"), None) == []
