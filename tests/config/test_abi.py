from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.config.abi import KhoTestAbi, LuoAbi, MapAbi, default_folder, load_abi, load_releases
from khoci.config.kernels import load_kernels
from khoci.errors import UsageError
from khoci.paths import data_dir

SHIPPED = data_dir("matrix") / "abi"
LEAST = """
[root]
compatible = "kho-v1"
blob = "fdt"
[memory_map]
layout = "A"
pointer_0 = "accepted"
int_sizes = true
[reserve_mem]
compatible = "memblock-v1"
region = "reserve-mem-v1"
"""
LUO = """
[luo]
compatible = "luo-v1"
form = "fdt"
handlers = ["memfd-v1"]
[luo.limits]
sessions = 819
"""


def written(folder: Path, text: str, name: str = "v6.16.12") -> Path:
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def test_every_released_kernel_is_described() -> None:
    kernels = load_kernels(data_dir("matrix") / "kernels.toml")
    released = [name for name in kernels.names if kernels.by_name[name].series]
    assert list(load_releases(SHIPPED).names) == released


def test_what_changed_from_release_to_release() -> None:
    every = {abi.series: abi for abi in load_releases(SHIPPED).all}
    assert [abi.root.compatible for abi in every.values()] == [
        *["kho-v1"] * 5, "kho-v3", "kho-v4", "kho-v4"
    ]  # fmt: skip
    assert [abi.memory_map.layout for abi in every.values()] == [*"AABBB", *["radix"] * 3]
    assert [s for s, abi in every.items() if abi.memory_map.int_sizes] == [*every][:6]
    assert [s for s, abi in every.items() if not abi.memory_map.pointer_0_refused] == [*every][:3]
    assert [s for s, abi in every.items() if abi.luo and abi.luo.flb] == ["7.0", "7.1"]
    assert [s for s, abi in every.items() if abi.metadata] == ["7.1", "7.2", "7.3"]
    assert every["6.16"].kho_test is None
    assert every["6.17"].kho_test == KhoTestAbi("kho-test-v1", "inline", says_failure=False)
    assert every["6.18"].kho_test == KhoTestAbi("kho-test-v1", "vmalloc", says_failure=False)
    assert every["6.19"].kho_test == KhoTestAbi("kho-test-v1", "vmalloc", says_failure=True)


@pytest.mark.parametrize("name", ["v6.18.15", "6.18.15", "6.18", "v6.18"])
def test_a_release_is_named_as_a_kernel_is(name: str) -> None:
    assert load_releases(SHIPPED).select(name).name == "v6.18.15"


def test_the_newest_of_a_series_and_the_exact_name(tmp_path: Path) -> None:
    for name in ("v6.18.2", "v6.18.15", "my-series"):
        written(tmp_path, LEAST, name)
    releases = load_releases(tmp_path)
    assert releases.names == ("v6.18.2", "v6.18.15", "my-series")
    assert releases.select("6.18").name == "v6.18.15"
    assert releases.select("6.18.2").name == "v6.18.2"
    assert releases.select("my-series").name == "my-series"


def test_an_unknown_release() -> None:
    releases = load_releases(SHIPPED)
    assert releases.find("5.10") is None
    with pytest.raises(UsageError, match=r"'v6\.18\.16' .*did you mean 'v6\.18\.15'.*v7\.3\.4"):
        releases.select("v6.18.16")


def test_the_least_that_describes_a_release(tmp_path: Path) -> None:
    abi = load_abi(written(tmp_path, LEAST))
    assert (abi.name, abi.series) == ("v6.16.12", "6.16")
    assert abi.memory_map == MapAbi("A", pointer_0_refused=False, int_sizes=True)
    assert (abi.huge_runs, abi.kho_test, abi.luo, abi.metadata) == (None, None, None, None)


def test_a_luo_without_sessions_or_flbs_of_their_own_version(tmp_path: Path) -> None:
    luo = LuoAbi("luo-v1", "fdt", None, None, ("memfd-v1",), {"sessions": 819})
    assert load_abi(written(tmp_path, LEAST + LUO)).luo == luo


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"v6\.16\.12\.toml: key 'root' is missing"),
        (LEAST.replace('"A"', '"C"'), r"\[memory_map\]: key 'layout' is 'C': .* A, B, radix"),
        (LEAST.replace('"A"', '"radish"'), r"'radish' \(did you mean 'radix'\?\)"),
        (LEAST.replace("true", '"yes"'), r"\[memory_map\]: key 'int_sizes' must be true or false"),
        (LEAST.replace("region", "regions"), r"\[reserve_mem\]: unknown key 'regions' .*'region'"),
        (LEAST + "[kho-test]\n", r"unknown key 'kho-test' \(did you mean 'kho_test'\?\)"),
        (LEAST + "[kho_test]\n", r"\[kho_test\]: key 'compatible' is missing"),
        (LEAST + "[kexec_metadata]\nversion = true\n", r"\[kexec_metadata\]: .* whole number"),
        (LEAST + LUO.replace("819", '"819"'), r"\[luo\.limits\]: key 'sessions' must be a whole"),
        (LEAST + LUO.replace("sessions", "session"), r"\[luo\.limits\]: unknown key 'session'"),
    ],
)  # fmt: skip
def test_an_error_names_file_table_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load_abi(written(tmp_path, text))
    assert str(tmp_path) in str(caught.value)


def test_a_folder_without_descriptions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no RELEASE"):
        load_releases(tmp_path)


def test_a_patched_kernel_goes_before_its_release() -> None:
    releases = load_releases(SHIPPED)
    base = releases.select("7.3")
    own = [replace(base, name=name, base=base.name) for name in ("v7.3.4+mine", "v7.2.12")]
    both = releases.with_patched(own)
    assert [both.find_for(abi.name, "7.3.4") for abi in own] == own
    assert both.find_for("v7.3.4+other", "7.3.4") == base
    assert both.find_for("v7.3.4", "7.3.4") == base
    assert both.names == releases.names
    assert releases.find_for("v7.3.4+mine", "7.3.4") == base


def extracted(folder: Path, name: str = "v6.16.12") -> None:
    shutil.copy(SHIPPED / f"{name}.json", folder)


def test_what_the_sources_say_need_not_stand_there(tmp_path: Path) -> None:
    least = '[memory_map]\npointer_0 = "accepted"\nint_sizes = true\n'
    extracted(tmp_path)
    assert load_abi(written(tmp_path, least)) == load_abi(written(tmp_path, LEAST))


def test_what_the_sources_say_has_to_be_the_same(tmp_path: Path) -> None:
    extracted(tmp_path)
    wrong = LEAST.replace('"kho-v1"', '"kho-v2"')
    says = r"\[root\]: key 'compatible' is 'kho-v2', and v6\.16\.12\.json says 'kho-v1'"
    with pytest.raises(UsageError, match=says):
        load_abi(written(tmp_path, wrong))


def test_a_damaged_file_of_the_sources(tmp_path: Path) -> None:
    (tmp_path / "v6.16.12.json").write_text("{}")
    with pytest.raises(UsageError, match="is no file of khoci abi extract"):
        load_abi(written(tmp_path, LEAST))


def test_a_folder_of_extracted_files_hides_no_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "matrix/abi").mkdir(parents=True)
    extracted(tmp_path / "matrix/abi")
    assert default_folder() == SHIPPED
    written(tmp_path / "matrix/abi", LEAST)
    assert default_folder() == Path("matrix/abi")
