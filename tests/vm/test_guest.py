from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from khoci.errors import HarnessError
from khoci.vm.guest import End, Guest, GuestEndedError, resume_guest, start_guest
from khoci.vm.machine import Accelerator, Machine
from tests.vm import tiny

MARK = tiny.LOADED + 0x9000
HASTY = Accelerator("tcg", "max", 1.0)


def children() -> set[int]:
    """Processes below this one, zombies too."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True)
def nothing_left(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    before = children(), descriptors()
    yield
    gc.collect()
    assert (children(), descriptors()) == before
    assert capfd.readouterr().err == ""


def with_guest(
    machine: Machine, work: Callable[[Guest], Awaitable[None]], log: Path | None = None
) -> None:
    async def run() -> None:
        async with start_guest(machine, log or machine.kernel.with_name("qemu.log")) as guest:
            await work(guest)

    asyncio.run(asyncio.wait_for(run(), 30))


def ended(machine: Machine) -> tuple[End, str]:
    """How the guest ends when it is let go, and its console."""
    found = []

    async def work(guest: Guest) -> None:
        await guest.run()
        with pytest.raises(GuestEndedError) as caught:
            await guest.next_line()
        assert guest.ended == caught.value.ended
        found.append((caught.value.ended.how, guest.console.decode()))

    with_guest(machine, work)
    return found[0]


@pytest.mark.parametrize(
    ("code", "how"),
    [
        (tiny.RESET, End.RESET),
        (tiny.POWEROFF, End.POWEROFF),
        (tiny.HALT, End.HALTED),
    ],
    ids=["reset", "poweroff", "halt"],
)
def test_every_end_is_told_at_once(tmp_path: Path, code: bytes, how: End) -> None:
    began = time.monotonic()
    assert ended(tiny.machine(tmp_path, tiny.say("last words") + code)) == (how, "last words")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("code", [tiny.SPIN, tiny.SLEEP], ids=["spin", "sleep"])
def test_a_guest_that_says_nothing_more_hangs(tmp_path: Path, code: bytes) -> None:
    how, console = ended(tiny.machine(tmp_path, tiny.say("on") + code, HASTY))
    assert (how, console) == (End.SILENT, "on")


def test_lines_of_the_agent_both_ways(tmp_path: Path) -> None:
    async def work(guest: Guest) -> None:
        await guest.run()
        assert await guest.next_line() == "one"
        assert await guest.next_line() == "two"
        await guest.send_line('{"cmd": "x"}')
        assert await guest.next_line() == '{"cmd": "x"}'
        assert guest.console == b""

    code = tiny.say("one\r\ntwo\n", tiny.AGENT) + tiny.ECHO_LINE + tiny.SPIN
    with_guest(tiny.machine(tmp_path, code), work)


def test_no_byte_of_the_console_is_lost_when_nobody_reads_for_a_while(tmp_path: Path) -> None:
    async def work(guest: Guest) -> None:
        await guest.run()
        await asyncio.sleep(0)
        time.sleep(1.5)  # that is the case: nothing else runs meanwhile
        with pytest.raises(GuestEndedError):
            await guest.next_line()
        assert len(guest.console) == 30_003
        assert guest.console.endswith(b"end")

    code = tiny.flood("x", 30_000) + tiny.say("end") + tiny.RESET
    with_guest(tiny.machine(tmp_path, code), work)


def test_a_parked_guest_runs_on_as_often_as_one_likes(tmp_path: Path) -> None:
    code = tiny.say("one") + tiny.store(MARK, 0x41) + tiny.say("go\n", tiny.AGENT) + tiny.ECHO_LINE
    code += tiny.say_byte_at(MARK) + tiny.RESET
    machine, log = tiny.machine(tmp_path, code), tmp_path / "qemu.log"
    consoles = []

    async def on(guest: Guest, word: str) -> None:
        assert guest.console == b"one"
        await guest.run()
        await guest.send_line(word)
        assert await guest.next_line() == word
        with pytest.raises(GuestEndedError):
            await guest.next_line()
        consoles.append(bytes(guest.console))

    async def run() -> None:
        async with start_guest(machine, log) as guest:
            await guest.run()
            assert await guest.next_line() == "go"
            parked = await guest.park()
        try:
            async with resume_guest(parked, log) as first, resume_guest(parked, log) as second:
                second.ram.write(MARK, b"B")
                await on(first, "first")
                await on(second, "second")
            async with resume_guest(parked, log) as third:
                await on(third, "third")
        finally:
            parked.close()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert consoles == [b"oneA", b"oneB", b"oneA"]


def test_a_guest_that_is_gone_cannot_be_parked(tmp_path: Path) -> None:
    async def work(guest: Guest) -> None:
        assert guest._process is not None
        guest._process.kill()
        with pytest.raises(HarnessError, match="a guest cannot be parked: "):
            await guest.park()

    with_guest(tiny.machine(tmp_path, tiny.SPIN), work)


def test_devices_that_qemu_does_not_take_back(tmp_path: Path) -> None:
    machine, log = tiny.machine(tmp_path, tiny.SPIN), tmp_path / "qemu.log"

    async def run() -> None:
        async with start_guest(machine, log) as guest:
            await guest.run()
            parked = await guest.park()
        try:
            os.ftruncate(parked.devices, 5000)
            with pytest.raises(HarnessError, match="QEMU did not start: "):
                async with resume_guest(parked, log):
                    pass
        finally:
            parked.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_the_breakpoint_splits_the_console_and_memory_can_be_seen_and_changed(
    tmp_path: Path,
) -> None:
    first = tiny.say("producer") + tiny.store(MARK, 0x5A)
    second = tiny.say_byte_at(MARK) + tiny.say(" consumer") + tiny.RESET
    jump = tiny.LOADED + tiny.CODE + len(first)

    async def work(guest: Guest) -> None:
        await guest.break_at(jump)
        await guest.run()
        await guest.wait_for_break()
        assert guest.console == b"producer"
        assert guest.ram.read(MARK, 1) == b"\x5a"
        guest.ram.write(MARK, b"!")
        assert f"EIP={jump - tiny.LOADED - 0x200:08x}" in await guest.registers()
        await guest.clear_break(jump)
        await guest.run()
        with pytest.raises(GuestEndedError):
            await guest.next_line()
        assert guest.console == b"producer! consumer"

    with_guest(tiny.machine(tmp_path, first + second), work)


def test_a_guest_that_ends_before_the_breakpoint(tmp_path: Path) -> None:
    async def work(guest: Guest) -> None:
        await guest.break_at(tiny.LOADED)
        await guest.run()
        with pytest.raises(GuestEndedError, match="reset"):
            await guest.wait_for_break()

    with_guest(tiny.machine(tmp_path, tiny.RESET), work)


def test_qemu_that_does_not_start_is_one_line(tmp_path: Path) -> None:
    machine = tiny.machine(tmp_path, tiny.HALT)
    machine.kernel.unlink()
    with pytest.raises(HarnessError, match=r"QEMU did not start: .*image") as caught:
        with_guest(machine, lambda guest: guest.run())
    assert "\n" not in str(caught.value)


def test_qemu_that_is_missing_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HarnessError, match="is not installed: run 'khoci doctor"):
        with_guest(tiny.machine(tmp_path, tiny.HALT), lambda guest: guest.run())


def test_qemu_that_is_killed_is_no_verdict_on_the_guest(tmp_path: Path) -> None:
    before = children()

    async def work(guest: Guest) -> None:
        await guest.run()
        (qemu,) = children() - before
        os.kill(qemu, signal.SIGKILL)
        await guest.next_line()

    with pytest.raises(HarnessError, match=r"^QEMU ended with status -9: it said nothing$"):
        with_guest(tiny.machine(tmp_path, tiny.SPIN), work)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_ends_the_guest(tmp_path: Path, error: type[BaseException]) -> None:
    async def work(guest: Guest) -> None:
        await guest.run()
        raise error

    with pytest.raises(error):
        with_guest(tiny.machine(tmp_path, tiny.SPIN), work)


SCRIPT = """
import asyncio, sys
from pathlib import Path
from khoci.vm.guest import start_guest
from tests.vm import tiny

async def run(folder):
    async with start_guest(tiny.machine(folder, tiny.SPIN), folder / "log") as guest:
        await guest.run()
        print(guest._process.pid, flush=True)
        await asyncio.sleep(1000)

asyncio.run(run(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_guest_dies_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        qemu = Path("/proc") / parent.stdout.readline().strip()
        assert "qemu" in (qemu / "cmdline").read_text()
        parent.send_signal(number)
    for _ in range(100):
        if not qemu.is_dir() or " Z " in (qemu / "stat").read_text():
            break
        time.sleep(0.05)
    else:
        pytest.fail("QEMU is still there")
