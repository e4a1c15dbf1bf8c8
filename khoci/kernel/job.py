"""What is to be built: a kernel, from which source, and all that decides the bytes of its image."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.errors import HarnessError
from khoci.kernel.cache import key_of
from khoci.kernel.make import FIXED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from khoci.config.kernels import KernelSpec, TreeSource
    from khoci.kernel.configure import Request

RECIPE = 1
"""To be raised when this code builds different images from the same inputs."""


@dataclass(frozen=True, slots=True)
class Job:
    """A kernel to build: what it is, from which of its sources, and under which key.

    ``inputs`` is all that decides the image's bytes; ``key`` is its hash.
    """

    spec: KernelSpec
    source: TreeSource
    request: Request
    inputs: Mapping[str, object]
    key: str

    @property
    def tree_key(self) -> str:
        """The key of the tree to build in: the same whatever the patches are."""
        return key_of({**self.inputs, "patches": [], "full_tree": self.spec.full_tree})


def toolchain() -> list[str]:
    """The versions of compiler and linker, as they state them.

    Raises:
        HarnessError: one is not installed.
    """
    return [_first_line("gcc"), _first_line("ld")]


def inputs_of(
    spec: KernelSpec, source_id: str, patches: list[str], request: Request
) -> dict[str, object]:
    """All that decides the bytes of an image; ``patches`` are digests."""
    return {
        "recipe": RECIPE,
        "arch": spec.arch,
        "source": source_id,
        "patches": patches,
        "config": request.canonical(),
        "toolchain": toolchain(),
        "make": FIXED,
    }


def _first_line(tool: str) -> str:
    try:
        result = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise HarnessError(f"{tool} is not usable: run khoci doctor --install") from error
    return result.stdout.partition("\n")[0]
