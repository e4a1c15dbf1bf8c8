from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from khoci.config.kernels import (
    DebianImageSource,
    DebianSource,
    GitSource,
    ImageSource,
    KernelSpec,
    Package,
    TarballSource,
)
from khoci.errors import BuildError, HarnessError, UsageError
from khoci.kernel import store
from khoci.kernel.cache import Artifact, Cache
from khoci.kernel.tar import tarfile
from tests.kernel.fakelinux import MAKEFILE, deb, pack

if TYPE_CHECKING:
    from tests.kernel.conftest import Fake, Server

SCRIPT = """
import sys
from pathlib import Path
from khoci.config.kernels import load_kernels
from khoci.kernel import store
from khoci.kernel.cache import Artifact, Cache
spec = load_kernels(Path(sys.argv[1])).select("v6.18.15")
print(store.obtain(spec, cache=Cache(Path(sys.argv[2]))).key)
"""


def write_toml(fake: Fake, spec: KernelSpec) -> Path:
    (source,) = spec.sources
    assert isinstance(source, TarballSource)
    path = Path(tempfile.mkdtemp(dir=fake.folder)) / "kernels.toml"
    path.write_text(
        f'[kernel."{spec.name}"]\n'
        f'sources = [{{ tarball = "{source.url}", sha256 = "{source.sha256}" }}]\n'
        f'config = ["../{spec.name}.config"]\n'
        f"patches = {[str(patch) for patch in spec.patches]}\n"
    )
    return path


def start(fake: Fake, spec: KernelSpec, cache: Cache) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(write_toml(fake, spec)), str(cache.root)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[!.]*")) if folder.exists() else []


def hidden_folders(folder: Path) -> list[Path]:
    return [path for path in folder.glob(".*") if path.is_dir()]


def test_builds_then_takes_it_from_the_cache(fake: Fake, cache: Cache) -> None:
    spec = fake.kernel()
    assert not store.is_cached(spec, cache)
    built = store.obtain(spec, cache=cache)
    assert store.is_cached(spec, cache)
    (fake.folder / "v6.18.15.tar.xz").unlink()
    assert store.obtain(spec, cache=cache) == built
    assert fake.runs == 1
    assert built.release == "6.18.15"
    assert b"CONFIG_A=y" in built.image.read_bytes()
    assert built.system_map is not None
    assert "_text" in built.system_map.read_text()
    assert visible(cache.trees) == []


def test_metadata_has_the_reproducing_command(fake: Fake, cache: Cache) -> None:
    built = store.obtain(fake.kernel(), cache=cache)
    metadata = json.loads((built.image.parent / "metadata.json").read_text())
    assert metadata["status"] == "built"
    assert metadata["reproduce"] == "khoci kernel build v6.18.15"
    assert metadata["command"][0] == "make"
    assert "bzImage" in metadata["command"]
    assert metadata["steps"] == 4
    assert (built.image.parent / "build.log").read_text().count("  CC      ") == 4


def test_the_artifact_knows_its_config(fake: Fake, cache: Cache) -> None:
    built = store.obtain(fake.kernel(config="CONFIG_A=y\n# CONFIG_B is not set\n"), cache=cache)
    assert built.has("A") is True
    assert built.has("B") is False
    assert built.has("C") is False
    assert replace(built, config=None).has("A") is None


