from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from khoci.config.abi import load_releases
from khoci.config.kernels import KernelSpec
from khoci.errors import KhociError
from khoci.kernel.cache import Artifact
from khoci.paths import data_dir
from khoci.progress import NoProgress
from khoci.run.patched import with_patched
from tests.kernel.conftest import Fake

RELEASES = load_releases(data_dir("matrix") / "abi")
HEADER = "include/linux/kho/abi/kexec_handover.h"
OLD = '#define KHO_FDT_COMPATIBLE "kho-v1"\n'
NEW = '#define KHO_FDT_COMPATIBLE "kho-v2"\n'


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[KernelSpec]:
    """A release, one with a patch that changes its version, and one with a patch elsewhere."""
    monkeypatch.setenv("KHOCI_CACHE", str(tmp_path / "cache"))
    (tmp_path / "fake").mkdir()
    fake = Fake(tmp_path / "fake")
    base = fake.kernel(**{HEADER: OLD})
    bumped = fake.patch("bumped", **{HEADER: NEW})
    other = fake.patch("other", **{"source.c": "int other;\n"})
    return [
        base,
        replace(base, name="v6.18.15+bumped", patches=(bumped,)),
        replace(base, name="other", patches=(other,)),
    ]


def obtained(specs: list[KernelSpec]) -> dict[str, tuple[KernelSpec, Artifact]]:
    return {
        spec.name: (spec, Artifact(spec.name, "", spec.arch, "6.18.15", Path("bzImage")))
        for spec in specs
    }


def test_patched_kernels_have_an_abi_of_their_own(kernels: list[KernelSpec]) -> None:
    told: list[KhociError] = []
    found = with_patched(RELEASES, obtained(kernels), NoProgress(), told.append)
    abis = [found.find_for(spec.name, "6.18.15") for spec in kernels]
    strings = [abi and (abi.name, abi.base, abi.root.compatible) for abi in abis]
    assert strings == [
        ("v6.18.15", "", "kho-v1"),
        ("v6.18.15+bumped", "v6.18.15", "kho-v2"),
        ("other", "v6.18.15", "kho-v1"),
    ]
    assert told == []


def test_one_without_sources_is_taken_for_its_release(kernels: list[KernelSpec]) -> None:
    for tarball in kernels[0].config[0].parent.glob("*.tar.xz"):
        tarball.unlink()
    told: list[KhociError] = []
    found = with_patched(RELEASES, obtained(kernels), NoProgress(), told.append)
    assert [*found.patched] == ["other"]
    assert found.find_for("v6.18.15+bumped", "6.18.15") == RELEASES.select("6.18")
    (line,) = map(str, told)
    assert line.startswith(
        "v6.18.15+bumped: is predicted as v6.18.15, without what its patches change: "
        "its sources are not here: "
    )


def test_a_kernel_of_no_known_release(kernels: list[KernelSpec]) -> None:
    strange = {
        name: (spec, replace(artifact, release="5.10.1"))
        for name, (spec, artifact) in obtained(kernels[2:]).items()
    }
    told: list[KhociError] = []
    assert with_patched(RELEASES, strange, NoProgress(), told.append) == RELEASES
    assert told == []
