from __future__ import annotations

import json
from pathlib import Path

import git
import pytest
from click.testing import CliRunner, Result

from khoci.cli import cli
from khoci.kernel.download import file_sha256
from khoci.run.folder import new_run
from khoci.verdicts import Verdict
from tests.abi import fakelinux
from tests.abi.fakelinux import HEADER, KHO, MEMFD, MEMFD_HEADER
from tests.compat.test_agreement import cell
from tests.kernel.test_extract import patch
from tests.series import small

LEAF = "ilog2(BITS_PER_BYTE),"
HALF = f"{LEAF[:-1]} - 1,"


def khoci(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


@pytest.fixture
def trees(tmp_path: Path) -> tuple[str, str]:
    old = fakelinux.write(tmp_path / "old")
    new = fakelinux.write(tmp_path / "new", **{HEADER: KHO.replace(LEAF, HALF)})
    return str(old), str(new)


def test_a_silent_break_of_two_trees(trees: tuple[str, str]) -> None:
    done = khoci("abi", "diff", *trees)
    assert done.exit_code == 1
    assert done.stdout.startswith("old -> new: silent break\n")
    assert "silent break: memory map: kho_radix_leaf had 4096 bytes and has 2048" in done.stdout
    assert "governed by kho-v4, which did not change" in done.stdout
    left_and_right = [line for line in done.stdout.splitlines() if "u64 bitmap[512];" in line]
    assert len(left_and_right) == 1
    assert "u64 bitmap[256];" in left_and_right[0]
    assert f"old {HEADER}:37" in done.stdout


def test_the_forms_of_a_difference(trees: tuple[str, str]) -> None:
    found = json.loads(khoci("abi", "diff", *trees, "--json").stdout)
    assert found["verdict"] == "silent break"
    leaf = next(item for item in found["findings"] if item["name"] == "kho_radix_leaf")
    assert leaf["version"] == "kho-v4"
    assert leaf["old"][-1] == "};  /* 4096 bytes */"
    markdown = khoci("abi", "diff", *trees, "--markdown").stdout
    assert markdown.startswith("**old → new: silent break**\n")
    assert markdown.count("  ```") % 2 == 0


def test_what_is_let_pass(trees: tuple[str, str], tmp_path: Path) -> None:
    keys = ("memory map:kho_radix_leaf", "memory map:KHO_BITMAP_SIZE_LOG2")
    path = tmp_path / "s.toml"
    path.write_text("".join(f'[[let_pass]]\nkey = "{key}"\nreason = "a test"\n' for key in keys))
    done = khoci("abi", "diff", *trees, "--suppressions", str(path))
    assert done.exit_code == 0
    assert done.stdout.startswith("old -> new: same\n")
    assert "(let pass: a test)" in done.stdout
    path.write_text(f'[[let_pass]]\nkey = "{keys[0]}"\nreason = "a test"\nnew = "other"\n')
    assert khoci("abi", "diff", *trees, "--suppressions", str(path)).exit_code == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[let_pass]]\nkey = "a:b"\n', "key 'reason' is missing"),
        ('[[let_pass]]\nkey = "a:b"\nreason = " "\n', "say why this may pass"),
        ('[[let_pas]]\nkey = "a:b"\n', "unknown key 'let_pas'"),
    ],
)
def test_suppressions_need_a_reason(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text)
    done = CliRunner().invoke(cli, ["abi", "diff", "7.2", "7.3", "--suppressions", str(path)])
    assert says in str(done.exception)


def test_a_declared_break(tmp_path: Path) -> None:
    bumped = KHO.replace(LEAF, HALF).replace('"kho-v4"', '"kho-v5"')
    old = fakelinux.write(tmp_path / "old")
    new = fakelinux.write(tmp_path / "new", **{HEADER: bumped})
    done = khoci("abi", "diff", str(old), str(new))
    assert done.exit_code == 0
    assert done.stdout.startswith("old -> new: declared break\n")
    assert "declared by kho-v4 -> kho-v5" in done.stdout


