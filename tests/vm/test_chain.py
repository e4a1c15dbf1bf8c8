"""State that travels through more than two kernels."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from khoci.kernel.cache import Artifact
from tests.vm.conftest import command

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]


def chain(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], Any]:
    done = subprocess.run(
        command("chain", "run", *arguments),
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    (path,) = folder.glob("runs/*/chain..*.json")
    return done, json.loads(path.read_text())


def verdicts(hop: dict[str, Any]) -> dict[str, str]:
    return {name: item["verdict"] for name, item in hop["components"].items()}


def test_a_memfd_travels_as_far_as_it_is_handed_over(
    kernels: dict[str, Artifact], tmp_path: Path
) -> None:
    done, result = chain(tmp_path, "7.3", "--hops", "4", "--scenarios", "memfd")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(result["hops"]) == 4
    for hop in result["hops"]:
        assert verdicts(hop)["memfd"] == "restored"
        assert set(verdicts(hop).values()) == {"restored"}
    assert result["numbers"] == [1, 2, 3, 4]
    assert result["problems"] == []
    assert "memfd: 7.3.4 to itself, 4 hops" in done.stdout


def test_the_test_of_the_kernel_is_not_handed_over_again(
    kernels: dict[str, Artifact], tmp_path: Path
) -> None:
    done, result = chain(tmp_path, "6.18", "--hops", "2", "--scenarios", "kho-test")
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = map(verdicts, result["hops"])
    assert first["kho_test"] == "restored"
    assert second["kho_test"] == "absent"
    assert second["root"] == "restored"


def test_a_chain_ends_where_a_kernel_dies(kernels: dict[str, Artifact], tmp_path: Path) -> None:
    done, result = chain(tmp_path, "6.17", "6.17", "6.18", "7.3", "--scenarios", "reserve-mem")
    assert [hop["verdict"] for hop in result["hops"]] == ["restored", "panic"]
    assert "hops that were not reached: 1" in done.stdout
    assert done.returncode == 0, "the break is known to the policy"
