from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.config.kernels import (
    DebianImageSource,
    DebianSource,
    GitSource,
    ImageSource,
    Kernels,
    KernelSpec,
    TarballSource,
    known_kernels,
    load_kernels,
    release_number,
)
from khoci.errors import UsageError
from khoci.paths import data_dir

DIGEST = "ab" * 32
SHIPPED = data_dir("matrix") / "kernels.toml"


def load(tmp_path: Path, text: str) -> Kernels:
    (tmp_path / "kconfig").mkdir(exist_ok=True)
    for name in ("base", "kho"):
        (tmp_path / "kconfig" / f"{name}.config").touch()
    path = tmp_path / "kernels.toml"
    path.write_text(text)
    return load_kernels(path)


def test_the_shipped_file_has_all_eight_series() -> None:
    kernels = load_kernels(SHIPPED)
    for series in ("6.16", "6.17", "6.18", "6.19", "7.0", "7.1", "7.2", "7.3"):
        spec = kernels.select(series)
        git, debian = spec.sources
        assert git == GitSource(spec.name)
        assert isinstance(debian, DebianSource)
        assert debian.package.name == f"linux-source-{series}"
        assert debian.package.version == f"{spec.name[1:]}-1~bpo13+1"
        assert [path.name for path in spec.config] == ["base.config", "kho.config"]
        assert spec.exceptions is not None


def test_every_kind_of_source(tmp_path: Path) -> None:
    kernels = load(
        tmp_path,
        f"""
        [kernel.mine]
        series = "6.18"
        cmdline = "quiet"
        sources = [
            {{ ref = "v1", git = "linux" }},
            {{ tarball = "https://x/y.tar.xz", sha256 = "{DIGEST}" }},
            {{ tarball = "y.tar", sha256 = "{DIGEST}" }},
            {{ image = "bzImage", system_map = "System.map" }},
            {{ debian-image = [{{ package = "p", version = "1", sha256 = "{DIGEST}" }}] }},
        ]
        """,
    )
    spec = kernels.select("mine")
    git, remote, local, image, packages = spec.sources
    assert git == GitSource("v1", tmp_path / "linux")
    assert remote == TarballSource("https://x/y.tar.xz", DIGEST)
    assert local == TarballSource((tmp_path / "y.tar").as_uri(), DIGEST)
    assert image == ImageSource(tmp_path / "bzImage", tmp_path / "System.map")
    assert isinstance(packages, DebianImageSource)
    assert packages.packages[0].arch == "amd64"
    assert (spec.series, spec.cmdline) == ("6.18", "quiet")


def kernels_named(*names: str) -> Kernels:
    specs = [
        KernelSpec(name, (), series=name.removeprefix("v").partition("-")[0].rsplit(".", 1)[0])
        if name.count(".") > 1
        else KernelSpec(name, (), series=name.removeprefix("v").partition("-")[0])
        for name in names
    ]
    random.shuffle(specs)
    return Kernels(Path("kernels.toml"), {spec.name: spec for spec in specs})


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("6.18", "v6.18.15"),
        ("v6.18", "v6.18.15"),
        ("6.18.9", "v6.18.9"),
        ("v6.18.9", "v6.18.9"),
        ("7.4", "v7.4-rc2"),
    ],
)
def test_selection(asked: str, found: str) -> None:
    kernels = kernels_named("v6.18.9", "v6.18.15", "v6.18.2", "v7.4-rc1", "v7.4-rc2")
    assert kernels.select(asked).name == found


def test_kernels_of_the_user_stand_on_top_of_those_that_are_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = known_kernels()
    assert shipped.names == load_kernels(data_dir("matrix") / "kernels.toml").names
    here, near = tmp_path / "matrix" / "kernels.toml", tmp_path / "near.toml"
    here.parent.mkdir()
    here.write_text('[kernel.mine]\nsources = [{ ref = "a" }]\n')
    near.write_text(
        '[kernel.mine]\nsources = [{ ref = "b" }]\n[kernel."v7.3.4"]\nsources = [{ ref = "c" }]\n'
    )
    both = known_kernels(near)
    assert set(both.names) == {*shipped.names, "mine"}
    assert both.select("mine").sources == (GitSource("b"),)
    assert both.select("7.3").sources == (GitSource("c"),)
    assert known_kernels(tmp_path / "nowhere.toml").select("mine").sources == (GitSource("a"),)
    assert known_kernels().select("7.3") == shipped.select("7.3")


