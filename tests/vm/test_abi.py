"""The ABI of real kernels: what is kept, the test series, and what kbuild compiles.

The structs are compared with those in the very objects that are linked into the kernel: the files
that use them, compiled by kbuild in that kernel's configuration with ``KCFLAGS=-g``. Debug
information changes no layout, so these are those of the image that boots.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from khoci.abi.compare import compare
from khoci.abi.dwarf import layouts_in
from khoci.abi.findings import Judgement, worst
from khoci.abi.model import Layout, load
from khoci.cli import cli
from khoci.config.kernels import known_kernels, load_kernels
from khoci.kernel.abis import shipped
from khoci.kernel.cache import Artifact
from khoci.kernel.extract import abi_of
from khoci.kernel.store import configured
from khoci.paths import data_dir

pytestmark = [pytest.mark.timeout(3000)]

THREADS = Path("tests/series/threads")
POINTS = Path("tests/abi/points.toml")
IN_CI = ("v7.3.4",)
OTHERS = ("v6.16.12", "v6.17.13", "v6.18.15", "v6.19.14", "v7.0.13", "v7.1.13", "v7.2.12")

EACH = [
    *(pytest.param(name, marks=pytest.mark.vm) for name in IN_CI),
    *(pytest.param(name, marks=pytest.mark.releases) for name in OTHERS),
]

USERS = (
    "kernel/kexec_handover.c",
    *(f"kernel/liveupdate/{name}.c" for name in ("kexec_handover", "kho_block", "luo_core")),
    *(f"kernel/liveupdate/{name}.c" for name in ("luo_file", "luo_session", "luo_flb")),
    *("mm/memfd_luo.c", "arch/x86/kernel/kexec-bzimage64.c"),
)
"""The files in which the structs are, of which each kernel has some."""


def khoci(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    return done.exit_code, done.stdout


@pytest.mark.parametrize("name", EACH)
def test_what_is_kept_is_what_the_sources_say(name: str) -> None:
    kept = shipped(name)
    assert kept is not None
    found = abi_of(known_kernels().select(name))
    assert compare(kept, found) == compare(found, kept) == ()
    assert (found.parts, found.needs, found.writes) == (kept.parts, kept.needs, kept.writes)


@pytest.mark.parametrize("name", EACH)
def test_layouts_are_those_that_kbuild_compiles(name: str) -> None:
    kept = load(data_dir("matrix") / "abi" / f"{name}.json")
    structs = {each: part.at(12) for each, part in kept.structs.items()}
    found: dict[str, Layout] = {}
    with configured(known_kernels().select(name)) as make:
        objects = [f"{file[:-2]}.o" for file in USERS if (make.tree / file).is_file()]
        assert make.run("KCFLAGS=-g", *objects) == 0, make.log.read_text()[-2000:]
        for each in objects:
            with (make.objects / each).open("rb") as file:
                found |= layouts_in(file, frozenset(structs), each)
    assert found == structs


@pytest.mark.vm
def test_the_series_without_the_bump_and_with_it() -> None:
    code, told = khoci("abi", "check", "--series", str(THREADS / "leaf-silent.mbox"))
    lines = [line.strip() for line in told.splitlines()]
    assert code == 1
    assert lines[0] == "kho: smaller leaves, on v7.3.4: silent break"
    assert [line.rpartition(": ")[2] for line in lines[1:4]] == ["same", "silent break", "same"]
    code, told = khoci("abi", "check", "--series", str(THREADS / "leaf-bumped.mbox"))
    assert code == 0
    assert told.startswith("kho: half-page leaves, on v7.3.4: declared break\n")


@pytest.mark.vm
def test_comments_of_7_3_name_another_version() -> None:
    code, told = khoci("abi", "lint", "v7.3.4")
    assert code == 1
    assert "says kho-v3, the code has kho-v4" in told


@pytest.mark.releases
@pytest.mark.parametrize(("other", "name"), [("v6.18.9", "v6.18.15"), ("v7.2.13", "v7.2.12")])
def test_no_false_alarm_between_point_releases(other: str, name: str) -> None:
    kept = shipped(name)
    assert kept is not None
    found = abi_of(load_kernels(POINTS).select(other))
    assert worst(compare(kept, found)) is worst(compare(found, kept)) is Judgement.SAME


@pytest.mark.vm
def test_an_image_of_a_kernel_that_was_built(kernels: dict[str, Artifact]) -> None:
    image = str(kernels["7.3"].image)
    code, told = khoci("compat", image, "7.2")
    assert code == 0
    assert "layouts are those of v7.3.4" in told
    assert khoci("compat", image, str(kernels["6.18"].image))[0] == 1
