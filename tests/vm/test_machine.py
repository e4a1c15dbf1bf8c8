from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from khoci.vm.machine import (
    ACCELERATORS,
    KVM,
    TCG,
    Channels,
    Machine,
    bare_command,
    driven_command,
    interactive_command,
    shell_line,
)

MACHINE = Machine(
    kernel=Path("/k/bzImage"),
    initrd=Path("/k/a b.cpio"),
    cmdline="kho=on kho_scratch=16M,256M,128M",
    memory=1 << 30,
    cpus=2,
    accelerator=TCG,
)
CHANNELS = Channels(console=10, agent=11, qmp=12, gdb=13, ram=14)
ALL = [driven_command(MACHINE, CHANNELS), bare_command(MACHINE), interactive_command(MACHINE, 5)]


def option(command: list[str], name: str) -> list[str]:
    return [command[at + 1] for at, word in enumerate(command) if word == name]


@pytest.mark.parametrize("command", ALL, ids=["driven", "bare", "interactive"])
def test_the_guest_is_the_same_however_it_is_started(command: list[str]) -> None:
    assert command[0] == "qemu-system-x86_64"
    assert option(command, "-kernel") == ["/k/bzImage"]
    assert option(command, "-initrd") == ["/k/a b.cpio"]
    assert option(command, "-append") == ["kho=on kho_scratch=16M,256M,128M"]
    assert option(command, "-m") == ["1024M"]
    assert option(command, "-smp") == ["2"]
    assert (option(command, "-accel"), option(command, "-cpu")) == (["tcg,tb-size=64"], ["max"])
    assert "max-ram-below-4g=0x80000000" in option(command, "-machine")[0]
    assert f"size={1 << 30},share=on" in option(command, "-object")[0]
    assert len(option(command, "-serial")) == 2


@pytest.mark.parametrize("command", ALL, ids=["driven", "bare", "interactive"])
def test_no_device_that_was_not_asked_for(command: list[str]) -> None:
    assert {"-nodefaults", "-no-user-config"} <= set(command)
    assert not any("net" in word or word in ("-nic", "-device") for word in command)


def test_khoci_holds_every_channel() -> None:
    command = driven_command(MACHINE, CHANNELS)
    assert option(command, "-chardev") == [
        "file,id=console,path=/proc/self/fd/10",
        "socket,id=agent,fd=11",
        "socket,id=qmp,fd=12",
        "socket,id=gdb,fd=13",
    ]
    assert option(command, "-serial") == ["chardev:console", "chardev:agent"]
    assert option(command, "-gdb") == ["chardev:gdb"]
    assert "mem-path=/proc/self/fd/14" in option(command, "-object")[0]
    assert command[-1] == "-S"


def test_a_person_gets_a_terminal() -> None:
    for command in ALL[1:]:
        assert option(command, "-serial")[0] == "mon:stdio"
        assert "-S" not in command
        assert not any("fd=1" in word for word in command)
    assert option(ALL[2], "-chardev") == ["socket,id=agent,fd=5"]


def test_one_line_for_a_shell() -> None:
    line = shell_line(ALL[1])
    assert "\n" not in line
    assert shlex.split(line) == ALL[1]


def test_accelerators_by_name() -> None:
    assert ACCELERATORS == {"tcg": TCG, "kvm": KVM}
