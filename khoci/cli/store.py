"""``khoci store``: kernels that machines share."""

from __future__ import annotations

import click

from khoci.cli.completing import complete_kernels
from khoci.cli.options import echo_json, json_option, store_option, with_stored
from khoci.config.kernels import Kernels, known_kernels
from khoci.errors import UsageError
from khoci.kernel import shared as shared_kernels
from khoci.kernel import store as stored
from khoci.kernel.cache import Cache
from khoci.kernel.shared import Shared, kernels_in
from khoci.paths import cache_dir

_SCHEMA = 1


@click.group(name="store")
def store_group() -> None:
    """Share kernels with other machines, by a folder or an object store.

    Every command takes --store URL, or KHOCI_STORE from the environment. Kernels are found by
    their key, and compared with their digests when they arrive.

    Example: khoci store list --store /srv/khoci
    """


@store_group.command("list")
@store_option
@json_option
def list_command(store: Shared | None, *, as_json: bool) -> None:
    """Name the kernels that the store has.

    Example: khoci store list --store s3://bucket/khoci
    """
    found = kernels_in(_given(store))
    if as_json:
        kernels = [
            {"kernel": each.name, "release": each.release, "key": each.key, "size": each.size}
            for each in found
        ]
        echo_json({"schema": _SCHEMA, "kernels": kernels})
        return
    for each in found:
        size = round(each.size / 1e6)
        click.echo(f"{each.key[:12]}  {size:>5} MB  {each.name}  {each.release}")


@store_group.command("push")
@click.argument("names", nargs=-1, required=True, shell_complete=complete_kernels)
@click.option("--again", is_flag=True, help="also what is there already")
@store_option
def push_command(names: tuple[str, ...], store: Shared | None, *, again: bool) -> None:
    """Put kernels of the cache into the store.

    Example: khoci store push 6.17 7.3 --store /net/khoci
    """
    shared, cache = _given(store), Cache(cache_dir())
    for name, key in _keys(with_stored(known_kernels()), names):
        if not cache.has(key):
            raise UsageError(f"{name} is not in the cache: khoci kernel build {name}")
        done = shared_kernels.push(shared, cache, key, again=again)
        click.echo(f"{name}  {'stored' if done else 'is there'}  {key[:12]}")


@store_group.command("pull")
@click.argument("names", nargs=-1, required=True, shell_complete=complete_kernels)
@store_option
def pull_command(names: tuple[str, ...], store: Shared | None) -> None:
    """Get kernels from the store into the cache.

    Example: khoci store pull 6.17 7.3 --store /net/khoci
    """
    shared, cache, kernels = _given(store), Cache(cache_dir()), with_stored(known_kernels())
    for name, key in _keys(kernels, names):
        there = cache.has(key)
        if not stored.fetch(kernels.select(name), shared, cache):
            raise UsageError(f"{shared.url} has no {name} with the key {key[:12]}")
        click.echo(f"{name}  {'is there' if there else 'fetched'}  {cache.folder(key)}")


def _given(store: Shared | None) -> Shared:
    if store is None:
        raise UsageError("which store? name it by --store or KHOCI_STORE")
    return store


def _keys(kernels: Kernels, names: tuple[str, ...]) -> list[tuple[str, str]]:
    specs = [kernels.select(name) for name in names]
    return [(spec.name, stored.key(spec)) for spec in specs]
