"""Scenarios whose state is in live update sessions, all alike but for what is in them.

What a real VMM does: it holds its session open, preserves files under tokens, and after the jump
retrieves session and files by name and token, compares, and finishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from khoci.scenario.base import Scenario
from khoci.scenario.preserving import again, preserve
from khoci.scenario.retrieving import release, verify
from khoci.scenario.sessions import Session


def scenario(
    name: str,
    summary: str,
    wanted: Sequence[Session],
    *,
    needs: tuple[str, ...] = (),
    components: tuple[str, ...] = (),
) -> Scenario:
    """The scenario of these sessions.

    Args:
        name: of the scenario.
        summary: one line for people.
        wanted: the sessions, and the files in them.
        needs: kconfig symbols besides those of live update.
        components: that it is about besides sessions and files.
    """
    return Scenario(
        name=name,
        summary=summary,
        component="session",
        components=("session", "memfd", *components),
        needs=("KEXEC_HANDOVER", "LIVEUPDATE", *needs),
        cmdline="initcall_blacklist=kho_test_init",
        joint=True,
        preserve=partial(preserve, wanted=wanted),
        verify=verify,
        release=release,
        again=again,
    )