def test_an_unknown_kernel_lists_what_exists() -> None:
    kernels = kernels_named("v6.18.15", "v6.9.1")
    with pytest.raises(UsageError) as caught:
        kernels.select("v6.18.16")
    assert str(caught.value) == (
        "unknown kernel 'v6.18.16' (did you mean 'v6.18.15'?): "
        "there are v6.9.1, v6.18.15 (kernels.toml)"
    )


@given(st.lists(st.integers(0, 99), min_size=3, max_size=3), st.integers(1, 99))
def test_releases_are_ordered_by_number(parts: list[int], candidate: int) -> None:
    name = "v" + ".".join(map(str, parts))
    later = "v" + ".".join(map(str, [*parts[:2], parts[2] + 1]))
    assert release_number(name) < release_number(later)
    assert release_number(f"{name}-rc{candidate}") < release_number(name)


@pytest.mark.parametrize("name", ["", "v", "mine", "6", "v6.18-custom", "6.18."])
def test_other_names_have_no_number(name: str) -> None:
    assert release_number(name) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[kernel.a]\nsorces = []", "[kernel.a]: unknown key 'sorces' (did you mean 'sources'?)"),
        ("[kernels.a]", "unknown key 'kernels' (did you mean 'kernel'?)"),
        ("", "no [kernel.NAME] table"),
        ("[kernel.a]", "[kernel.a]: key 'sources' is missing"),
        ("[kernel.a]\nsources = 1", "[kernel.a]: key 'sources' must be a list of tables"),
        (
            '[kernel."v6.1"]\nsources = [{ git = "x" }]',
            (
                '[kernel."v6.1".sources #1]: needs one of the keys ref, debian, tarball, image, '
                "debian-image"
            ),
        ),
        (
            '[kernel.a]\nsources = [{ debian = "x", version = "1", sha256 = "AB" }]',
            "[kernel.a.sources #1]: key 'sha256' must be 64 lower-case hex digits",
        ),
        (
            '[kernel.a]\nsources = [{ debian = "x", sha256 = "AB" }]',
            "[kernel.a.sources #1]: key 'version' is missing",
        ),
        (
            '[kernel.a]\narch = "x86"\nsources = [{ ref = "x" }]',
            "[kernel.a]: arch 'x86' is not supported (did you mean 'x86_64'?)",
        ),
        (
            '[kernel.a]\nconfig = ["bas"]\nsources = [{ ref = "x" }]',
            "[kernel.a]: {folder}/kconfig/bas.config does not exist",
        ),
        ("[kernel", "is not valid TOML: "),
    ],
)
def test_errors_name_file_table_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    expected = f"{tmp_path / 'kernels.toml'}: " + message.replace("{folder}", str(tmp_path))
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"kernels\.toml: cannot be read: No such file"):
        load_kernels(tmp_path / "kernels.toml")


def test_kernels_of_strangers_and_who_trusts_them(tmp_path: Path) -> None:
    source = f'sources = [{{ tarball = "https://x/y.tar.xz", sha256 = "{DIGEST}" }}]'
    kernels = load(tmp_path, f"[kernel.rfc]\n{source}\nuntrusted = true\n[kernel.mine]\n{source}\n")
    assert [kernels.select(name).untrusted for name in ("rfc", "mine")] == [True, False]
    trusted = kernels.trusted()
    assert trusted.names == kernels.names
    assert [trusted.select(name).untrusted for name in ("rfc", "mine")] == [False, False]


@pytest.mark.parametrize("ref", ["khoci/rfc/v1", "heads/khoci/rfc/v1", "refs/heads/khoci/rfc/v1~2"])
def test_a_branch_of_khoci_is_untrusted(tmp_path: Path, ref: str) -> None:
    source = f'sources = [{{ ref = "{ref}" }}]'
    assert load(tmp_path, f"[kernel.rfc]\n{source}\n").select("rfc").untrusted
    (tmp_path / "a.patch").touch()
    with pytest.raises(UsageError, match=r"a branch of khoci's with patches: apply-series --onto"):
        load(tmp_path, f'[kernel.rfc]\n{source}\npatches = ["a.patch"]\n')
