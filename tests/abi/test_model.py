from __future__ import annotations

import json
from pathlib import Path

import pytest

from khoci.abi.model import from_json, load
from khoci.config.abi import load_abi
from khoci.errors import UsageError
from khoci.paths import data_dir
from tests.abi.test_compare import FOLDER, NAMES, RELEASES


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_what_is_written(name: str) -> None:
    text = (FOLDER / f"{name}.json").read_text()
    assert from_json(json.loads(text)).to_json() == text
    assert RELEASES[name].name == name


@pytest.mark.parametrize("name", NAMES)
def test_where_it_comes_from(name: str) -> None:
    told = RELEASES[name].provenance
    assert name.removeprefix("v") in told["source"]
    assert told["arch"] == "x86_64"
    assert told["compiler"].startswith("gcc")
    assert len(told["source_id"]) == 64


def test_structs_with_pages_of_other_sizes() -> None:
    leaf = RELEASES["v7.3.4"].structs["kho_radix_leaf"]
    sizes = [leaf.at(shift).size for shift in (12, 14, 16)]  # type: ignore[union-attr]
    assert sizes == [4096, 16384, 65536]
    assert leaf.governor == "KHO_FDT_COMPATIBLE"


@pytest.mark.parametrize("name", NAMES)
def test_what_predictions_go_by_is_what_the_sources_say(name: str) -> None:
    abi, known = RELEASES[name], load_abi(FOLDER / f"{name}.toml")
    values = {each: part.value for each, part in abi.parts.items()}
    structs = abi.structs

    def first(*names: str) -> object:
        return next((values[each] for each in names if each in values), None)

    assert known.root.compatible == values["KHO_FDT_COMPATIBLE"]
    blob = first("KHO_SUB_TREE_PROP_NAME", "KHO_FDT_SUB_TREE_PROP_NAME", "PROP_SUB_FDT")
    assert known.root.blob == blob
    bits = values.get("PRESERVE_BITS")
    assert known.memory_map.layout == {4096: "A", 32768: "B", None: "radix"}[bits]  # type: ignore[index]
    assert ("kho_radix_leaf" in structs) is (known.memory_map.layout == "radix")
    assert known.reserve_mem.compatible == values["MEMBLOCK_KHO_NODE_COMPATIBLE"]
    assert known.reserve_mem.region == values["RESERVE_MEM_KHO_NODE_COMPATIBLE"]
    assert (known.huge_runs is not None) is ("kho_vmalloc" in structs)
    assert (known.kho_test.compatible if known.kho_test else None) == first("KHO_TEST_COMPAT")
    luo = known.luo
    assert (luo.compatible if luo else None) == first("LUO_ABI_COMPATIBLE", "LUO_FDT_COMPATIBLE")
    assert (luo.session if luo else None) == first("LUO_FDT_SESSION_COMPATIBLE")
    assert (luo.flb if luo else None) == first("LUO_FDT_FLB_COMPATIBLE")
    assert (luo.handlers if luo else (None,)) == (first("MEMFD_LUO_FH_COMPATIBLE"),)
    if luo:
        assert (luo.form == "struct") is ("luo_ser" in structs)
    assert known.metadata == first("KHO_KEXEC_METADATA_VERSION")


@pytest.mark.parametrize("name", NAMES)
def test_what_predictions_go_by_is_what_the_code_reads(name: str) -> None:
    abi, known = RELEASES[name], load_abi(FOLDER / f"{name}.toml")
    types = {need.name: need.type for need in abi.needs if need.what == "property"}
    lists = {"u64[]": "inline", "struct kho_vmalloc": "vmalloc"}
    assert (known.kho_test.list if known.kho_test else None) == lists.get(
        types.get("folios_info", "")
    )
    nodes = {need.name for need in abi.needs if need.what == "node" and need.required}
    assert (known.luo is not None and known.luo.flb is not None) is ("luo-flb" in nodes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no file of khoci abi extract"),
        ("[]", "is no file of khoci abi extract"),
        ('{"schema": 9}', "schema 9, and this khoci reads 1"),
        ('{"schema": 1}', "KeyError"),
    ],
)
def test_other_files(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "v1.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=says):
        load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load(tmp_path / "v1.json")


def test_they_are_shipped() -> None:
    assert (data_dir("matrix") / "abi" / "v7.3.4.json").is_file()
