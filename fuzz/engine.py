"""One family under atheris, in a process of its own: ``python -m fuzz.engine FAMILY FLAG...``.

The flags and folders are libFuzzer's. It ends with the first crash.
"""

from __future__ import annotations

import random
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from fuzz.family import Family


def main(name: str, flags: list[str]) -> None:
    """Fuzz until a flag says stop; never returns."""
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=["khoci"]):
        family: Family = import_module("fuzz.families").FAMILIES[name]
    oracle = import_module("fuzz.oracle")
    atheris.Setup(
        ["fuzz", *flags],
        lambda data: oracle.check(family.run, data),
        custom_mutator=_mutator(family, atheris),
    )
    oracle.be_strict()
    atheris.Fuzz()


def _mutator(family: Family, atheris: Any) -> Callable[..., bytes]:  # noqa: ANN401
    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)  # noqa: S311
        changed = family.mutate(data, rng, lambda piece, size: bytes(atheris.Mutate(piece, size)))
        return changed if len(changed) <= max_size else data

    return mutate


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
