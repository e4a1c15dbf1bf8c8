from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from khoci.doctor import NEEDS, Need, doctor, examine, install_command, missing, table

if TYPE_CHECKING:
    from pathlib import Path


def host(folder: Path, monkeypatch: pytest.MonkeyPatch, **tools: str) -> None:
    """A host that has these commands only."""
    for name, script in tools.items():
        path = folder / name.replace("_", "-").replace("x86-64", "x86_64")
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


COMPLETE = {
    need.command[0]: f"echo; echo '{need.name} 1.0'" for need in NEEDS if len(need.command) == 2
}


def test_a_complete_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(tmp_path, monkeypatch, **{k.replace("-", "_"): v for k, v in COMPLETE.items()})
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 0
    assert "flex 1.0" in result.output
    assert "MISSING" not in result.output


def test_what_is_missing_is_named_with_its_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(tmp_path, monkeypatch, dnf="exit 1")
    result = CliRunner().invoke(doctor)
    assert result.exit_code == 3
    assert "MISSING: boots the kernels" in result.output
    assert "missing (optional): makes second builds fast" in result.output
    assert "dnf install qemu-system-x86-core" in result.output.replace("\n", " ")
    assert "elfutils-libelf-devel glibc-static" in result.output
    assert "ccache" not in result.output.rpartition("to install")[2]


def test_a_header_that_does_not_compile_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = {k.replace("-", "_"): v for k, v in COMPLETE.items()}
    tools["gcc"] = 'case "$*" in *-fsyntax-only*) exit 1;; esac; echo gcc 12'
    host(tmp_path, monkeypatch, **tools)
    assert [need.name for need in missing(examine())] == ["libelf headers"]


def test_install_runs_apt_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    host(tmp_path, monkeypatch, apt_get=f'echo "$*" >> {calls}')
    CliRunner().invoke(doctor, ["--install"])
    update, install = calls.read_text().splitlines()
    assert update == "update"
    assert install.startswith("install -y --no-install-recommends qemu-system-x86 gcc ")
    assert install.split().count("libelf-dev") == 1
    assert "ccache" in install


def test_install_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    host(tmp_path, monkeypatch, apt_get="exit 1")
    result = CliRunner().invoke(doctor, ["--install"])
    assert "apt-get update failed" in str(result.exception)


@pytest.mark.parametrize("tool", ["dnf", "pacman"])
def test_other_managers_get_the_command_to_run(
    tool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host(tmp_path, monkeypatch, **{tool: "exit 1"})
    result = CliRunner().invoke(doctor, ["--install"])
    assert f"run as root, then khoci doctor again: {tool} " in str(result.exception)


def test_no_package_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(tmp_path, monkeypatch)
    assert "missing: qemu-system-x86_64, gcc" in CliRunner().invoke(doctor).output
    result = CliRunner().invoke(doctor, ["--install"])
    assert "install by hand: qemu-system-x86_64" in str(result.exception)


def test_packages_are_listed_once() -> None:
    command = install_command([NEEDS[0], NEEDS[0]], "apt-get")
    assert command.count("qemu-system-x86") == 1


def test_the_table_is_narrow() -> None:
    need = Need("a", ("true",), "does things", "a", "a", "a")
    assert table(examine([need])) == "a  found"
    absent = Need("a", ("no-such-tool-here",), "does things", "a", "a", "a", required=False)
    assert table(examine([absent])) == "a  missing (optional): does things"
