"""The table: for each component its rules, of which the first that holds decides.

Each row reads: it is this, when that. ``restored`` needs proof of content: of memory that nobody
may touch, digests from outside; of what user space retrieves, what it compared; of ``kho_test``,
the kernel's own checksum, of a list that is the producer's. Where two proofs contradict each other
the worse one stands first.
"""

from __future__ import annotations

from collections.abc import Mapping

from khoci.compat.verdict.case import Rule
from khoci.compat.verdict.conditions import (
    always,
    both,
    checked,
    complaint,
    died,
    either,
    elsewhere,
    found_and_died,
    in_place,
    luo_unread,
    miscounted,
    misread,
    no_sessions,
    no_test,
    other_number,
    other_release,
    other_scratch,
    producer_named,
    root_refused,
    root_taken,
    root_unmentioned,
    same_scratch,
    says,
    scratch_unknown,
    silent,
    test_silent,
    undecoded,
    unsealed,
)
from khoci.compat.verdict.content import (
    changed,
    damaged,
    intact,
    own,
    preserved,
    test_blob,
    unchecked,
    untouched,
)
from khoci.scenario.base import Outcome
from khoci.verdicts import Verdict

Rules = tuple[Rule, ...]

_DIES: Rules = tuple(
    Rule(verdict, died(verdict)) for verdict in (Verdict.PANIC, Verdict.HANG, Verdict.RESET)
)
_NOT_TAKEN: Rules = (
    Rule(Verdict.REFUSED, root_refused),
    Rule(Verdict.DROPPED, root_unmentioned),
)
"""Where the root is not taken, nothing that hangs on it is."""

_ROOT: Rules = (
    Rule(Verdict.REFUSED, says("refused")),
    Rule(Verdict.ACCEPTED, found_and_died),
    *_DIES,
    Rule(Verdict.DROPPED, root_unmentioned),
    Rule(Verdict.CORRUPT, both(root_taken, damaged(own))),
    Rule(Verdict.RESTORED, both(root_taken, intact(own, "root FDT"))),
    Rule(Verdict.ACCEPTED, both(root_taken, unchecked("root FDT"))),
)

_MEMORY_MAP: Rules = (
    *_DIES,
    *_NOT_TAKEN,
    Rule(Verdict.CORRUPT, says("failed")),
    Rule(Verdict.CORRUPT, complaint),
    Rule(Verdict.CORRUPT, both(misread, damaged(preserved))),
    Rule(Verdict.CORRUPT, misread),
    Rule(Verdict.CORRUPT, damaged(preserved)),
    Rule(Verdict.RESTORED, intact(preserved, "preserved memory")),
    Rule(Verdict.ACCEPTED, unchecked("preserved memory")),
)

_SCRATCH: Rules = (
    *_DIES,
    *_NOT_TAKEN,
    Rule(Verdict.ACCEPTED, scratch_unknown),
    Rule(Verdict.CORRUPT, other_scratch),
    Rule(Verdict.RESTORED, same_scratch),
)

_REVIVED = either(says("found"), in_place)

_RESERVE_MEM: Rules = (  # of each region
    *_DIES,
    *_NOT_TAKEN,
    Rule(Verdict.REFUSED, says("refused")),
    Rule(Verdict.CORRUPT, both(says("found"), elsewhere)),
    Rule(Verdict.CORRUPT, both(_REVIVED, damaged(own))),
    Rule(Verdict.RESTORED, both(_REVIVED, intact(own, "reserve_mem {}"))),
    Rule(Verdict.ACCEPTED, both(_REVIVED, unchecked("reserve_mem {}"))),
    Rule(Verdict.DROPPED, silent("found", "no line says that '{}' was revived")),
)

RESERVE_MEM_UNDECODED: Rules = (
    *_DIES,
    *_NOT_TAKEN,
    Rule(Verdict.REFUSED, says("refused")),
    Rule(Verdict.DROPPED, silent("found", "no line says that a region was revived")),
    Rule(Verdict.ACCEPTED, always("decode", "khoci could not decode which regions there are")),
)

