from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from khoci.errors import HarnessError
from khoci.guest import build

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_a_static_program(built_agent: Path) -> None:
    content = built_agent.read_bytes()
    assert content[:4] == b"\x7fELF"
    assert b"/lib64/ld-linux" not in content


def test_it_is_built_once(built_agent: Path) -> None:
    before = built_agent.stat().st_mtime_ns
    assert build.build_agent(built_agent.parents[2]) == built_agent
    assert built_agent.stat().st_mtime_ns == before


def test_changed_sources_are_built_anew(
    built_agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = tmp_path / "main.c"
    unit.write_text("int main(void) { return 0; }\n")
    monkeypatch.setattr(build, "sources", lambda: [unit])
    assert build.build_agent(tmp_path).parent.name != built_agent.parent.name


def test_a_compiler_error_is_one_line_and_leaves_no_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = tmp_path / "main.c"
    unit.write_text("int main(void) { return nothing; }\n")
    monkeypatch.setattr(build, "sources", lambda: [unit])
    with pytest.raises(HarnessError, match="khoci doctor") as caught:
        build.build_agent(tmp_path)
    assert "\n" not in str(caught.value)
    assert "nothing" in caught.value.detail
    assert not list((tmp_path / "agent").rglob("*init*"))


def test_no_compiler_points_to_the_doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="doctor"):
        build.build_agent(tmp_path)
