from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from khoci.vm.available import available_memory

MIB = 1 << 20
Host = Callable[..., int | None]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """What is available on a machine with this much, and these cgroups."""

    def available(
        own: str, groups: Mapping[str, tuple[str, int, str]], kilobytes: int = 8 << 20
    ) -> int | None:
        proc, root = tmp_path / "proc", tmp_path / "cgroup"
        (proc / "self").mkdir(parents=True)
        (proc / "meminfo").write_text(
            f"MemTotal:  9999999 kB\nMemFree:  17 kB\nMemAvailable:  {kilobytes} kB\n"
        )
        (proc / "self/cgroup").write_text(own)
        first = own.startswith("0::")
        names = ("max", "current") if first else ("limit_in_bytes", "usage_in_bytes")
        for path, (limit, used, stat) in groups.items():
            folder = root / path
            folder.mkdir(parents=True, exist_ok=True)
            for name, value in zip(names, (limit, used), strict=True):
                (folder / f"memory.{name}").write_text(f"{value}\n")
            (folder / "memory.stat").write_text(stat)
        return available_memory(proc, root)

    return available


def test_this_machine_has_some() -> None:
    available = available_memory()
    assert available is not None
    assert available > 100 * MIB


def test_the_machine_alone(host: Host) -> None:
    assert host("0::/\n", {}) == 8 << 30


def test_a_group_with_a_limit(host: Host) -> None:
    groups = {"job": (str(900 * MIB), 100 * MIB, "anon 7\n")}
    assert host("0::/job\n", groups) == 800 * MIB


def test_a_group_without_a_limit_inside_one_with_it(host: Host) -> None:
    groups = {
        "job/step/task": ("max", 1, ""),
        "job/step": (str(700 * MIB), 0, ""),
        "job": (str(500 * MIB), 100 * MIB, ""),
    }
    assert host("0::/job/step/task\n", groups) == 400 * MIB


def test_cached_files_are_given_back_and_guest_ram_is_not(host: Host) -> None:
    stat = f"file {300 * MIB}\nshmem {90 * MIB}\nactive_file {10 * MIB}\ninactive_file {20 * MIB}\n"
    assert host("0::/job\n", {"job": (str(900 * MIB), 500 * MIB, stat)}) == 430 * MIB


def test_a_machine_with_less_than_the_group_may_use(host: Host) -> None:
    groups = {"job": (str(900 * MIB), 0, "")}
    assert host("0::/job\n", groups, kilobytes=1024) == MIB


def test_over_the_limit_is_nothing(host: Host) -> None:
    assert host("0::/job\n", {"job": ("5", 6, "")}) == 0


def test_a_container_that_sees_only_its_own_group(host: Host) -> None:
    groups = {"": (str(900 * MIB), 100 * MIB, "")}
    assert host("0::/docker/0123\n", groups) == 800 * MIB


def test_the_first_version_of_cgroups(host: Host) -> None:
    own = "9:name=systemd:/\n4:cpu,memory:/job\n0::/\n"
    stat = f"inactive_file 1\ntotal_inactive_file {20 * MIB}\ntotal_active_file {10 * MIB}\n"
    groups = {
        "memory/job": (str(900 * MIB), 500 * MIB, stat),
        "memory": (str((1 << 63) - 4096), 500 * MIB, stat),
    }
    assert host(own, groups) == 430 * MIB


def test_where_nobody_can_tell(tmp_path: Path) -> None:
    assert available_memory(tmp_path, tmp_path) is None