def test_a_config_with_other_bytes_and_none_to_read(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_bytes(b'CONFIG_NAME="\xff"\nCONFIG_A=y\n')
    kernel = Artifact("mine", "key", "x86_64", "6.18", tmp_path / "bzImage", None, config)
    assert (kernel.has("A"), kernel.has("B")) == (True, False)
    config.unlink()
    with pytest.raises(HarnessError, match=r"^mine: .*config cannot be read: No such file"):
        kernel.has("A")


def test_the_image_does_not_depend_on_time_place_or_user(
    fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = fake.kernel()
    images = []
    for user in ("alice", "bob"):
        monkeypatch.setenv("USER", user)
        monkeypatch.setenv("MAKEFLAGS", "-n")
        images.append(store.obtain(spec, cache=Cache(tmp_path / user)).image.read_bytes())
    assert images[0] == images[1]


def test_the_key_follows_what_decides_the_image(fake: Fake, cache: Cache) -> None:
    spec = fake.kernel()
    keys = {store.obtain(spec, cache=cache).key}
    (fake.folder / "v6.18.15.config").write_text("CONFIG_A=y\nCONFIG_B=y\n")
    keys.add(store.obtain(spec, cache=cache).key)
    patch = fake.folder / "a.patch"
    patch.write_text("--- a/source.c\n+++ b/source.c\n@@ -1 +1 @@\n-int main;\n+int other;\n")
    patched = store.obtain(replace(spec, patches=(patch,)), cache=cache)
    keys.add(patched.key)
    assert len(keys) == 3
    assert b"int other;" in patched.image.read_bytes()
    (fake.folder / "v6.18.15.config").write_text("# a comment\nCONFIG_B=y\nCONFIG_A=y\n")
    assert store.is_cached(spec, cache)


def test_a_patch_may_touch_what_is_not_unpacked_otherwise(fake: Fake, cache: Cache) -> None:
    patch = fake.folder / "drm.patch"
    name = "drivers/gpu/drm/big.c"
    patch.write_text(f"--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-/* much */\n+/* more */\n")
    spec = replace(fake.kernel(), patches=(patch,))
    assert store.obtain(spec, cache=cache).release == "6.18.15"


def test_a_patch_that_does_not_apply(fake: Fake, cache: Cache) -> None:
    patch = fake.folder / "bad.patch"
    patch.write_text("--- a/source.c\n+++ b/source.c\n@@ -1 +1 @@\n-int nothing;\n+int other;\n")
    with pytest.raises(BuildError, match=r"v6\.18\.15: .*bad\.patch does not apply"):
        store.obtain(replace(fake.kernel(), patches=(patch,)), cache=cache)


def test_a_failed_build_shows_its_first_error_and_keeps_the_log(fake: Fake, cache: Cache) -> None:
    spec = fake.kernel(broken="yes")
    with pytest.raises(BuildError) as caught:
        store.obtain(spec, cache=cache)
    assert str(caught.value) == "v6.18.15: does not build: a.c:7:1: error: expected ';'"
    log = Path(caught.value.detail.rpartition("log: ")[2])
    assert "  CC      a.o" in log.read_text()
    assert json.loads((log.parent / "metadata.json").read_text())["status"] == "failed"
    assert visible(cache.kernels) == []
    assert hidden_folders(cache.kernels) == []
    assert visible(cache.trees) == []


def test_a_lost_symbol_is_named_with_what_it_lacks(fake: Fake, cache: Cache) -> None:
    asked = "CONFIG_KEXEC_HANDOVER=y\nCONFIG_DEFERRED_STRUCT_PAGE_INIT=y\nCONFIG_KEXEC_CORE=y\n"
    spec = fake.kernel(config=asked, lost="HANDOVER\n")
    with pytest.raises(BuildError) as caught:
        store.obtain(spec, cache=cache)
    assert str(caught.value) == (
        "v6.18.15: 1 of 3 requests lost in configuration: CONFIG_KEXEC_HANDOVER=y: needs "
        "ARCH_SUPPORTS_KEXEC_HANDOVER and ARCH_SUPPORTS_KEXEC_FILE and "
        "!DEFERRED_STRUCT_PAGE_INIT (Kconfig:15)"
    )


def test_two_processes_build_once(fake: Fake, cache: Cache) -> None:
    spec = fake.kernel(pause="yes")
    processes = [start(fake, spec, cache) for _ in range(2)]
    keys = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(keys) == 1
    assert fake.runs == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_leaves_nothing(
    fake: Fake, cache: Cache, number: signal.Signals
) -> None:
    spec = fake.kernel(slow="yes")
    process = start(fake, spec, cache)
    wait_for(lambda: fake.runs == 1)
    assert visible(cache.trees) != []
    make_group = os.getpgid(int((fake.folder / "runs").read_text()))
    process.send_signal(number)
    process.communicate()
    make = int((fake.folder / "runs").read_text())
    wait_for(lambda: not alive(make))
    if number == signal.SIGINT:
        wait_for(lambda: not group(make_group))
    assert visible(cache.kernels) == []
    if number == signal.SIGKILL:
        assert cache.remove_stale_trees() == 1
    else:
        assert hidden_folders(cache.kernels) == []
    assert visible(cache.trees) == []
    assert not store.is_cached(spec, cache)


def test_after_a_kill_the_next_build_tidies_up(fake: Fake, cache: Cache) -> None:
    spec = fake.kernel()
    key = store.obtain(spec, cache=cache).key
    (cache.kernels / key[:32]).rename(cache.kernels / f".{key[:32]}.killed")
    (cache.trees / "tree-dead").mkdir()
    store.obtain(spec, cache=cache)
    assert hidden_folders(cache.kernels) == []
    assert visible(cache.trees) == []


def test_too_little_disk_is_said_before_anything_starts(
    fake: Fake, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage())
    with pytest.raises(HarnessError, match=r"v6\.18\.15: building needs \d+ MB .* only 5 MB"):
        store.obtain(fake.kernel(), cache=cache)
    assert fake.runs == 0
    assert visible(cache.trees) == []


class Usage:
    free = 5_000_000


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, r"v6\.18\.15: the disk of .* is full"),
        (errno.EACCES, r"v6\.18\.15: .* cannot be written: Permission denied"),
    ],
)
def test_a_disk_that_fails_while_unpacking(
    fake: Fake, cache: Cache, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tarfile.TarFile, "extract", fail)
    with pytest.raises(HarnessError, match=message):
        store.obtain(fake.kernel(), cache=cache)
    assert visible(cache.trees) == []
    assert hidden_folders(cache.kernels) == []


