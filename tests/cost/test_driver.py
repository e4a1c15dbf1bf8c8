from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from khoci.config.kernels import KernelSpec, load_kernels
from khoci.cost.driver import STAMPS_SIZE, stamps, with_driver
from khoci.errors import UsageError
from khoci.paths import data_dir


def select(name: str) -> KernelSpec:
    return load_kernels(data_dir("matrix") / "kernels.toml").select(name)


def test_a_kernel_with_the_driver_is_another_one() -> None:
    plain = select("7.3")
    found = with_driver(plain)
    assert found.name == "v7.3.4+cost"
    assert found.patches[:-1] == plain.patches
    assert found.patches[-1].name == "driver.patch"
    assert replace(found, name=plain.name, patches=plain.patches) == plain


def test_an_image_cannot_have_it() -> None:
    with pytest.raises(UsageError, match=r"debian-7\.3-cloud: is a ready image: the driver cannot"):
        with_driver(select("debian-7.3-cloud"))


def test_stamps() -> None:
    page = struct.pack("<QQ", 1234, 5678)
    assert len(page) == STAMPS_SIZE
    assert stamps(page) == {"called": 1234, "notified": 5678}


def test_the_patch_says_as_many_lines_as_it_has() -> None:
    text = (data_dir("matrix") / Path("cost/driver.patch")).read_text()
    body = text.partition("@@ -0,0 +1,")[2]
    count, _, lines = body.partition(" @@\n")
    assert len([line for line in lines.splitlines() if line.startswith("+")]) == int(count)
