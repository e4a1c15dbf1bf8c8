from __future__ import annotations

import os
import time
from dataclasses import dataclass

import pytest

from khoci.vm.silence import SilenceClock, cpu_seconds

LIMIT = 10.0
PID = 1


@dataclass
class Times:
    """The time that passes, and the CPU time that the guest gets."""

    wall: float = 1000.0
    cpu: float = 50.0

    def go_on(self, wall: float, cpu: float) -> None:
        self.wall += wall
        self.cpu += cpu


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    times = Times()
    monkeypatch.setattr("khoci.vm.silence.time.monotonic", lambda: times.wall)
    monkeypatch.setattr("khoci.vm.silence.cpu_seconds", lambda _pid: times.cpu)
    return times


@pytest.fixture
def clock(times: Times) -> SilenceClock:
    clock = SilenceClock(LIMIT)
    assert not clock.expired(PID)
    return clock


@pytest.mark.parametrize(
    ("wall", "cpu", "hung"),
    [
        (9.0, 9.0, False),
        (11.0, 11.0, True),  # it spins
        (100.0, 9.9, True),  # it sleeps
        (100.0, 0.0, True),
        (9.0, 0.0, False),
        (40.0, 9.0, False),  # a busy host
        (149.0, 9.9, True),
        (60.0, 9.9, False),
    ],
)
def test_when_a_guest_hangs(
    clock: SilenceClock, times: Times, wall: float, cpu: float, hung: bool
) -> None:
    times.go_on(wall, cpu)
    assert clock.expired(PID) is hung


def test_a_sign_of_life_starts_anew(clock: SilenceClock, times: Times) -> None:
    for _ in range(20):
        times.go_on(9.0, 9.0)
        assert not clock.expired(PID)
        clock.reset()
    assert not clock.expired(PID)
    times.go_on(10.5, 10.5)
    assert clock.expired(PID)


@pytest.mark.parametrize("cpu", [0.0, 5.0, 9.9, 10.0])
def test_there_is_an_end_on_the_busiest_host(clock: SilenceClock, times: Times, cpu: float) -> None:
    times.go_on(LIMIT * 10 + 1, cpu)
    assert clock.expired(PID)


def test_cpu_time_from_before_the_silence_does_not_count(times: Times) -> None:
    clock = SilenceClock(LIMIT)
    times.go_on(5.0, 500.0)
    clock.reset()
    times.go_on(0.3, 0.3)
    assert clock.used(PID) == 0.0
    times.go_on(1.0, 1.0)
    assert clock.used(PID) == pytest.approx(1.0)


@pytest.mark.parametrize(("polls", "quiet"), [(0, False), (1, False), (3, True)])
def test_quiet_only_after_a_while(
    clock: SilenceClock, times: Times, polls: int, quiet: bool
) -> None:
    times.go_on(clock.poll * polls, 0.0)
    assert clock.quiet is quiet


def test_the_silence_in_words(clock: SilenceClock, times: Times) -> None:
    times.go_on(42.4, 11.2)
    assert clock.describe(PID) == "no sign of life for 42 s (11 s of CPU time)"


def test_cpu_time_of_a_real_process() -> None:
    before = cpu_seconds(os.getpid())
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert 0.05 < cpu_seconds(os.getpid()) - before < 5
    assert cpu_seconds(2**22 + 1) == 0.0
