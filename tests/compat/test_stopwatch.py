from __future__ import annotations

from khoci.compat.facts import PhaseFact
from khoci.compat.stopwatch import Stopwatch


def test_a_phase_ends_where_the_next_begins() -> None:
    times = iter([10.0, 12.5, 13.0, 20.0, 21.0])
    watch = Stopwatch(lambda: next(times))
    for name in ("boot", "jump"):
        watch.begin(name)
    assert watch.take() == (PhaseFact("boot", 0.0, 2.5), PhaseFact("jump", 2.5, 0.5))
    watch.begin("early boot")
    assert watch.take() == (PhaseFact("early boot", 0.0, 1.0),)
    assert watch.take() == ()
