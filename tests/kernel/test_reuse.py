"""Patched kernels reuse the objects of each other; none has anything of another in its image."""

from __future__ import annotations

import json
import shutil
import signal
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from khoci.errors import BuildError, HarnessError
from khoci.kernel import store, trees
from khoci.kernel.cache import Cache
from khoci.progress import NoProgress
from tests.kernel.fakelinux import SOURCES
from tests.kernel.test_store import hidden_folders, start, visible, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from khoci.config.kernels import KernelSpec
    from khoci.kernel.cache import Artifact
    from tests.kernel.conftest import Fake

OBJECTS = 4


@pytest.fixture
def base(fake: Fake) -> KernelSpec:
    return fake.kernel()


def with_patches(base: KernelSpec, *patches: Path) -> KernelSpec:
    name = "+".join([base.name, *(patch.stem for patch in patches)])
    return replace(base, name=name, patches=patches)


def metadata(built: Artifact) -> dict[str, object]:
    content: dict[str, object] = json.loads((built.image.parent / "metadata.json").read_text())
    return content


def kept(cache: Cache) -> list[Path]:
    return sorted(path for path in cache.trees.glob("kept-*") if path.is_dir())


def sources(cache: Cache) -> dict[str, str]:
    """The content of the one kept tree, but for its objects."""
    (tree,) = kept(cache)
    top = tree / "linux"
    return {
        name: path.read_text()
        for path in top.rglob("*")
        if path.is_file() and not (name := str(path.relative_to(top))).startswith("build/")
    }


def test_the_second_compiles_what_patches_touch(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    one = with_patches(base, fake.patch("one", **{"a.c": "int mutant_one;\n"}))
    two = with_patches(base, fake.patch("two", **{"b.c": "int mutant_two;\n"}))
    first, second = store.obtain(one, cache=cache), store.obtain(two, cache=cache)
    assert b"mutant_one" in first.image.read_bytes()
    assert b"mutant_two" in second.image.read_bytes()
    assert b"mutant_one" not in second.image.read_bytes()
    assert (metadata(first)["steps"], metadata(second)["steps"]) == (OBJECTS, 2)


def test_the_record_says_whose_objects_were_reused(
    fake: Fake, base: KernelSpec, cache: Cache
) -> None:
    one = with_patches(base, fake.patch("one", **{"a.c": "int mutant_one;\n"}))
    two = with_patches(base, fake.patch("two", **{"b.c": "int mutant_two;\n"}))
    assert metadata(store.obtain(one, cache=cache))["reused"] is None
    (tree,) = kept(cache)
    reused = metadata(store.obtain(two, cache=cache))["reused"]
    assert reused == {"tree": tree.name, "objects_of": "v6.18.15+one"}


def test_a_header_concerns_all_that_include_it(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    one = with_patches(base, fake.patch("one", **{"a.c": "int mutant_one;\n"}))
    wide = with_patches(base, fake.patch("wide", **{"common.h": "int mutant_wide;\n"}))
    store.obtain(one, cache=cache)
    assert metadata(store.obtain(wide, cache=cache))["steps"] == OBJECTS
    shutil.rmtree(cache.kernels)
    again = store.obtain(one, cache=cache)
    assert metadata(again)["steps"] == OBJECTS
    assert b"mutant_wide" not in again.image.read_bytes()


def test_the_image_is_that_of_a_build_from_nothing(
    fake: Fake, base: KernelSpec, tmp_path: Path
) -> None:
    patches = [
        fake.patch("one", **{"a.c": "int mutant_one;\n"}),
        fake.patch("other", **{"a.c": "int mutant_other;\n", "b.c": "int mutant_too;\n"}),
        fake.patch("wide", **{"common.h": "int mutant_wide;\n"}),
        fake.patch("more", **{"Kbuild": SOURCES["Kbuild"].replace("c.o", "c.o n.o"), "n.c": "n\n"}),
        fake.patch("less", Kbuild=SOURCES["Kbuild"].replace("c.o", "")),
        fake.patch("config", lost="CONFIG_B\n", Kconfig="config A\n\tbool\n"),
    ]
    specs = [with_patches(base, patch) for patch in patches]
    clean = {
        spec.name: store.obtain(spec, cache=Cache(tmp_path / spec.name)).image.read_bytes()
        for spec in specs
    }
    assert len(set(clean.values())) == len(patches)
    shared = Cache(tmp_path / "shared")
    for spec in [*specs, *reversed(specs), *specs[::2], *specs[1::2]]:
        built = store.obtain(spec, cache=shared)
        assert built.image.read_bytes() == clean[spec.name]
        shutil.rmtree(shared.kernels)
    assert len(kept(shared)) == 1


def test_the_key_is_the_same_with_and_without_a_tree(
    fake: Fake, base: KernelSpec, cache: Cache, tmp_path: Path
) -> None:
    one = with_patches(base, fake.patch("one", **{"a.c": "int mutant_one;\n"}))
    two = with_patches(base, fake.patch("two", **{"b.c": "int mutant_two;\n"}))
    store.obtain(one, cache=cache)
    alone = store.obtain(two, cache=Cache(tmp_path / "alone"))
    assert store.obtain(two, cache=cache).key == alone.key


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.c": "#error\n"}, r"does not build: a\.c:1:2: error: so it says"),
        ({"Makefile": "$(error no)\n"}, "states no kernel version"),
        ({"Makefile": f"VERSION = {'9' * 5000}\nPATCHLEVEL = 1\n"}, "states no kernel version"),
        ({"Kbuild": "$(error no)\n"}, "make allnoconfig failed"),
    ],
)
def test_after_a_patch_that_does_not_build(
    fake: Fake, base: KernelSpec, cache: Cache, files: dict[str, str], message: str
) -> None:
    one = with_patches(base, fake.patch("one", **{"b.c": "int mutant_one;\n"}))
    two = with_patches(base, fake.patch("two", **{"b.c": "int mutant_two;\n"}))
    bad = with_patches(base, fake.patch("bad", **files))
    store.obtain(one, cache=cache)
    before = sources(cache)
    with pytest.raises(HarnessError, match=message):
        store.obtain(bad, cache=cache)
    assert not kept(cache) or sources(cache) == before
    built = store.obtain(two, cache=cache)
    assert b"mutant_one" not in built.image.read_bytes()
    assert b"int a;" in built.image.read_bytes()


