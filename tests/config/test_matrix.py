from __future__ import annotations

from pathlib import Path

import pytest

from khoci.config.kernels import load_kernels
from khoci.config.matrix import (
    PAIRS,
    GuestConfig,
    MatrixConfig,
    find_matrix_file,
    load_matrix,
)
from khoci.errors import UsageError
from khoci.kernel.fragments import load_fragments
from khoci.paths import data_dir
from khoci.scenario import select

GOOD = 'kernels = ["6.17"]\nscenarios = ["kho-test"]\n'


def load(tmp_path: Path, text: str) -> MatrixConfig:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_matrix(path)


def complaint(tmp_path: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'mine.toml'}: ")
    assert "\n" not in message
    return message.partition(": ")[2]


@pytest.mark.parametrize("name", ["default", "releases", "distribution-like"])
def test_shipped_files_name_what_exists(name: str) -> None:
    folder = data_dir("matrix")
    matrix = load_matrix(folder / f"{name}.toml")
    kernels = load_kernels(folder / "kernels.toml")
    assert len({kernels.select(kernel).name for kernel in matrix.kernels}) == len(matrix.kernels)
    assert len({scenario.name for scenario in select(matrix.scenarios)}) > 2
    assert matrix.pairs == "all"


def test_the_releases_are_all_eight() -> None:
    assert len(load_matrix(data_dir("matrix") / "releases.toml").kernels) == 8


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    matrix = load(tmp_path, GOOD)
    assert matrix.pairs == "all"
    assert matrix.guest == GuestConfig()
    assert load(tmp_path, GOOD + "[guest]\n").guest == GuestConfig()


def test_all_keys(tmp_path: Path) -> None:
    text = (
        GOOD
        + 'pairs = "upgrade"\n[guest]\nmemory = "3G"\ncpus = 2\nkho_scratch = ""\ncmdline = "a=b"\n'
    )
    matrix = load(tmp_path, text)
    assert matrix.pairs == "upgrade"
    assert matrix.guest == GuestConfig(3 << 30, 2, "", "a=b")


def test_fragments_on_top_of_those_of_each_kernel(tmp_path: Path) -> None:
    (tmp_path / "own.config").write_text("CONFIG_SWAP=y\n")
    matrix = load(tmp_path, GOOD + 'config = ["kho", "./own.config"]\n')
    shipped = data_dir("matrix") / "kconfig"
    assert matrix.config == (shipped / "kho.config", tmp_path / "own.config")
    known = load_kernels(data_dir("matrix") / "kernels.toml")
    kernel = known.with_config(matrix.config).select("7.3")
    assert kernel.config == (*known.select("7.3").config, *matrix.config)


def test_a_fragment_that_is_not_there(tmp_path: Path) -> None:
    message = complaint(tmp_path, GOOD + 'config = ["none"]\n')
    assert message == f"{tmp_path}/kconfig/none.config does not exist"


def test_the_distribution_like_config_takes_back_what_makes_the_usual_one_lean() -> None:
    matrix = load_matrix(data_dir("matrix") / "distribution-like.toml")
    known = load_kernels(data_dir("matrix") / "kernels.toml")
    lean = load_fragments(known.select("7.3").config)
    asked = load_fragments(known.with_config(matrix.config).select("7.3").config)
    other = {symbol for symbol in lean if asked[symbol] != lean[symbol]}
    assert other == {"CC_OPTIMIZE_FOR_SIZE", "NR_CPUS"}
    assert {asked[symbol] for symbol in ("ACPI", "PCI", "MODULES", "SWAP", "NET")} == {"y"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "kernel = []\n", "unknown key 'kernel' (did you mean 'kernels'?)"),
        (GOOD + "zzz = 1\n", "unknown key 'zzz'"),
        (GOOD + "[guest]\ncpu = 1\n", "[guest]: unknown key 'cpu' (did you mean 'cpus'?)"),
        (
            GOOD + "[guest]\nscratch = ''\n",
            "[guest]: unknown key 'scratch' (did you mean 'kho_scratch'?)",
        ),
        ('scenarios = ["kho-test"]\n', "key 'kernels' is missing or empty"),
        ("kernels = []\nscenarios = ['a']\n", "key 'kernels' is missing or empty"),
        ("kernels = ['6.17']\n", "key 'scenarios' is missing or empty"),
        ("kernels = '6.17'\n", "key 'kernels' must be a list of strings"),
        ("kernels = [6.17]\n", "key 'kernels' must be a list of strings"),
        (
            GOOD + "pairs = 'up'\n",
            f"key 'pairs' must be one of {', '.join(PAIRS)}, not 'up'",
        ),
        (GOOD + "pairs = ['all']\n", "key 'pairs' must be a string"),
        (GOOD + "guest = 1\n", "key 'guest' must be a table"),
        (GOOD + "[guest]\ncpus = 0\n", "[guest]: key 'cpus' must be at least 1"),
        (GOOD + "[guest]\ncpus = true\n", "[guest]: key 'cpus' must be a whole number"),
        (GOOD + "[guest]\nmemory = 1024\n", "[guest]: key 'memory' must be a string"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    assert complaint(tmp_path, text) == message


@pytest.mark.parametrize("size", ["", "1", "1g", "64M", "G", "1.5G", "-1G", "134217729", "131076K"])
def test_wrong_sizes(tmp_path: Path, size: str) -> None:
    message = complaint(tmp_path, f"{GOOD}[guest]\nmemory = '{size}'\n")
    assert message.startswith("[guest]: key 'memory' must be whole megabytes")
    assert message.endswith(f"not '{size}'")


@pytest.mark.parametrize("size", ["128M", "134217728", "131072K", "1G"])
def test_right_sizes(tmp_path: Path, size: str) -> None:
    memory = load(tmp_path, f"{GOOD}[guest]\nmemory = '{size}'\n").guest.memory
    assert memory == (1 << 30 if size == "1G" else 1 << 27)


def test_find_by_path_and_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, shipped = tmp_path / "matrix", tmp_path / "shipped"
    for place in (folder, shipped):
        place.mkdir()
        (place / "both.toml").touch()
    (shipped / "far.toml").touch()
    folders = (Path("matrix"), shipped)
    assert find_matrix_file("both", folders) == Path("matrix/both.toml")
    assert find_matrix_file("far", folders) == shipped / "far.toml"
    assert find_matrix_file(str(folder / "both.toml"), ()) == folder / "both.toml"


def test_no_such_file_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no matrix file 'rel': looked for rel, .*/rel\.toml"):
        find_matrix_file("rel", (tmp_path,))