_KHO_TEST: Rules = (
    *_NOT_TAKEN,
    Rule(Verdict.CORRUPT, both(says("restored"), damaged(test_blob))),
    Rule(Verdict.DROPPED, both(says("restored"), untouched)),
    Rule(Verdict.RESTORED, both(says("restored"), intact(test_blob, "its list"))),
    Rule(Verdict.RESTORED, says("restored")),
    *_DIES,
    Rule(Verdict.REFUSED, both(says("failed"), untouched)),
    Rule(Verdict.CORRUPT, says("failed")),
    Rule(Verdict.CORRUPT, both(test_silent, changed(own))),
    Rule(Verdict.DROPPED, test_silent),
    Rule(Verdict.CORRUPT, damaged(own)),
    Rule(Verdict.ACCEPTED, both(no_test, intact(own, "folios of the test"))),
    Rule(Verdict.ACCEPTED, unchecked("folios of the test")),
)

_LUO: Rules = (
    *_DIES,
    *_NOT_TAKEN,
    Rule(Verdict.REFUSED, says("refused")),
    Rule(Verdict.ABSENT, both(luo_unread, no_sessions)),
    Rule(Verdict.DROPPED, luo_unread),
    Rule(Verdict.CORRUPT, both(says("found"), damaged(own))),
    Rule(Verdict.DROPPED, both(says("found"), checked(Outcome.MISSING))),
    Rule(Verdict.REFUSED, both(says("found"), checked(Outcome.REFUSED))),
    Rule(Verdict.ACCEPTED, both(says("found"), undecoded)),
    Rule(Verdict.CORRUPT, other_number),
    Rule(Verdict.CORRUPT, both(says("found"), miscounted("luo_number"))),
    Rule(Verdict.RESTORED, says("found")),
    Rule(Verdict.CORRUPT, damaged(own)),
    Rule(Verdict.ACCEPTED, always("log", "no line tells which live update number was read")),
)

_INSIDE_LUO: Rules = (
    *_DIES,
    *_NOT_TAKEN,
    Rule(Verdict.CORRUPT, both(checked(Outcome.DIFFERENT), damaged(own))),
    Rule(Verdict.CORRUPT, checked(Outcome.DIFFERENT)),
    Rule(Verdict.CORRUPT, both(checked(Outcome.SAME), damaged(own))),
    Rule(Verdict.CORRUPT, unsealed),
    Rule(Verdict.CORRUPT, damaged(own)),
    Rule(Verdict.DROPPED, checked(Outcome.MISSING)),
    Rule(Verdict.REFUSED, checked(Outcome.REFUSED)),
    Rule(Verdict.RESTORED, both(checked(Outcome.SAME), intact(own, "its memory"))),
    Rule(Verdict.RESTORED, checked(Outcome.SAME)),
    Rule(Verdict.DROPPED, luo_unread),
    Rule(Verdict.ACCEPTED, always("guest", "nobody in the consumer asked for it")),
)

_METADATA: Rules = (
    *_NOT_TAKEN,
    Rule(Verdict.REFUSED, says("refused")),
    Rule(Verdict.ACCEPTED, both(says("found"), undecoded)),
    Rule(Verdict.CORRUPT, other_release),
    Rule(Verdict.CORRUPT, both(says("found"), miscounted("kexecs"))),
    Rule(Verdict.CORRUPT, both(says("found"), damaged(own))),
    Rule(Verdict.RESTORED, says("found")),
    *_DIES,
    Rule(Verdict.ACCEPTED, producer_named),
    Rule(Verdict.DROPPED, always("log", "no 'exec from' line")),
)

UNKNOWN: Rules = (
    *_DIES,
    *_NOT_TAKEN,
    Rule(Verdict.CORRUPT, damaged(own)),
    Rule(Verdict.ACCEPTED, always("decode", "khoci knows no rule for it")),
)
"""The rules of a component that has none."""

RULES: Mapping[str, Rules] = {
    "root": _ROOT,
    "memory map": _MEMORY_MAP,
    "scratch": _SCRATCH,
    "reserve_mem": _RESERVE_MEM,
    "kho_test": _KHO_TEST,
    "luo": _LUO,
    "session": _INSIDE_LUO,
    "memfd": _INSIDE_LUO,
    "flb": _INSIDE_LUO,
    "vmalloc": _INSIDE_LUO,
    "block": _INSIDE_LUO,
    "kexec-metadata": _METADATA,
}