def test_a_patch_that_does_not_apply_leaves_the_tree_as_it_was(
    fake: Fake, base: KernelSpec, cache: Cache
) -> None:
    one = fake.patch("one", **{"b.c": "int mutant_one;\n"})
    store.obtain(with_patches(base, one), cache=cache)
    before = sources(cache)
    two = fake.patch("two", **{"a.c": "int mutant_two;\n", "n.c": "n\n"})
    with pytest.raises(BuildError, match=r"v6\.18\.15\+two\+two: .*two\.patch does not apply"):
        store.obtain(with_patches(base, two, two), cache=cache)
    assert sources(cache) == before
    assert metadata(store.obtain(with_patches(base, two), cache=cache))["steps"] == 2


def test_an_error_of_a_patch_comes_before_anything_is_unpacked(
    fake: Fake, base: KernelSpec, cache: Cache
) -> None:
    words = fake.folder / "words.patch"
    words.write_text("no patch at all\n")
    with pytest.raises(BuildError, match=r"words\.patch does not apply"):
        store.obtain(with_patches(base, words), cache=cache)
    assert kept(cache) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_objects_of_a_killed_build_are_not_reused(
    fake: Fake, base: KernelSpec, cache: Cache, number: signal.Signals
) -> None:
    one = with_patches(base, fake.patch("one", **{"a.c": "int mutant_one;\n"}))
    slow = replace(base, patches=(fake.patch("slow", slow="yes\n", **{"b.c": "int slow;\n"}),))
    store.obtain(one, cache=cache)
    process = start(fake, slow, cache)
    wait_for(lambda: fake.runs == 2)
    process.send_signal(number)
    process.communicate()
    assert (len(kept(cache)) == 0) is (number == signal.SIGINT)
    two = store.obtain(
        with_patches(base, fake.patch("two", **{"c.c": "int mutant_two;\n"})), cache=cache
    )
    assert metadata(two)["reused"] is None
    assert b"slow" not in two.image.read_bytes()
    assert len(kept(cache)) == 1