def test_released_kernels_without_their_sources() -> None:
    assert khoci("abi", "diff", "7.2", "v7.3.4").exit_code == 0
    assert khoci("abi", "diff", "6.17", "6.18").exit_code == 1
    listed = khoci("abi", "extract", "7.3").stdout
    assert 'KHO_FDT_COMPATIBLE = "kho-v4"' in listed
    assert "    u64 pfn:52;    /* 0 bit 0 */" in listed


def test_extract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = fakelinux.write(tmp_path / "mine")
    found = json.loads(khoci("abi", "extract", str(tree), "--json").stdout)
    assert found["structs"]["memfd_luo_folio_ser"]["value"]["fields"][1]["bits"] == 12
    monkeypatch.chdir(tmp_path)
    (tmp_path / "matrix/abi").mkdir(parents=True)
    done = khoci("abi", "extract", str(tree), "--save")
    assert done.stdout == "mine: matrix/abi/mine.json\n"
    kept = "matrix/abi/mine.json"
    assert json.loads(Path(kept).read_text()) == found
    assert khoci("abi", "diff", kept, str(tree)).exit_code == 0


def test_lint(tmp_path: Path) -> None:
    tree = fakelinux.write(tmp_path / "linux")
    done = khoci("abi", "lint", str(tree))
    assert done.exit_code == 1
    says = f"{HEADER}:2: says kho-v3, the code has kho-v4 (KHO_FDT_COMPATIBLE, {HEADER}:10)"
    assert done.stdout.splitlines()[1] == says
    assert "Documentation/core-api/kho/index.rst:1: says kho-v1" in done.stdout
    good = {HEADER: KHO.replace("kho-v3", "kho-v4"), MEMFD_HEADER: MEMFD}
    clean = fakelinux.write(tmp_path / "clean", **good)
    (clean / "Documentation/core-api/kho/index.rst").write_text("It is kho-v4.\n")
    assert khoci("abi", "lint", str(clean)).exit_code == 0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a kernel of its own that is newer than all."""
    path = fakelinux.tarball(tmp_path / "linux.tar.gz")
    (tmp_path / "matrix").mkdir()
    (tmp_path / "matrix/kernels.toml").write_text(
        f'[kernel."v9.9.9"]\nsources = [{{ tarball = "{path}", sha256 = "{file_sha256(path)}" }}]\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KHOCI_CACHE", str(tmp_path / "cache"))
    return tmp_path


def series(folder: Path, *diffs: Path) -> str:
    """A mailbox with a patch for each diff."""
    mails = []
    for number, diff in enumerate(diffs, 1):
        mails.append(
            "From git@z Thu Jan  1 00:00:00 1970\n"
            f"From: A Kernel <a@example.org>\nMessage-ID: <abi-{number}@example.org>\n"
            f"{'In-Reply-To: <abi-1@example.org>' if number > 1 else 'X-A: b'}\n"
            f"Date: Tue, 10 Nov 2026 10:00:0{number} +0000\n"
            f"Subject: [PATCH {number}/{len(diffs)}] kho: change {number}\n\n"
            f"Why.\n\nSigned-off-by: A Kernel <a@example.org>\n---\n{diff.read_text()}-- \n2.39\n\n"
        )
    path = folder / "series.mbox"
    path.write_text("".join(mails))
    return str(path)


def test_a_series(folder: Path) -> None:
    leaf = patch(folder, "1", HEADER, LEAF, HALF)
    bump = patch(folder, "2", HEADER, '"kho-v4"', '"kho-v5"')
    path = series(folder, leaf)
    done = khoci("abi", "check", "--series", path)
    assert done.exit_code == 1, done.stderr
    assert done.stdout.startswith("kho: change 1, on v9.9.9: silent break\n")
    (entry,) = json.loads(khoci("abi", "check", "--series", path, "--b4").stdout)
    assert (entry["tool"], entry["status"]) == ("khoci-abi", "fail")
    path = series(folder, leaf, bump)
    done = khoci("abi", "check", "--series", path, "--markdown")
    assert done.exit_code == 0
    assert "| 1/2 kho: change 1 | silent break |" in done.stdout
    assert "1/2 kho: change 1: breaks silently until a later patch declares it" in done.stdout
    (entry,) = json.loads(khoci("abi", "check", "--series", path, "--b4").stdout)
    assert entry["status"] == "warn"
    found = json.loads(khoci("abi", "check", "--series", path, "--json").stdout)
    assert [each["verdict"] for each in found["patches"]] == ["silent break", "needless bump"]


def test_compat() -> None:
    done = khoci("compat", "7.2", "7.3")
    assert done.exit_code == 0
    assert "v7.2.12 -> v7.3.4: all is understood" in done.stdout
    assert "v7.3.4 -> v7.2.12: all is understood" in done.stdout
    done = khoci("compat", "--one-way", "6.19", "7.0")
    assert done.exit_code == 1
    assert "misread  node luo-flb is required now" in done.stdout
    assert "-> v6.19.14" not in done.stdout
    (way,) = json.loads(khoci("compat", "--one-way", "7.1", "7.2", "--json").stdout)
    assert way["understood"] is False
    assert {item["reading"] for item in way["components"]} == {"refused"}


def test_manifest() -> None:
    done = khoci("manifest", "7.3")
    assert "luo             luo-v5          luo-v5" in done.stdout
    assert (
        json.loads(khoci("manifest", "7.3", "--json").stdout)["formats"]["root"]["writes"]
        == "kho-v4"
    )


@pytest.mark.parametrize("arguments", [["compat", "7.2"], ["compat", "--running"], ["manifest"]])
def test_names_that_are_missing(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert "name" in str(done.exception)


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose newest kernel is a tag of a linux.git."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("KHOCI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KHOCI_LINUX_GIT", str(tmp_path / "linux"))
    repo = git.Repo.init(fakelinux.write(tmp_path / "linux"), initial_branch="master")
    small.commit(repo, "Linux 9.9.9", {}, "v9.9.9")
    repo.close()
    (tmp_path / "matrix").mkdir()
    kernels = '[kernel."v9.9.9"]\nsources = [{ ref = "v9.9.9" }]\n'
    (tmp_path / "matrix/kernels.toml").write_text(kernels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_series_that_is_applied(linux: Path) -> None:
    other = patch(linux, "1", "drivers/other.c", "int other;", "int others;")
    leaf = patch(linux, "2", HEADER, LEAF, HALF)
    done = khoci("apply-series", series(linux, other, leaf), "--slug", "leaf", "--offline")
    assert done.exit_code == 0, done.output
    done = khoci("abi", "check", "--series", "leaf")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[:3] == [
        "kho: change 1, on v9.9.9: silent break",
        "  1/2 kho: change 1: same",
        "  2/2 kho: change 2: silent break",
    ]
    told = CliRunner().invoke(cli, ["b4-check"], input="Message-ID: <abi-1@example.org>\n\n")
    run, static = json.loads(told.stdout)
    assert run["summary"] == "no run in runs: khoci matrix run --series leaf:v1"
    assert (static["tool"], static["status"]) == ("khoci-abi", "fail")
    assert "2/2 kho: change 2" in static["summary"]
    found = new_run(linux / "runs", {"kernels": ["v9.9.9", "leaf-v1"]})
    found.store("a", cell("leaf-v1-1of2", "leaf-v1", memory_map=(Verdict.PANIC, Verdict.PANIC)))
    done = khoci("abi", "agreement", found.id, "--all")
    assert done.exit_code == 0, done.output
    assert (
        "leaf-v1-1of2 leaf-v1    memory map      misread          panic      panic" in done.stdout
    )
