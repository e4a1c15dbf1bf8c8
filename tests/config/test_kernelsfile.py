from __future__ import annotations

from pathlib import Path

import pytest

from khoci.config.kernels import (
    DebianSource,
    GitSource,
    ImageSource,
    KernelSpec,
    Package,
    TarballSource,
    load_kernels,
)
from khoci.config.kernelsfile import render_kernels
from khoci.paths import data_dir

SHA = "0123456789abcdef" * 4
HARD = 'q"uote \\back\ttab \x7fdel 雪 \U0001f40d'


def test_what_is_written_is_read(tmp_path: Path) -> None:
    fragment, patch = tmp_path / "a b.config", tmp_path / "ä.patch"
    fragment.touch()
    patch.touch()
    sources = (
        GitSource("v7.3.4"),
        GitSource("my/branch", Path("/src/linux ü")),
        DebianSource(Package("linux-source-7.3", "7.3.4-1~bpo13+1", SHA)),
        TarballSource("https://example.org/linux.tar.xz", SHA),
    )
    exceptions = data_dir("matrix") / "kconfig/exceptions.toml"
    full = KernelSpec(
        name=HARD,
        sources=sources,
        series="7.3",
        config=(fragment,),
        exceptions=exceptions,
        patches=(patch,),
        cmdline=HARD,
        full_tree=True,
        untrusted=True,
    )
    small = KernelSpec("small", sources[:1], config=(fragment,), exceptions=exceptions)
    file = tmp_path / "kernels.toml"
    file.write_text(render_kernels([full, small]), encoding="utf-8")
    assert dict(load_kernels(file).by_name) == {HARD: full, "small": small}


def test_the_released_kernels(tmp_path: Path) -> None:
    shipped = load_kernels(data_dir("matrix") / "kernels.toml").by_name
    built = {name: spec for name, spec in shipped.items() if name.startswith("v")}
    (tmp_path / "kernels.toml").write_text(render_kernels(built.values()))
    assert dict(load_kernels(tmp_path / "kernels.toml").by_name) == built


def test_a_ready_image_has_no_tree(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no source tree"):
        render_kernels([KernelSpec("x", (ImageSource(tmp_path),))])
