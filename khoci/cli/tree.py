"""``khoci tree``: the linux.git that series are applied in."""

from __future__ import annotations

import click

from khoci.cli.completing import complete_kernels
from khoci.cli.options import echo_json, json_option
from khoci.config.kernels import known_kernels
from khoci.errors import UsageError
from khoci.kernel.cache import Cache
from khoci.paths import cache_dir
from khoci.progress import progress_for
from khoci.series.trees import make_tree, releases

_SCHEMA = 1


@click.group(name="tree")
def tree_group() -> None:
    """Make a linux.git where there is none.

    Example: khoci tree init
    """


@tree_group.command("init")
@click.argument("names", metavar="[KERNEL]...", nargs=-1, shell_complete=complete_kernels)
@json_option
def init_command(names: tuple[str, ...], *, as_json: bool) -> None:
    """Make a linux.git of the pinned sources: one commit and tag a release.

    It is for who has none; git can merge in it. Without KERNEL it gets all releases that khoci
    knows (1.2 GB); what it has already stays.

    Example: khoci tree init 6.17 6.18
    """
    kernels = known_kernels()
    wanted = {kernels.select(name).name for name in names}
    chosen = [each for each in releases(kernels) if not wanted or each.name in wanted]
    if unpinned := wanted - {each.name for each in chosen}:
        raise UsageError(f"{sorted(unpinned)[0]}: no archive of its sources is pinned")
    cache = Cache(cache_dir())
    ids = make_tree(cache.linux, chosen, cache.downloads, progress_for())
    if as_json:
        echo_json({"schema": _SCHEMA, "tree": str(cache.linux), "releases": ids})
        return
    for name, commit in ids.items():
        click.echo(f"{name}  {commit}")
    click.echo(f"{cache.linux}: {len(ids)} releases")
