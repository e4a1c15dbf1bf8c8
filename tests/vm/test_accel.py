from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from khoci.errors import HarnessError
from khoci.vm import accel
from khoci.vm.accel import qemu_version, working_accelerator
from khoci.vm.guest import Guest
from khoci.vm.machine import KVM, TCG, Accelerator
from tests.vm import tiny


def probe(monkeypatch: pytest.MonkeyPatch, folder: Path, code: bytes, device: bool) -> Accelerator:
    """Which accelerator works, where "KVM" is in truth an emulation too."""
    monkeypatch.setattr(accel, "KVM", Accelerator("tcg,thread=single", "max", 1.0))
    monkeypatch.setattr("os.access", lambda _path, _mode: device)
    greeted: list[str] = []

    async def up(guest: Guest) -> None:
        greeted.append(await guest.next_line())

    machine = tiny.machine(folder, code)
    return asyncio.run(working_accelerator(machine, up, folder))


def test_without_a_device_nothing_is_booted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda _path, _mode: False)
    assert probe(monkeypatch, tmp_path, tiny.SPIN, device=False) == TCG
    assert not (tmp_path / "accelerator.json").exists()


def test_a_guest_that_comes_up_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = probe(monkeypatch, tmp_path, tiny.say("up\n", tiny.AGENT) + tiny.SPIN, device=True)
    assert found.name == "tcg,thread=single"
    (host,) = json.loads((tmp_path / "accelerator.json").read_text())
    assert "QEMU emulator version" in host


@pytest.mark.parametrize("code", [tiny.RESET, tiny.SPIN], ids=["reset", "spin"])
def test_a_guest_that_does_not_come_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: bytes
) -> None:
    assert probe(monkeypatch, tmp_path, code, device=True) == TCG


def test_what_is_remembered_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = accel._host("x86_64")
    monkeypatch.setattr("os.access", lambda _path, _mode: True)

    async def never(_guest: Guest) -> None:
        pytest.fail("a guest was booted")

    machine = tiny.machine(tmp_path, tiny.SPIN)
    for name, wanted in (("kvm", KVM), ("tcg", TCG)):
        (tmp_path / "accelerator.json").write_text(json.dumps({host: name, "other": "kvm"}))
        assert asyncio.run(working_accelerator(machine, never, tmp_path)) == wanted


@pytest.mark.parametrize("content", ["", "[]", "{", '"x"', "\xff"])
def test_a_broken_memory_is_forgotten(tmp_path: Path, content: str) -> None:
    (tmp_path / "m").write_bytes(content.encode("latin-1"))
    assert accel._remembered(tmp_path / "m") == {}


def test_qemu_version() -> None:
    assert qemu_version("x86_64").startswith("QEMU emulator version ")


def test_a_qemu_that_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "qemu-system-x86_64"
    broken.write_text("#!/bin/sh\necho no libfoo >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(HarnessError, match="does not run: no libfoo"):
        qemu_version("x86_64")
