from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.config.abi import Abi, Releases, load_releases
from khoci.errors import UsageError
from khoci.paths import data_dir
from khoci.run.folder import RunFolder
from khoci.run.readers import keep, with_kept


@pytest.fixture(scope="module")
def releases() -> Releases:
    return load_releases(data_dir("matrix") / "abi")


def patched(base: Abi, name: str) -> Abi:
    return replace(
        base,
        name=name,
        base=base.name,
        meant={"kho-v5": "kho-v4"},
        unmodelled={"luo": "struct luo_ser"},
        digests={"luo": "0a"},
    )


def test_any_release_with_patches_comes_back_as_it_was(tmp_path: Path, releases: Releases) -> None:
    run = RunFolder(tmp_path)
    mine = [patched(abi, f"mine-{abi.name}") for abi in releases.all]
    keep(run, mine)
    assert with_kept(releases, run).patched == {abi.name: abi for abi in mine}


def test_those_of_a_resumed_run_are_added(tmp_path: Path, releases: Releases) -> None:
    run = RunFolder(tmp_path)
    keep(run, [patched(releases.all[0], "one"), patched(releases.all[0], "two")])
    again = patched(releases.all[-1], "two")
    keep(run, [again])
    kept = with_kept(releases, run).patched
    assert list(kept) == ["one", "two"]
    assert kept["two"] == again


def test_without_patches_there_is_no_file(tmp_path: Path, releases: Releases) -> None:
    run = RunFolder(tmp_path)
    keep(run, [])
    assert list(tmp_path.iterdir()) == []
    assert with_kept(releases, run).patched == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2, "readers": []}', "\xff"])
def test_what_cannot_be_read_is_said(tmp_path: Path, releases: Releases, text: str) -> None:
    run = RunFolder(tmp_path)
    (tmp_path / "meta").mkdir()
    run.meta("readers.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="cannot be read by this version"):
        with_kept(releases, run)


def test_one_that_lacks_a_table_is_said(tmp_path: Path, releases: Releases) -> None:
    run = RunFolder(tmp_path)
    keep(run, [patched(releases.all[0], "one")])
    data = json.loads(run.meta("readers.json").read_text())
    del data["readers"][0]["root"]
    run.meta("readers.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="cannot be read"):
        with_kept(releases, run)
