"""What the ABI of a tree costs: by a probe, and by kbuild compiling the files that use the structs.

Both tell the same layouts; the probe also has values, for each size of a page. Run
``python -m bench.abi_probe [TREE]`` from the top of the repository; the tree is not written to.
Without one it is that of 7.3, unpacked for this.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from khoci.abi.dwarf import layouts_in
from khoci.abi.model import KernelAbi, Layout
from khoci.config.kernels import DebianSource, ImageSource, known_kernels, usual_kernel
from khoci.errors import HarnessError
from khoci.kernel.cache import Cache
from khoci.kernel.configure import request_of, requested_config
from khoci.kernel.extract import abi_of_tree, link_tree
from khoci.kernel.make import Make
from khoci.kernel.source import fill_tree
from khoci.kernel.unpack import lean
from khoci.paths import cache_dir
from khoci.progress import progress_for

_KERNEL = "7.3"
_USERS = (
    "kernel/kexec_handover.c",
    *(f"kernel/liveupdate/{name}.c" for name in ("kexec_handover", "kho_block", "luo_core")),
    *(f"kernel/liveupdate/{name}.c" for name in ("luo_file", "luo_session", "luo_flb")),
    *("mm/memfd_luo.c", "arch/x86/kernel/kexec-bzimage64.c"),
)


@click.command()
@click.argument("tree", type=click.Path(path_type=Path, exists=True), required=False)
def main(tree: Path | None) -> None:
    """Read the ABI of TREE both ways, see that layouts are the same, and print the ratio."""
    if tree is not None:
        _measure(tree)
        return
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        spec = known_kernels().select(_KERNEL)
        source = next(each for each in spec.sources if isinstance(each, DebianSource))
        unpacked = Path(temporary) / spec.name
        fill_tree(source, unpacked, Cache(cache_dir()).downloads, lean("x86"), progress_for())
        _measure(unpacked)


def _measure(tree: Path) -> None:
    began = time.perf_counter()
    abi = abi_of_tree(tree)
    probe = time.perf_counter() - began
    structs = {name: part.at(12) for name, part in abi.structs.items()}
    began = time.perf_counter()
    found = _by_kbuild(tree.resolve(), frozenset(structs))
    kbuild = time.perf_counter() - began
    if found != structs:
        raise HarnessError(f"{tree}: both ways differ: {sorted(found.keys() ^ structs.keys())}")
    click.echo(f"probe  {probe:6.1f} s  {_counts(abi)}")
    click.echo(f"kbuild {kbuild:6.1f} s  {len(found)} structs")
    click.echo(f"ratio  {kbuild / probe:6.1f}")


def _by_kbuild(tree: Path, wanted: frozenset[str]) -> dict[str, Layout]:
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        folder = Path(temporary) / "linux"
        link_tree(tree, folder)
        log = Path(temporary) / "log"
        log.touch()
        make = Make(folder, log, "x86", 2)
        requested_config(tree.name, make, request_of(usual_kernel("x", ImageSource(tree))))
        objects = [f"{name[:-2]}.o" for name in _USERS if (tree / name).is_file()]
        if make.run("KCFLAGS=-g", *objects) != 0:
            raise HarnessError(f"{tree}: does not compile: {log.read_text()[-500:]}")
        found: dict[str, Layout] = {}
        for name in objects:
            with (make.objects / name).open("rb") as file:
                found |= layouts_in(file, wanted, name)
        return found


def _counts(abi: KernelAbi) -> str:
    return f"{len(abi.structs)} structs, {len(abi.constants) + len(abi.versions)} constants"


if __name__ == "__main__":
    main()
