"""The Abi of each patched kernel of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from khoci.abi.patched import patched_abi
from khoci.config.abi import Abi, Releases
from khoci.config.kernels import KernelSpec
from khoci.errors import HarnessError, KhociError
from khoci.kernel.cache import Artifact
from khoci.kernel.definitions import changes_by_patches
from khoci.progress import Progress


def with_patched(
    releases: Releases,
    kernels: Mapping[str, tuple[KernelSpec, Artifact]],
    progress: Progress,
    tell: Callable[[KhociError], None],
) -> Releases:
    """The releases, and the patched ones of these kernels.

    Of one whose sources cannot be had now that is told, and it is taken for its release.
    """
    found: list[Abi] = []
    patched = {name: pair for name, pair in kernels.items() if pair[0].patches}
    for name, (spec, artifact) in patched.items():
        base = releases.find_for(name, artifact.release)
        if base is None:
            continue
        try:
            found.append(patched_abi(base, changes_by_patches(spec, progress), name))
        except HarnessError as error:
            reason = str(error).removeprefix(f"{name}: ")
            text = f"{name}: is predicted as {base.name}, without what its patches change"
            tell(HarnessError(f"{text}: {reason}"))
    return releases.with_patched(found)
