from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from khoci.config.kernels import ImageSource
from khoci.errors import BuildError, HarnessError
from khoci.kernel.cache import Cache
from khoci.kernel.definitions import changes_by_patches

if TYPE_CHECKING:
    from pathlib import Path

    from khoci.config.kernels import KernelSpec
    from tests.kernel.conftest import Fake

HEADER = "include/linux/kho/abi/luo.h"
CODE = "kernel/liveupdate/luo_core.c"
OLD = '#define LUO_ABI_COMPATIBLE "luo-v5"\nstruct luo_ser {\n u64 number;\n};\n'
NEW = OLD.replace("luo-v5", "luo-v6")
WIDER = NEW.replace("u64 number;\n", "u64 number;\n u64 flags;\n")


def kernel(fake: Fake, *patches: Path, **files: str) -> KernelSpec:
    return replace(fake.kernel(**{HEADER: OLD, **files}), patches=patches)


def told(spec: KernelSpec, cache: Cache) -> list[tuple[str, str]]:
    return [(item.name, item.component) for item in changes_by_patches(spec, cache=cache)]


def test_patches_on_top_of_each_other(fake: Fake, cache: Cache) -> None:
    kernel(fake)
    first = fake.patch("first", **{HEADER: NEW, "source.c": "int other;\n"})
    assert told(kernel(fake, first), cache) == [("LUO_ABI_COMPATIBLE", "luo")]
    kernel(fake, **{HEADER: NEW})
    second = fake.patch("second", **{HEADER: WIDER})
    both = told(kernel(fake, first, second), cache)
    assert both == [("LUO_ABI_COMPATIBLE", "luo"), ("luo_ser", "luo")]


def test_a_file_that_a_patch_brings_and_one_that_it_takes(fake: Fake, cache: Cache) -> None:
    kernel(fake)
    added = '#define IOMMU_COMPATIBLE "iommu-v1"\n'
    patch = fake.patch("adds", **{"include/linux/kho/abi/iommu.h": added})
    (change,) = changes_by_patches(kernel(fake, patch), cache=cache)
    assert (change.name, change.component, change.new_file) == ("IOMMU_COMPATIBLE", "iommu", True)


def test_patches_elsewhere_need_no_sources(fake: Fake, cache: Cache) -> None:
    kernel(fake)
    patch = fake.patch("elsewhere", **{"source.c": "int other;\n"})
    spec = replace(kernel(fake, patch), sources=())
    assert changes_by_patches(spec, cache=cache) == ()
    assert changes_by_patches(kernel(fake), cache=cache) == ()


def test_a_source_is_unpacked_once(fake: Fake, cache: Cache) -> None:
    kernel(fake, **{CODE: "int luo;\n"})
    patch = fake.patch("once", **{HEADER: NEW})
    spec = kernel(fake, patch, **{CODE: "int luo;\n"})
    before = told(spec, cache)
    (kept,) = cache.definitions.glob("*.json")
    assert json.loads(kept.read_text())["files"] == {HEADER: OLD, CODE: "int luo;\n"}
    for tarball in fake.folder.glob("*.tar.xz"):
        tarball.unlink()
    assert told(spec, cache) == before == [("LUO_ABI_COMPATIBLE", "luo")]
    assert ("definitions", kept) in [(entry.kind, entry.path) for entry in cache.entries()]


@pytest.mark.parametrize("damaged", ["", "{}", "[]", '{"files": 1}', '{"files": ', "\xff"])
def test_what_is_kept_and_cannot_be_read_is_made_anew(
    fake: Fake, cache: Cache, damaged: str
) -> None:
    kernel(fake)
    spec = kernel(fake, fake.patch("once", **{HEADER: NEW}))
    before = told(spec, cache)
    (kept,) = cache.definitions.glob("*.json")
    sound = kept.read_text()
    kept.write_text(damaged, encoding="latin-1")
    assert told(spec, cache) == before
    assert kept.read_text() == sound


def test_other_files_are_kept_under_another_name(
    fake: Fake, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel(fake)
    spec = kernel(fake, fake.patch("once", **{HEADER: NEW}))
    told(spec, cache)
    monkeypatch.setattr("khoci.kernel.definitions.WHICH", "other")
    told(spec, cache)
    assert len(list(cache.definitions.glob("*.json"))) == 2


def moving(fake: Fake, old: str, new: str, kind: str = "rename") -> Path:
    patch = fake.folder / f"{kind}-{old.replace('/', '-')}.patch"
    patch.write_text(
        f"diff --git a/{old} b/{new}\nsimilarity index 100%\n{kind} from {old}\n{kind} to {new}\n"
    )
    return patch


IOMMU = "include/linux/kho/abi/iommu.h"
IOMMU_TEXT = '#define IOMMU_COMPATIBLE "iommu-v1"\n'


@pytest.mark.parametrize("kind", ["rename", "copy"])
def test_a_file_from_elsewhere_becomes_a_definition(fake: Fake, cache: Cache, kind: str) -> None:
    files = {"include/linux/iommu.h": IOMMU_TEXT}
    kernel(fake, **files)
    patch = moving(fake, "include/linux/iommu.h", IOMMU, kind)
    (change,) = changes_by_patches(kernel(fake, patch, **files), cache=cache)
    assert (change.name, change.component, change.new_file) == ("IOMMU_COMPATIBLE", "iommu", True)


def test_a_new_file_that_a_later_patch_moves(fake: Fake, cache: Cache) -> None:
    kernel(fake)
    patches = [
        fake.patch("new", **{"lib/iommu.h": IOMMU_TEXT}),
        moving(fake, "lib/iommu.h", "include/linux/iommu.h"),
        moving(fake, "include/linux/iommu.h", IOMMU),
    ]
    assert told(kernel(fake, *patches), cache) == [("IOMMU_COMPATIBLE", "iommu")]


def test_a_definition_that_moves_elsewhere_is_gone(fake: Fake, cache: Cache) -> None:
    kernel(fake)
    spec = kernel(fake, moving(fake, HEADER, "include/linux/luo.h"))
    found = changes_by_patches(spec, cache=cache)
    assert [(item.name, item.new) for item in found] == [
        ("LUO_ABI_COMPATIBLE", None),
        ("luo_ser", None),
    ]


def test_no_source_and_a_patch_that_does_not_apply(
    fake: Fake, cache: Cache, tmp_path: Path
) -> None:
    kernel(fake)
    patch = fake.patch("wrong", **{HEADER: NEW})
    gone = kernel(fake, patch)
    for tarball in fake.folder.glob("*.tar.xz"):
        tarball.unlink()
    with pytest.raises(HarnessError, match=r"v6\.18\.15: its sources are not here: .*tar\.xz"):
        changes_by_patches(gone, cache=cache)
    ready = replace(gone, sources=(ImageSource(tmp_path / "bzImage"),))
    with pytest.raises(HarnessError, match="it has none"):
        changes_by_patches(ready, cache=cache)
    other = kernel(fake, patch, **{HEADER: "int other;\n"})
    with pytest.raises(BuildError, match="does not apply"):
        changes_by_patches(other, cache=cache)


def test_names_of_files_are_no_patterns(fake: Fake, cache: Cache) -> None:
    odd = "include/linux/kho/abi/lu[o]*.h"
    kernel(fake, **{odd: "int odd;\n"})
    patch = fake.patch("odd", **{HEADER: WIDER, odd: '#define ODD "odd-v1"\n'})
    names = {name for name, _ in told(kernel(fake, patch, **{odd: "int odd;\n"}), cache)}
    assert names == {"LUO_ABI_COMPATIBLE", "luo_ser", "ODD"}
