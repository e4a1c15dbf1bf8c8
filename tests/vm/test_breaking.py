"""Handovers that are broken on purpose, and kernels that are wrong on purpose."""

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


def khoci(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[Any]]:
    done = subprocess.run(
        command(*arguments),
        cwd=folder,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=2400,
    )
    return done, [json.loads(path.read_text()) for path in folder.glob("runs/*/v*.json")]


def test_each_kernel_takes_a_fault_in_its_own_way(
    kernels: dict[str, Artifact], tmp_path: Path
) -> None:
    names = ("root-version-bumped", "map-bit-cleared", "memfd-size-grown", "map-order-absurd")
    done, results = khoci(tmp_path, "fault", "run", *names, "--kernels", "6.17,7.3")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {(item["fault"], item["producer"]): item["verdict"] for item in results}
    assert len(found) == 8
    assert found["root-version-bumped", "v6.17.13"] == "refused"
    assert found["root-version-bumped", "v7.3.4"] == "refused"
    assert found["map-bit-cleared", "v6.17.13"] == "corrupt"
    assert found["map-bit-cleared", "v7.3.4"] == "corrupt"
    assert found["memfd-size-grown", "v6.17.13"] == "absent"
    assert found["memfd-size-grown", "v7.3.4"] == "corrupt"
    assert found["map-order-absurd", "v7.3.4"] == "absent"
    assert "map-bit-cleared     CORRUPT CORRUPT" in done.stdout


def test_a_kernel_that_is_wrong_on_purpose_is_caught(
    kernels: dict[str, Artifact], tmp_path: Path
) -> None:
    done, results = khoci(tmp_path, "selftest", "vmalloc-silent", "root-bumped")
    assert "self-test: 4 of 4 as expected" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    verdicts = {(item["producer"], item["consumer"]): item["verdict"] for item in results}
    assert len(verdicts) == 4
    assert set(verdicts.values()) == {"refused"}