def test_what_a_killed_build_left_is_stale(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    store.obtain(with_patches(base, fake.patch("one", **{"a.c": "int one;\n"})), cache=cache)
    (tree,) = kept(cache)
    assert cache.remove_stale_trees() == 0
    (tree / "tree.json").unlink()
    assert [entry.kind for entry in cache.entries() if entry.path == tree] == ["stale tree"]
    assert cache.remove_stale_trees() == 1
    assert kept(cache) == []


def test_a_tree_from_before_the_clock_was_set_back(
    fake: Fake, base: KernelSpec, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = with_patches(base, fake.patch("one", **{"a.c": "int mutant_one;\n"}))
    two = with_patches(base, fake.patch("two", **{"b.c": "int mutant_two;\n"}))
    store.obtain(one, cache=cache)
    yesterday = time.time() - 86400
    with monkeypatch.context() as patch:
        patch.setattr("time.time", lambda: yesterday)
        assert metadata(store.obtain(two, cache=cache))["reused"] is None


def test_two_processes_take_turns_in_one_tree(fake: Fake, cache: Cache) -> None:
    base = fake.kernel(pause="yes")
    specs = [
        replace(base, patches=(fake.patch(name, **{"a.c": f"int mutant_{name};\n"}),))
        for name in ("one", "two")
    ]
    store.obtain(with_patches(base, fake.patch("zero", **{"b.c": "int zero;\n"})), cache=cache)
    processes = [start(fake, spec, cache) for spec in specs]
    keys = [process.communicate()[0].strip() for process in processes]
    images = [(cache.folder(key) / "bzImage").read_bytes() for key in keys]
    assert [b"mutant_one" in image for image in images] == [True, False]
    assert [b"mutant_two" in image for image in images] == [False, True]
    assert len(kept(cache)) == 1


def test_who_waits_is_told(tmp_path: Path) -> None:
    said: list[str] = []

    class Said(NoProgress):
        def start(self, task: str, total: float | None = None) -> None:
            said.append(task)
            raise KeyboardInterrupt

    with (
        trees.kept_tree(tmp_path, "key", "here", "one", NoProgress()),
        pytest.raises(KeyboardInterrupt),
        trees.kept_tree(tmp_path, "key", "here", "two", Said()),
    ):
        pass
    assert said == ["two: waiting for another khoci that builds in its tree"]


def test_the_trees_used_last_are_kept(tmp_path: Path) -> None:
    last = []
    for key in ("a", "b", "c", "a", "d", "e"):
        with trees.kept_tree(tmp_path, key, "here", "kernel", NoProgress()) as tree:
            last.append(tree.last)
        time.sleep(0.02)
    assert last == ["", "", "", "kernel", "", ""]
    assert used(tmp_path) == {"kept-a", "kept-d", "kept-e"}


def used(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


def test_a_tree_in_use_is_neither_listed_nor_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with hold(cache, "a"):
        for key in ("b", "c", "d", "e"):
            with hold(cache, key):
                pass
        assert used(cache.trees) == {"kept-a", "kept-c", "kept-d", "kept-e"}
        assert [entry.path.name for entry in cache.entries()] == ["kept-c", "kept-d", "kept-e"]
        assert cache.remove_stale_trees() == 0
        assert not trees.remove_unheld(cache.trees / "kept-a")
    assert "kept-a" in used(cache.trees)


@contextmanager
def hold(cache: Cache, key: str) -> Iterator[None]:
    with trees.kept_tree(cache.trees, key, "here", "kernel", NoProgress()):
        yield
        time.sleep(0.02)


def test_a_lean_tree_gets_what_patches_touch(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    big = "drivers/gpu/drm/big.c"
    store.obtain(with_patches(base, fake.patch("one", **{"a.c": "int one;\n"})), cache=cache)
    assert big not in sources(cache)
    drm = with_patches(base, fake.patch("drm", **{big: "/* more */\n", "a.c": "int drm;\n"}))
    assert b"int drm;" in store.obtain(drm, cache=cache).image.read_bytes()
    assert sources(cache)[big] == "/* much */\n"


def test_a_new_file_needs_no_unpacking(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    store.obtain(with_patches(base, fake.patch("one", **{"a.c": "int one;\n"})), cache=cache)
    (fake.folder / "v6.18.15.tar.xz").unlink()
    text = fake.patch("text", **{"Documentation/kho.rst": "words\n", "b.c": "int words;\n"})
    assert b"int words;" in store.obtain(with_patches(base, text), cache=cache).image.read_bytes()
    assert "Documentation/kho.rst" not in sources(cache)


def test_a_full_tree_is_not_shared_with_a_lean_one(
    fake: Fake, base: KernelSpec, cache: Cache
) -> None:
    patch = fake.patch("one", **{"a.c": "int one;\n"})
    store.obtain(with_patches(base, patch), cache=cache)
    other = fake.patch("two", **{"a.c": "int two;\n"})
    store.obtain(replace(with_patches(base, other), full_tree=True), cache=cache)
    assert len(kept(cache)) == 2


def test_another_config_has_another_tree(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    patch = fake.patch("one", **{"a.c": "int one;\n"})
    store.obtain(with_patches(base, patch), cache=cache)
    (fake.folder / "v6.18.15.config").write_text("CONFIG_B=y\n")
    store.obtain(with_patches(base, patch), cache=cache)
    assert len(kept(cache)) == 2


def test_a_source_that_cannot_be_had_leaves_no_tree(
    fake: Fake, base: KernelSpec, cache: Cache
) -> None:
    (fake.folder / "v6.18.15.tar.xz").unlink()
    one = with_patches(base, fake.patch("one", **{"a.c": "int one;\n"}))
    with pytest.raises(HarnessError, match="does not exist"):
        store.obtain(one, cache=cache)
    assert kept(cache) == []
    assert hidden_folders(cache.kernels) == []


def test_an_unpatched_kernel_keeps_no_tree(base: KernelSpec, cache: Cache) -> None:
    store.obtain(base, cache=cache)
    assert visible(cache.trees) == []
