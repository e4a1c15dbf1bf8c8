from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import git
import pytest

from khoci.config.kernels import DebianImageSource, GitSource, Kernels, KernelSpec, Package
from khoci.errors import UsageError
from khoci.series import onbase
from khoci.series.apply import apply_series
from khoci.series.base import Base
from khoci.series.kernels import kernels_of, with_series
from khoci.series.onbase import OnBase, PatchFile, record
from khoci.series.plumbing import Repository
from tests.series.small import TEXT, on

FILES = tuple(
    PatchFile(n, f"{n}@x", f"change {n}", str(n) * 40, Path(f"/s/{n}.patch")) for n in (1, 2, 3)
)
ON = OnBase(Path("/linux.git"), "a" * 40, "a" * 40, "v6.18", "why", "khoci/s/v2", "3" * 40, FILES)
SPEC = KernelSpec("v6.18", (GitSource("v6.18"),), series="6.18", patches=(Path("/own.patch"),))
KNOWN = Kernels(Path("kernels.toml"), {"v6.18": SPEC})


def test_the_base_with_the_patches() -> None:
    found = kernels_of("s", 2, ON, KNOWN)
    assert found.base == SPEC
    assert found.whole == replace(
        SPEC,
        name="s-v2",
        series=None,
        untrusted=True,
        patches=(Path("/own.patch"), *(file.path for file in FILES)),
    )
    assert found.changed == {"s-v2": "v6.18"}
    known = with_series(KNOWN, [found])
    assert known.select("s-v2") == found.whole
    assert known.select("6.18") == SPEC


def test_patch_by_patch() -> None:
    found = kernels_of("s", 2, ON, KNOWN, each_patch=True)
    assert found.changed == {"s-v2-1of3": "v6.18", "s-v2-2of3": "s-v2-1of3", "s-v2": "s-v2-2of3"}
    assert [len(spec.patches) for spec in found.specs] == [1, 2, 3, 4]


def test_a_base_that_is_no_kernel() -> None:
    found = kernels_of("s", 2, replace(ON, kernel=""), KNOWN)
    assert found.base.name == "s-v2-base"
    assert found.base.sources == (GitSource("a" * 40, Path("/linux.git")),)
    assert found.base.config
    assert not found.base.untrusted
    assert found.whole.untrusted


def test_a_base_that_is_gone_or_has_no_sources() -> None:
    with pytest.raises(UsageError, match=r"unknown kernel 'v6\.17'"):
        kernels_of("s", 2, replace(ON, kernel="v6.17"), KNOWN)
    image = DebianImageSource((Package("linux-image", "1", "0" * 64),))
    ready = Kernels(Path("k"), {"v6.18": replace(SPEC, sources=(image,))})
    with pytest.raises(UsageError, match="has no sources to put patches on"):
        kernels_of("s", 2, ON, ready)
    strange = Kernels(Path("k"), {"v6.18": replace(SPEC, untrusted=True)})
    with pytest.raises(UsageError, match=r"v6\.18: is untrusted, so nothing can be built from"):
        kernels_of("s", 2, ON, strange)


def test_what_is_kept_of_a_series_on_its_base(
    linux: git.Repo, tree: Repository, tmp_path: Path
) -> None:
    changed = TEXT.replace("line 7\n", "line seven\n")
    series = on(linux, "v6.17", {"kernel/a.c": changed}, {"mm/c.c": "diff --git a/x b/x\n"})
    done = apply_series(series, "v6.18", tree, tmp_path / "place")
    folder = tmp_path / "s/v1"
    kept = record(folder, tree, Base(done.base, "v6.18", "because"), done)
    assert kept == onbase.load(folder)
    assert (kept.kernel, kept.why, kept.branch) == ("v6.18", "because", "khoci/change/v1")
    assert [patch.number for patch in kept.patches] == [1, 2]
    linux.git.checkout("--quiet", "--detach", "v6.18")
    for patch in kept.patches:
        linux.git.apply("--index", str(patch.path))
    assert linux.git.write_tree() == linux.commit("khoci/change/v1").tree.hexsha
    assert b"Message-ID: <2025-1/2+x@example.org>" in kept.patches[0].path.read_bytes()


def test_what_is_on_no_base_or_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is on no base: khoci apply-series"):
        onbase.load(tmp_path)
    (tmp_path / "applied.json").write_text('{"schema": 9}')
    with pytest.raises(UsageError, match="apply the series again"):
        onbase.load(tmp_path)
