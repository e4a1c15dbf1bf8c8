from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from khoci.kernel import store
from khoci.kernel.build import How
from khoci.kernel.waiting import all_cores
from khoci.progress import NoProgress

if TYPE_CHECKING:
    from pathlib import Path

    from khoci.kernel.cache import Cache
    from tests.kernel.conftest import Fake


class Impatient(NoProgress):
    """Gives up where it would wait, and keeps why."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self, task: str, total: float | None = None) -> None:
        if "waiting" in task:
            self.said.append(task)
            raise KeyboardInterrupt


def test_two_that_would_use_all_cores_build_one_after_the_other(fake: Fake, cache: Cache) -> None:
    kernel, waits = fake.kernel(), Impatient()
    with all_cores(cache.kernels, "other", NoProgress()), pytest.raises(KeyboardInterrupt):
        store.obtain(kernel, waits, cache=cache)
    assert waits.said == ["v6.18.15: waiting for another khoci that builds with the same cores"]
    assert fake.runs == 0
    store.obtain(kernel, waits, cache=cache)
    assert fake.runs == 1


def test_who_is_given_jobs_shares_the_cores(fake: Fake, cache: Cache) -> None:
    with all_cores(cache.kernels, "other", NoProgress()):
        store.obtain(fake.kernel(), Impatient(), cache=cache, how=How(jobs=1))
    assert fake.runs == 1


def test_other_cores_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with all_cores(tmp_path, "one", NoProgress()):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1000, 1001})
        with all_cores(tmp_path, "two", Impatient()):
            pass