def test_a_disk_that_fills_up_while_building(fake: Fake, cache: Cache) -> None:
    makefile = MAKEFILE.replace("@RUNS@", "runs").replace("expected", "No space left on device")
    with pytest.raises(HarnessError, match=r"v6\.18\.15: the disk of .* is full") as caught:
        store.obtain(fake.kernel(broken="yes", Makefile=makefile), cache=cache)
    assert not isinstance(caught.value, BuildError)


def test_a_debian_source_comes_from_the_mirror(
    fake: Fake, cache: Cache, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = fake.kernel()
    content = deb({"usr/src/linux-source-6.18.tar.xz": pack(fake.folder / "tree")})
    package = Package("linux-source-6.18", "6.18.15-1~bpo13+1", sha(content))
    server.put_package(package, content)
    monkeypatch.setenv("KHOCI_DEBIAN_MIRROR", server.url)
    spec = replace(spec, sources=(DebianSource(package),))
    built = store.obtain(spec, cache=cache)
    assert built.release == "6.18.15"
    monkeypatch.setenv("KHOCI_DEBIAN_MIRROR", "http://127.0.0.1:9")
    (fake.folder / "v6.18.15.config").write_text("CONFIG_OTHER=y\n")
    assert store.obtain(spec, cache=cache).key != built.key
    assert len(server.requests) == 1


def test_a_source_that_cannot_be_had_makes_way_for_the_next(
    fake: Fake, cache: Cache, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KHOCI_DEBIAN_MIRROR", server.url)
    monkeypatch.delenv("KHOCI_LINUX_GIT", raising=False)
    gone = DebianSource(Package("linux-source-6.18", "6.18.99-1", "0" * 64))
    spec = fake.kernel()
    several = replace(
        spec, sources=(GitSource("v6.18.15", fake.folder / "no"), gone, *spec.sources)
    )
    assert store.obtain(several, cache=cache).release == "6.18.15"
    with pytest.raises(HarnessError, match=r"v6\.18\.15: linux-source-6\.18_6\.18\.99-1_all\.deb "):
        store.obtain(replace(spec, sources=(gone,)), cache=cache)


def test_no_usable_source(fake: Fake, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(fake.kernel(), sources=(GitSource("v6.18.15", fake.folder / "none"),))
    with pytest.raises(HarnessError, match="none of its sources is usable here"):
        store.obtain(spec, cache=cache)


def test_a_ready_image_is_taken_as_it_is(tmp_path: Path, cache: Cache) -> None:
    image = tmp_path / "vmlinuz"
    image.write_bytes(boot_image("6.1.0-13-amd64 (debian)"))
    spec = KernelSpec("mine", (ImageSource(image),), cmdline="quiet")
    artifact = store.obtain(spec, cache=cache)
    assert artifact.image == image
    assert artifact.release == "6.1.0-13-amd64"
    assert artifact.cmdline == "quiet"
    assert artifact.has("KEXEC_HANDOVER") is None
    image.unlink()
    with pytest.raises(UsageError, match=r"mine: .*vmlinuz does not exist"):
        store.obtain(spec, cache=cache)


def test_a_distribution_kernel_comes_from_its_packages(
    cache: Cache, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [
        {"boot/vmlinuz.unsigned": boot_image("7.3.4-cloud (x)"), "usr/lib/modules/x.ko": b"x"},
        {
            "usr/lib/modules/7.3.4/config": b"CONFIG_KEXEC_HANDOVER=y\n",
            "usr/lib/modules/7.3.4/System.map": b"stub",
            "usr/lib/modules/7.3.4/kernel/config.ko": b"module",
        },
    ]
    contents = [deb(names) for names in files]
    packages = tuple(
        Package(f"linux-{number}", "7.3.4-1", sha(content), arch="amd64")
        for number, content in enumerate(contents)
    )
    for package, content in zip(packages, contents, strict=True):
        server.put_package(package, content)
    monkeypatch.setenv("KHOCI_DEBIAN_MIRROR", server.url)
    spec = KernelSpec("debian", (DebianImageSource(packages),))
    artifact = store.obtain(spec, cache=cache)
    assert artifact.release == "7.3.4-cloud"
    assert artifact.has("KEXEC_HANDOVER") is True
    assert artifact.system_map is None
    assert store.is_cached(spec, cache)


def boot_image(version: str) -> bytes:
    head = bytearray(0x400)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x100).to_bytes(2, "little")
    head[0x300 : 0x300 + len(version)] = version.encode()
    return bytes(head)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wait_for(condition: object) -> None:
    assert callable(condition)
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def alive(pid: int) -> bool:
    return any(number == pid for number, _ in processes())


def group(leader: int) -> list[int]:
    return [pid for pid, group in processes() if group == leader]


def processes() -> list[tuple[int, int]]:
    """All that run, with their process groups; zombies do not."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, leader = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if state != "Z":
            found.append((int(path.parent.name), int(leader)))
    return found
