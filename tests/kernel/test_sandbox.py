"""Kernels of strangers: built as others are, and kept from all else."""

from __future__ import annotations

import ctypes
import json
import os
import struct
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from khoci.cli.kernel import kernel
from khoci.errors import BuildError, HarnessError
from khoci.kernel import build, seccomp, store
from khoci.kernel.build import How
from khoci.kernel.cache import Cache
from khoci.kernel.limits import LIMITS, Limits, Usage, denied, exceeded
from khoci.kernel.make import OBJECTS, Make
from khoci.kernel.sandbox import Sandbox, seen
from tests.kernel.fakelinux import MAKEFILE, SOURCES
from tests.kernel.test_store import hidden_folders, visible, wait_for, write_toml

if TYPE_CHECKING:
    from khoci.config.kernels import KernelSpec
    from khoci.kernel.cache import Artifact
    from tests.kernel.conftest import Fake, Server

HERE = MAKEFILE.replace("@RUNS@", "$(O)/runs")
STEP = "\t@echo $$PPID >> $(O)/runs\n"


@pytest.fixture(scope="module", autouse=True)
def bubblewrap() -> None:
    try:
        Sandbox("test").require()
    except HarnessError as error:
        pytest.skip(str(error))


@pytest.fixture
def base(fake: Fake) -> KernelSpec:
    return fake.kernel(Makefile=HERE)


def of_strangers(fake: Fake, base: KernelSpec, name: str = "rfc", **files: str) -> KernelSpec:
    """The base with a patch of a stranger."""
    return replace(base, name=name, patches=(fake.patch(name, **files),), untrusted=True)


def running(fake: Fake, base: KernelSpec, command: str) -> KernelSpec:
    """A stranger's kernel whose makefile runs a shell command."""
    return of_strangers(
        fake, base, Makefile=HERE.replace(STEP, f"{STEP}\t@{command.replace('$', '$$')}\n")
    )


def metadata(built: Artifact) -> dict[str, object]:
    content: dict[str, object] = json.loads((built.image.parent / "metadata.json").read_text())
    return content


def log_of(error: BuildError) -> str:
    with open(error.detail.rpartition("log: ")[2], encoding="utf-8") as log:  # noqa: PTH123
        return log.read()


def test_the_bytes_and_the_key_are_those_of_a_build_without(
    fake: Fake, base: KernelSpec, tmp_path: Path
) -> None:
    inside = of_strangers(fake, base, **{"a.c": "int rfc;\n"})
    outside = replace(inside, untrusted=False)
    one = store.obtain(inside, cache=Cache(tmp_path / "one"))
    other = store.obtain(outside, cache=Cache(tmp_path / "other"))
    assert b"int rfc;" in one.image.read_bytes()
    assert one.image.read_bytes() == other.image.read_bytes()
    assert one.key == other.key
    assert (metadata(one)["sandbox"], metadata(other)["sandbox"]) == (True, False)


