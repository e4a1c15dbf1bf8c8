"""How long a patched kernel takes to build, against its base from nothing, in one run.

``python -m bench.series_build [--onto KERNEL] PATCH...``: the base is built in an empty cache and
without ccache, its objects stay; then one kernel is built for each of the patches, in the sandbox
as those of a series are, and put on the one before it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click

from khoci.config.kernels import known_kernels
from khoci.kernel import store
from khoci.kernel.build import How
from khoci.kernel.cache import Cache, folder_size
from khoci.kernel.make import OBJECTS
from khoci.paths import cache_dir, data_dir
from khoci.progress import progress_for

USUAL = ("harmless-words", "harmless-early", "memfd-silent")


def main() -> None:
    """Build, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--onto", default="7.3", help="the base")
    parser.add_argument("patches", nargs="*", type=Path, metavar="PATCH")
    chosen = parser.parse_args()
    selftest = data_dir("matrix") / "selftest"
    patches = chosen.patches or [selftest / f"{name}.patch" for name in USUAL]
    os.environ["CCACHE_DISABLE"] = "1"
    base = known_kernels().select(chosen.onto)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=cache_dir()) as folder:
        cache = Cache(Path(folder))
        cache.downloads.symlink_to(cache_dir() / "downloads")
        progress = progress_for()
        began = time.monotonic()
        artifact = store.obtain(base, progress, cache, How(keep=True))
        cold = time.monotonic() - began
        click.echo(f"{base.name}, from nothing: {cold:.1f} s, 1")
        click.echo(f"  kept of it: {folder_size(cache.folder(artifact.key)) / 1e6:.1f} MB")
        (tree,) = cache.trees.glob("kept-*/linux")
        click.echo(f"  its objects, kept once a base: {folder_size(tree / OBJECTS) / 1e6:.0f} MB")
        for number in range(1, len(patches) + 1):
            name = f"{base.name} with {number} of {len(patches)} patches"
            spec = replace(base, name=f"patched-{number}", series=None, untrusted=True)
            spec = replace(spec, patches=tuple(patches[:number]))
            began = time.monotonic()
            artifact = store.obtain(spec, progress, cache)
            seconds = time.monotonic() - began
            click.echo(f"{name}: {seconds:.1f} s, {cold / seconds:.1f} times as fast")
            click.echo(f"  kept of it: {folder_size(cache.folder(artifact.key)) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
