from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from khoci.cli.kernel import _DEFINED, kernel
from khoci.config.kernels import TarballSource, load_kernels
from khoci.kernel import store

if TYPE_CHECKING:
    from khoci.kernel.cache import Cache
    from tests.kernel.conftest import Fake


@pytest.fixture
def run(fake: Fake, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> Run:
    spec = fake.kernel()
    source = spec.sources[0]
    assert isinstance(source, TarballSource)
    file = fake.folder / "kernels.toml"
    file.write_text(
        '[kernel."v6.18.15"]\nconfig = ["./v6.18.15.config"]\n'
        f'sources = [{{ tarball = "{source.url}", sha256 = "{source.sha256}" }}]\n'
        '[kernel.image]\nsources = [{ image = "none" }]\n'
    )
    monkeypatch.setenv("KHOCI_CACHE", str(cache.root))
    return Run(file)


class Run:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(kernel, ["--file", str(self.file), *arguments])


def test_list_and_build(run: Run) -> None:
    assert "v6.18.15  on disk    file:" in run("list").output
    built = run("build", "6.18")
    assert built.exit_code == 0
    assert built.output.splitlines()[-1].startswith("v6.18.15  6.18.15  /")
    assert "v6.18.15  built      file:" in run("list").output
    (told,) = json.loads(run("build", "6.18", "--json").stdout)["kernels"]
    assert (told["name"], told["release"]) == ("v6.18.15", "6.18.15")
    assert Path(told["image"]).is_file()


def test_a_kernel_as_a_matrix_has_it_built(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.config").write_text("CONFIG_B=y\n")
    matrix = tmp_path / "mine.toml"
    matrix.write_text('kernels = ["6.18"]\nscenarios = ["empty"]\nconfig = ["./mine.config"]\n')
    shutil.copy(run.file, tmp_path / "kernels.toml")
    shutil.copy(run.file.parent / "v6.18.15.config", tmp_path)

    def fragment(*words: str) -> str:
        return CliRunner().invoke(kernel, [*words, "config", "6.18", "--fragment"]).output

    assert fragment("--file", str(run.file)) == "CONFIG_A=y\n"
    assert fragment("--matrix", str(matrix)) == "CONFIG_A=y\nCONFIG_B=y\n"
    both = CliRunner().invoke(kernel, ["--matrix", str(matrix), "--file", str(run.file), "list"])
    assert "give one" in str(both.exception)


def test_build_needs_a_name(run: Run) -> None:
    assert "name a kernel, or --all" in str(run("build").exception)
    assert "unknown kernel '6.19'" in str(run("build", "6.19").exception)


def test_a_config_is_printed_as_a_terminal_may_show_it(
    run: Run, cache: Cache, tmp_path: Path
) -> None:
    run("build", "6.18")
    (config,) = cache.kernels.glob("*/config")
    config.write_bytes(b'CONFIG_NAME="\xff\xc3\xa4\033[2J"\nCONFIG_A=y\n')
    shown = 'CONFIG_NAME="\N{REPLACEMENT CHARACTER}ä\\x1b[2J"\nCONFIG_A=y\n'
    assert run("config", "6.18").stdout == shown


def test_config_before_and_after_the_build(run: Run, fake: Fake, cache: Cache) -> None:
    assert run("config", "6.18").stdout == "CONFIG_A=y\n"
    assert fake.runs == 0
    assert list(cache.trees.glob("*")) == []
    run("build", "6.18")
    assert run("config", "6.18").stdout == "CONFIG_A=y\n"
    assert run("config", "6.18", "--fragment").stdout == "CONFIG_A=y\n"


def test_config_of_an_image(run: Run) -> None:
    assert "is a ready image" in str(run("config", "image").exception)


def test_shell_runs_in_the_tree_and_leaves_nothing(run: Run, cache: Cache, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    result = run("shell", "6.18", "--", "sh", "-c", f"cat Makefile build/.config > {seen}; exit 7")
    assert result.exit_code == 7
    assert "PATCHLEVEL = 18" in seen.read_text()
    assert "CONFIG_A=y" in seen.read_text()
    assert list(cache.trees.glob("*")) == []


def test_gc_of_a_kept_tree(run: Run, fake: Fake, cache: Cache) -> None:
    spec = load_kernels(run.file).select("6.18")
    patched = replace(spec, patches=(fake.patch("one", **{"a.c": "int one;\n"}),))
    store.obtain(patched, cache=cache)
    (tree,) = cache.trees.glob("kept-*/")
    origin = store.origin(spec)
    assert f"kept tree     {origin}" in run("gc").output
    assert "0 deleted" in run("gc", "--keep", "6.18").output
    assert tree.exists()
    assert "2 deleted" in run("gc", "--all").output
    assert not tree.exists()


def test_gc(run: Run, cache: Cache) -> None:
    run("build", "6.18")
    (cache.trees / "tree-dead").mkdir()
    listed = run("gc").output
    assert "kernel        v6.18.15" in listed
    assert "stale tree    tree-dead" in listed
    assert "1 deleted" in run("gc", "--keep", "6.18").output
    assert not (cache.trees / "tree-dead").exists()
    assert "0 deleted" in run("gc", "--older-than", "1").output
    assert "v6.18.15  built" in run("list").output
    assert "1 deleted" in run("gc", "--all").output
    assert "v6.18.15  on disk" in run("list").output


def test_all_are_those_of_the_matrix_too(tmp_path: Path) -> None:
    (tmp_path / "kernels.toml").write_text('[kernel.mine]\nsources = [{ image = "none" }]\n')
    matrix = tmp_path / "mine.toml"
    matrix.write_text('kernels = ["mine"]\nscenarios = ["empty"]\n')
    with kernel.make_context("kernel", ["--matrix", str(matrix), "list"]) as context:
        kernel.invoke(context)
        assert "mine" in context.meta[_DEFINED]
