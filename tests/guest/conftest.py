from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from khoci.guest.build import build_agent, sources

if TYPE_CHECKING:
    from pathlib import Path

SANITIZED = (
    *("gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra", "-Werror"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)


@pytest.fixture(scope="session")
def built_agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    agent = build_agent(tmp_path_factory.mktemp("cache"))
    agent.chmod(0o755)
    return agent


@pytest.fixture(scope="session")
def sanitized_agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sanitized") / "init"
    units = [str(path) for path in sources() if path.suffix == ".c"]
    subprocess.run([*SANITIZED, "-o", str(target), *units], check=True)
    return target