def test_it_begins_with_the_objects_of_its_base(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    first = store.obtain(of_strangers(fake, base, **{"a.c": "int one;\n"}), cache=cache)
    second = store.obtain(of_strangers(fake, base, "v2", **{"b.c": "int two;\n"}), cache=cache)
    assert (metadata(first)["steps"], metadata(second)["steps"]) == (1, 1)
    assert b"int one;" not in second.image.read_bytes()
    (kept,) = cache.trees.glob("kept-*/")
    origin = metadata(second)["source"]
    reused = {"tree": kept.name, "objects_of": f"{origin} without patches"}
    assert metadata(second)["reused"] == reused
    assert visible(cache.trees) == [kept.name, f"{kept.name}.lock"]


def test_the_objects_of_its_base_serve_where_the_cache_is_behind_a_link(
    fake: Fake, tmp_path: Path
) -> None:
    """A step depends on where the tree is: objtool does, and with it all that is compiled."""
    where = "$(O)/where: FORCE\n\t@echo $(CURDIR) | cmp -s - $@ || echo $(CURDIR) > $@\nFORCE:\n"
    makefile = HERE.replace("%.c common.h\n", "%.c common.h $(O)/where\n") + where
    base = fake.kernel(Makefile=makefile)
    (tmp_path / "real").mkdir()
    cache = Cache(tmp_path / "cache")
    cache.root.mkdir()
    cache.trees.symlink_to(tmp_path / "real")
    built = store.obtain(of_strangers(fake, base, **{"a.c": "int rfc;\n"}), cache=cache)
    assert metadata(built)["steps"] == 1


def test_the_base_is_made_anew_after_a_trusted_kernel(
    fake: Fake, base: KernelSpec, cache: Cache
) -> None:
    mutant = replace(base, name="mutant", patches=(fake.patch("m", **{"c.c": "int mutant;\n"}),))
    store.obtain(mutant, cache=cache)
    built = store.obtain(of_strangers(fake, base, **{"a.c": "int rfc;\n"}), cache=cache)
    assert metadata(built)["steps"] == 1
    assert b"mutant" not in built.image.read_bytes()


def test_a_base_that_does_not_build_is_to_blame_each_time(fake: Fake, cache: Cache) -> None:
    base = fake.kernel(Makefile=HERE, **{"b.c": "#error\n"})
    spec = of_strangers(fake, base, **{"a.c": "int rfc;\n"})
    for _ in range(2):
        with pytest.raises(BuildError, match=r"^rfc without its patches: does not build"):
            store.obtain(spec, cache=cache)
    with pytest.raises(BuildError, match=r"^v6\.18\.15: does not build"):
        store.obtain(base, cache=cache, how=How(keep=True))
    with pytest.raises(BuildError, match=r"^rfc without its patches: does not build"):
        store.obtain(spec, cache=cache)


def test_nothing_of_it_is_in_kernels_that_come_after(
    fake: Fake, base: KernelSpec, cache: Cache
) -> None:
    evil = "for f in $(O)/*.o *.c; do echo evil >> $f; touch -d 2100-01-01 $f; done; true"
    evil = evil.replace("$(O)", "build")
    hostile = store.obtain(running(fake, base, evil), cache=cache)
    assert b"evil" in hostile.image.read_bytes()
    for untrusted in (True, False):
        later = of_strangers(fake, base, f"later-{untrusted}", **{"b.c": f"int {untrusted};\n"})
        built = store.obtain(replace(later, untrusted=untrusted), cache=cache)
        assert b"evil" not in built.image.read_bytes()


def test_the_sources_of_the_base_stay_as_they_are(
    fake: Fake, base: KernelSpec, cache: Cache
) -> None:
    store.obtain(of_strangers(fake, base, **{"a.c": "int one;\n", "new.c": "n\n"}), cache=cache)
    mode = fake.patch("mode", **{"b.c": "int two;\n"})
    diff = mode.read_text().replace("--- a/b.c", "old mode 100644\nnew mode 100755\n--- a/b.c")
    mode.write_text(
        f"{diff}diff --git a/c.c b/moved.c\nsimilarity index 100%\nrename from c.c\n"
        "rename to moved.c\n"
    )
    moved = replace(base, name="moved", patches=(mode,), untrusted=True)
    store.obtain(moved, cache=cache)
    (kept,) = cache.trees.glob("kept-*/linux")
    assert (kept / "a.c").read_text() == SOURCES["a.c"]
    assert (kept / "b.c").read_text() == SOURCES["b.c"]
    assert (kept / "b.c").stat().st_mode & 0o777 == (kept / "a.c").stat().st_mode & 0o777
    assert (kept / "c.c").read_text() == SOURCES["c.c"]
    assert not [name for name in ("new.c", "moved.c") if (kept / name).exists()]


def test_without_patches_the_source_is_not_trusted(
    fake: Fake, base: KernelSpec, cache: Cache
) -> None:
    built = store.obtain(replace(base, untrusted=True), cache=cache)
    assert metadata(built)["sandbox"] is True
    assert visible(cache.trees) == []


def test_there_is_no_network(fake: Fake, base: KernelSpec, cache: Cache, server: Server) -> None:
    server.files["/"] = b"reached"
    ask = f"python3 -c \"import urllib.request as r; r.urlopen('{server.url}/')\""
    assert subprocess.run(["sh", "-c", ask], check=False).returncode == 0
    with pytest.raises(BuildError) as caught:
        store.obtain(running(fake, base, ask), cache=cache)
    assert "Connection refused" in log_of(caught.value)
    assert [path for path, _ in server.requests] == ["/"]


@pytest.mark.parametrize("folder", ["home", "run/user/secret"])
def test_home_cannot_be_read(
    fake: Fake,
    base: KernelSpec,
    cache: Cache,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home = tmp_path / folder
    home.mkdir(parents=True)
    (home / "id_rsa").write_text("the key\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("API_TOKEN", "the token")
    monkeypatch.setenv("CCACHE_REMOTE_STORAGE", "redis://user:password@host")
    look = f"env; ls -a / $HOME {home} ~ /root /home; cat {home}/id_rsa"
    with pytest.raises(BuildError) as caught:
        store.obtain(running(fake, base, look), cache=cache)
    log = log_of(caught.value)
    assert f"{home}/id_rsa: No such file or directory" in log
    assert "HOME=/nonexistent" in log
    assert not [word for word in ("the key", "the token", "password") if word in log]


@pytest.mark.parametrize("place", ["/usr/bin/evil", "a.c", "/evil", "/dev/shm/evil"])
def test_only_objects_can_be_written(
    fake: Fake, base: KernelSpec, cache: Cache, place: str
) -> None:
    with pytest.raises(BuildError, match=r"^rfc: does not build: ") as caught:
        store.obtain(running(fake, base, f"touch {place}"), cache=cache)
    assert f"touch: cannot touch '{place}': Read-only file system" in log_of(caught.value)


def test_its_tmp_is_its_own(fake: Fake, base: KernelSpec, cache: Cache, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    store.obtain(running(fake, base, f"mkdir -p {tmp_path}; touch {outside}"), cache=cache)
    assert not outside.exists()


def test_the_host_cannot_be_tuned(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    look = (
        "find /proc/sys /proc/sysrq-trigger /sys -type f -writable; grep CapEff /proc/self/status"
    )
    built = store.obtain(running(fake, base, look), cache=cache)
    said = (built.image.parent / "build.log").read_text().splitlines()
    assert "CapEff:\t0000000000000000" in said
    assert not [line for line in said if line.startswith(("/proc/", "/sys/"))]


def test_processes_of_the_host_are_not_there(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    look = r"cat /proc/[0-9]*/cmdline | tr '\0' ' '"
    with subprocess.Popen(["sleep", number := f"6{os.getpid()}.25"]) as sleeper:
        built = store.obtain(running(fake, base, look), cache=cache)
        assert ["sleep", number] in commands()
        sleeper.kill()
    log = (built.image.parent / "build.log").read_text()
    assert "bwrap" in log
    assert number not in log


@pytest.mark.parametrize("name", ["build", "build/khoci.config"])
def test_objects_do_not_lead_elsewhere(
    fake: Fake, base: KernelSpec, cache: Cache, name: str, tmp_path: Path
) -> None:
    patch = tmp_path / "link.patch"
    patch.write_text(
        f"diff --git a/{name} b/{name}\nnew file mode 120000\n--- /dev/null\n+++ b/{name}\n"
        f"@@ -0,0 +1 @@\n+{tmp_path}\n\\ No newline at end of file\n"
    )
    spec = replace(base, name="rfc", patches=(patch,), untrusted=True)
    message = r"^rfc: its sources have 'build', which is for the objects$"
    with pytest.raises(BuildError, match=message):
        store.obtain(spec, cache=cache)
    with pytest.raises(BuildError, match=message), store.configured(spec, cache=cache):
        pass
    assert not (tmp_path / "khoci.config").exists()


LINKED = (".config", "System.map", "arch/x86/boot/bzImage", "include/config/kernel.release")


@pytest.mark.parametrize("name", LINKED)
def test_what_it_made_is_no_link_to_other_files(
    fake: Fake, base: KernelSpec, cache: Cache, name: str, tmp_path: Path
) -> None:
    (tmp_path / "id_rsa").write_text("CONFIG_A=y\n")
    end = f"\t@ln -sf {tmp_path}/id_rsa $(O)/{name}\n"
    spec = of_strangers(fake, base, Makefile=HERE + end)
    with pytest.raises(BuildError, match=f"{name}: the build did not make this file"):
        store.obtain(spec, cache=cache)
    assert hidden_folders(cache.kernels) == []


def test_a_release_that_is_none(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    spec = of_strangers(fake, base, Makefile=HERE.replace("echo 6.18.15", "printf '\\033[2J'"))
    with pytest.raises(BuildError, match=r"kernel\.release: states no release"):
        store.obtain(spec, cache=cache)


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        (".config", r"printf 'CONFIG_A=\377\n' >", r"\.config: is not UTF-8"),
        (".config", r"printf 'CONFIG_A=\033[2J\n' >", r"\.config: has control characters"),
        (".config", "truncate -s 11M", r"\.config: has more than 10 MB"),
        (".config", "truncate -s 9M", r"\.config: has control characters"),
        ("System.map", "echo zzz T machine_kexec >>", r"System\.map:2: is no line of a System.map"),
        ("System.map", "truncate -s 900M", r"System\.map: has more than 50 MB"),
        ("System.map", "truncate -s 40M", r"System\.map:2: is no line of a System.map"),
        ("arch/x86/boot/bzImage", "truncate -s 900M", "bzImage: has more than 200 MB"),
    ],
)
def test_what_it_made_is_what_it_is_called(
    fake: Fake, base: KernelSpec, cache: Cache, name: str, make: str, message: str
) -> None:
    spec = of_strangers(fake, base, Makefile=f"{HERE}\t@{make} $(O)/{name}\n")
    with pytest.raises(BuildError, match=f"^rfc: .*{message}"):
        store.obtain(spec, cache=cache)
    assert visible(cache.kernels) == []


def test_a_copy_that_the_disk_has_no_room_for(
    fake: Fake, base: KernelSpec, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = of_strangers(
        fake, base, Makefile=f"{HERE}\t@truncate -s 150M $(O)/arch/x86/boot/bzImage\n"
    )
    keep = build._keep

    def on_a_full_disk(spec: KernelSpec, tree: Path, folder: Path) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=155_000_000))
        keep(spec, tree, folder)

    monkeypatch.setattr(build, "_keep", on_a_full_disk)
    with pytest.raises(HarnessError, match=r"^rfc: building needs 167 MB in .* 155 MB are free"):
        store.obtain(spec, cache=cache)


def test_errors_are_fit_for_a_terminal(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    with pytest.raises(BuildError) as caught:
        store.obtain(running(fake, base, r"printf 'a.c: error: \033[2Jgone\n'; false"), cache=cache)
    assert str(caught.value) == "rfc: does not build: a.c: error: [2Jgone"


@pytest.mark.parametrize(
    ("command", "limits", "phrase"),
    [
        ("sleep 60", Limits(seconds=1), "more than 1 s"),
        (
            "for i in $(seq 200); do sleep 60 & done; wait",
            Limits(processes=50, seconds=60),
            "more than 50 processes",
        ),
        (
            "python3 -c 'x = bytearray(300_000_000); import time; time.sleep(60)'",
            Limits(memory_mb=200, seconds=60),
            "more than 200 MB of memory",
        ),
        (
            "dd if=/dev/zero of=build/big bs=900M count=1",
            Limits(process_mb=600),
            "more than 600 MB of memory for one process",
        ),
        (
            "dd if=/dev/zero of=build/big bs=1M count=20",
            Limits(file_mb=10),
            "a file of more than 10 MB",
        ),
        (
            "for i in 1 2 3; do dd if=/dev/zero of=build/$i bs=1M count=8; done",
            Limits(file_mb=10, disk_mb=20),
            "more than 20 MB on disk",
        ),
        (
            "cd build; for i in $(seq 60); do mkdir a; cd a; done",
            LIMITS,
            "folders nested more than 40 deep",
        ),
        ("yes", Limits(log_mb=2), "more than 2 MB of output"),
        ("head -c 9000000 /dev/zero", Limits(log_mb=2), "more than 2 MB of output"),
        ("true", Limits(spare_mb=10**9), f"all but {10**9} MB of the memory"),
        ("true", Limits(free_mb=10**9), f"all but {10**9} MB of the disk"),
    ],
)
def test_a_limit_ends_it(
    fake: Fake, base: KernelSpec, cache: Cache, command: str, limits: Limits, phrase: str
) -> None:
    with pytest.raises(BuildError) as caught:
        store.obtain(running(fake, base, command), cache=cache, how=How(limits=limits))
    expected = f"rfc: its build was stopped: it took {phrase}, the limit of the sandbox"
    assert str(caught.value) == expected
    assert [name for name in visible(cache.trees) if name.startswith("tree-")] == []
    assert hidden_folders(cache.kernels) == []


def test_what_it_leaves_running_has_ended(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    sleep = ["sleep", f"8{os.getpid()}.5"]
    detached = f"setsid -f {' '.join(sleep)} > /dev/null 2>&1 < /dev/null; ps ax"
    built = store.obtain(running(fake, base, detached), cache=cache)
    assert " ".join(sleep) in (built.image.parent / "build.log").read_text()
    assert sleep not in commands()


SCRIPT = """
import sys
from pathlib import Path
from dataclasses import replace
from khoci.config.kernels import load_kernels
from khoci.kernel import build, seccomp, store
from khoci.kernel.cache import Cache
spec = load_kernels(Path(sys.argv[1])).select("rfc")
store.obtain(replace(spec, untrusted=True), cache=Cache(Path(sys.argv[2])))
"""


def test_it_ends_when_khoci_is_killed(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    sleep = ["sleep", f"7{os.getpid()}.5"]
    toml = write_toml(fake, running(fake, base, " ".join(sleep)))
    toml.write_text(toml.read_text().replace("../rfc.config", "../v6.18.15.config"))
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(toml), str(cache.root)])
    wait_for(lambda: sleep in commands())
    process.kill()
    process.wait()
    wait_for(lambda: sleep not in commands())


def commands() -> list[list[str]]:
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line.split() for line in listed.stdout.splitlines()]


def test_a_shell_is_inside_too(
    fake: Fake, base: KernelSpec, cache: Cache, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = of_strangers(fake, base, **{"a.c": "int rfc;\n"})
    with store.configured(spec, cache=cache) as make:
        assert make.call(["sh", "-c", "touch build/x; touch a.c; cat a.c; echo $HOME"]) == 0
    said = capfd.readouterr()
    assert said.out == "int rfc;\n/nonexistent\n"
    assert "a.c': Read-only file system" in said.err


def test_configuration_is_inside_too(fake: Fake, base: KernelSpec, cache: Cache) -> None:
    evil = HERE.replace("allnoconfig:\n", "allnoconfig:\n\t@touch /error: || false\n")
    spec = of_strangers(fake, base, Makefile=evil)
    message = r"^rfc: make allnoconfig failed"
    with pytest.raises(BuildError, match=message) as built:
        store.obtain(spec, cache=cache)
    with pytest.raises(BuildError, match=message) as shown, store.configured(spec, cache=cache):
        pass
    for caught in (built, shown):
        assert "touch: cannot touch '/error:': Read-only file system" in caught.value.detail


def test_without_bubblewrap_it_is_not_built(
    fake: Fake, base: KernelSpec, cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_bubblewrap(tmp_path, monkeypatch)
    with pytest.raises(HarnessError) as caught:
        store.obtain(of_strangers(fake, base, **{"a.c": "int rfc;\n"}), cache=cache)
    assert str(caught.value) == (
        "rfc: has patches of strangers, which are built in a sandbox only: bubblewrap is not "
        "installed: run khoci doctor --install; khoci kernel build --no-sandbox builds it without "
        "one: its makefiles then run with all your rights"
    )
    assert not cache.trees.exists()


def test_where_bubblewrap_may_not_make_namespaces(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    nested = "from khoci.kernel.sandbox import Sandbox; Sandbox('rfc').require()"
    inside = ["bwrap", "--unshare-user", "--disable-userns", "--dev-bind", "/", "/"]
    result = subprocess.run(
        [*inside, sys.executable, "-c", nested], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert "rfc: has patches of strangers" in last
    assert "bubblewrap does not work here: bwrap: " in last


def test_a_sandbox_that_cannot_be_set_up_is_no_failure_of_the_kernel(tmp_path: Path) -> None:
    (tmp_path / OBJECTS).mkdir()
    log = tmp_path / "build.log"
    log.write_text("a line of before\n")
    make = Make(tmp_path, log, "x86", 1, Sandbox("rfc", place=Path("/proc/none")))
    with pytest.raises(HarnessError) as caught:
        make.run("all")
    assert type(caught.value) is HarnessError
    said = "bubblewrap does not work here: bwrap: Can't mkdir /proc/none: No such file"
    assert said in str(caught.value)
    assert str(caught.value).startswith("rfc: ")


def test_a_cache_in_shared_memory(fake: Fake, base: KernelSpec) -> None:
    spec = of_strangers(fake, base, **{"a.c": "int rfc;\n"})
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        assert b"int rfc;" in store.obtain(spec, cache=Cache(Path(folder))).image.read_bytes()


NUMBERS = json.dumps(dict(seccomp._MACHINES[os.uname().machine].denied))


def test_system_calls_that_are_denied(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / OBJECTS).mkdir()
    (tmp_path / "calls.py").write_text(
        "import ctypes, errno\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"for name, number in {NUMBERS}.items():\n"
        "    ctypes.set_errno(0)\n"
        "    code = libc.syscall(number, None, None, None, None, None)\n"
        "    print(name, code, errno.errorcode.get(ctypes.get_errno()))\n"
    )
    make = Make(tmp_path, tmp_path / "log", "x86", 1, Sandbox("rfc"))
    assert make.call(["python3", "calls.py"]) == 0
    expected = [f"{name} -1 EPERM" for name in json.loads(NUMBERS)]
    assert capfd.readouterr().out.splitlines() == expected


def test_keys_of_the_user_cannot_be_had(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    numbers = json.loads(NUMBERS)
    libc = ctypes.CDLL(None, use_errno=True)
    name = f"khoci-{os.getpid()}".encode()
    key = libc.syscall(numbers["add_key"], b"user", name, b"secret", 6, -3)
    if key < 0:
        pytest.skip("the kernel keeps no keys here")
    (tmp_path / OBJECTS).mkdir()
    (tmp_path / "ask.py").write_text(
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        f"print(libc.syscall({numbers['request_key']}, b'user', {name!r}, None, 0))\n"
    )
    try:
        assert f"{name.decode()}: 6" in Path("/proc/keys").read_text()
        make = Make(tmp_path, tmp_path / "log", "x86", 1, Sandbox("rfc"))
        assert make.call(["sh", "-c", "python3 ask.py; cat /proc/keys /proc/key-users"]) == 1
        said = capfd.readouterr()
        assert said.out.split() == ["-1"]
        assert said.err.count("Permission denied") == 2
    finally:
        libc.syscall(numbers["keyctl"], 3, key)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "riscv64"])
def test_what_the_filter_says(machine: str) -> None:
    content = seccomp.program(machine)
    if machine == "riscv64":
        assert content == b""
        return
    known = seccomp._MACHINES[machine]
    for number in known.denied.values():
        assert filtered(content, known.audit, number) == seccomp._DENY
    for number in (0, 1, 59, 221, 424, 426, 999):
        assert filtered(content, known.audit, number) == seccomp._ALLOW
    assert filtered(content, known.audit, 0x40000000) == seccomp._DENY
    assert filtered(content, 0x40000003, 1) == seccomp._DENY


def filtered(content: bytes, audit: int, number: int) -> int:
    """What a filter of seccomp answers, by the rules of its machine."""
    rows = list(struct.iter_unpack("=HBBI", content))
    at, value = 0, 0
    while True:
        code, then, otherwise, operand = rows[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            value = {0: number, 4: audit}[operand]
        else:
            at += then if (value == operand if code == 0x15 else value >= operand) else otherwise


def test_a_compiler_that_the_sandbox_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "gcc"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(HarnessError, match=f"programs of the system only, not {mine}"):
        Sandbox("rfc").require()


def test_the_environment_is_made_anew() -> None:
    outer = {
        "PATH": "/home/me/bin:/usr/bin:/bin",
        "TERM": "xterm",
        "SECRET": "x",
        "HOME": "/home/me",
    }
    assert seen(outer) == {
        "PATH": "/usr/bin:/bin",
        "HOME": "/nonexistent",
        "TERM": "xterm",
        "LC_ALL": "C",
        "CCACHE_DISABLE": "1",
    }


def without_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for path in reversed([Path(folder) for folder in os.environ["PATH"].split(":")]):
        for tool in path.glob("*"):
            (tools / tool.name).unlink(missing_ok=True)
            (tools / tool.name).symlink_to(tool)
    (tools / "bwrap").unlink()
    monkeypatch.setenv("PATH", str(tools))


@pytest.mark.parametrize("way", ["--no-sandbox", "KHOCI_NO_SANDBOX"])
def test_a_user_who_trusts_it_says_so(
    fake: Fake,
    base: KernelSpec,
    cache: Cache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    toml = write_toml(fake, of_strangers(fake, base, **{"a.c": "int rfc;\n"}))
    text = toml.read_text().replace("../rfc.config", "../v6.18.15.config")
    toml.write_text(f"{text}untrusted = true\n")
    monkeypatch.setenv("KHOCI_CACHE", str(cache.root))
    without_bubblewrap(tmp_path, monkeypatch)
    build = ["--file", str(toml), "build", "rfc"]
    refused = CliRunner().invoke(kernel, build)
    assert "--no-sandbox builds it without one" in str(refused.exception)
    assert not cache.trees.exists()
    if way.startswith("--"):
        built = CliRunner().invoke(kernel, [*build, way])
    else:
        built = CliRunner().invoke(kernel, build, env={way: "1"})
    assert built.exit_code == 0
    assert "rfc  6.18.15" in built.output
    assert CliRunner().invoke(kernel, build).exit_code == 0


def test_within_limits() -> None:
    usage = Usage(seconds=3600, processes=2000, memory_mb=8000, disk_mb=6000, depth=40)
    assert exceeded(usage, LIMITS) is None
    assert exceeded(replace(usage, processes=2001), LIMITS) == "more than 2000 processes"
    assert denied(["  CC      a.o\n", "a.c:1:1: error: so\n"], LIMITS) is None
