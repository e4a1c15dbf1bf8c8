from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.compat.facts import ConsumerFacts, Facts, Handed, PageCounts, RegionFact
from khoci.compat.memory import Fate, fates, memory_of
from khoci.scenario.base import Checked, Outcome

PAGE = 4096
USED = PageCounts(4, 0, used=4)
FREE = PageCounts(4, 4)
HALF = PageCounts(4, 2, used=2)
NOBODY = PageCounts(4, 0, reserved=1, plain=3)
READ = "test_kho: KHO restore succeeded"
RETRIEVED = "luo: Retrieved live update data, liveupdate number: 1"
ASKED = (Checked("session", "session 'vm'", Outcome.SAME),)


def region(
    owner: str = "reserve_mem data",
    arrived: str | None = "aa",
    pages: PageCounts | None = USED,
    after: str | None = "aa",
    left: PageCounts | None = USED,
) -> RegionFact:
    return RegionFact(owner, 0x10_0000, 4 * PAGE, "aa", arrived, pages, after, left)


def facts(
    *regions: RegionFact, log: str = "", checked: tuple[Checked, ...] = (), luo: str = "luo-v5"
) -> Facts:
    handed = Handed("kho-v4", "radix", (), 1, PAGE, versions={"luo": luo})
    consumer = ConsumerFacts("7.3.4", kho=True, checked=checked)
    return Facts("memfd", handed, log, consumer=consumer, regions=regions)


def fate(found: RegionFact, log: str = "", checked: tuple[Checked, ...] = ()) -> Fate:
    return fates(facts(found, log=log, checked=checked))[found.owner]


@pytest.mark.parametrize(
    ("arrived", "pages", "expected"),
    [
        ("aa", USED, Fate(kept=4 * PAGE)),
        ("aa", None, Fate(kept=4 * PAGE)),
        ("aa", PageCounts(0, 0), Fate(kept=4 * PAGE)),
        ("bb", USED, Fate(overwritten=4 * PAGE)),
        ("bb", None, Fate(overwritten=4 * PAGE)),
        ("aa", FREE, Fate(not_protected=4 * PAGE)),
        ("bb", FREE, Fate(lost=4 * PAGE)),
        ("aa", HALF, Fate(kept=2 * PAGE, not_protected=2 * PAGE)),
        ("bb", HALF, Fate(kept=2 * PAGE, lost=2 * PAGE)),
    ],
)
def test_what_becomes_of_a_region(arrived: str, pages: PageCounts | None, expected: Fate) -> None:
    assert fate(region(arrived=arrived, pages=pages)) == expected


def test_regions_of_one_owner_are_counted_together() -> None:
    found = fates(facts(region("memfd"), region("memfd", pages=HALF), region("luo")))
    assert found == {
        "memfd": Fate(kept=6 * PAGE, not_protected=2 * PAGE),
        "luo": Fate(kept=4 * PAGE),
    }


def test_of_a_consumer_that_never_came_up_nothing_is_counted() -> None:
    assert fates(facts(region(arrived=None, pages=None, after=None, left=None))) == {}
    assert fates(facts()) == {}


@pytest.mark.parametrize(
    ("owner", "log", "arrived", "pages", "expected"),
    [
        ("kho_test", READ, "aa", FREE, Fate(given_back=4 * PAGE)),
        ("kho_test", READ, "bb", USED, Fate(given_back=4 * PAGE)),
        ("kho_test", READ, "aa", HALF, Fate(kept=2 * PAGE, given_back=2 * PAGE)),
        ("kho_test", READ, "aa", USED, Fate(kept=4 * PAGE)),
        ("kho_test", "test_kho: KHO restore failed", "bb", FREE, Fate(given_back=4 * PAGE)),
        ("kho_test", "", "bb", FREE, Fate(lost=4 * PAGE)),
        ("kho_test blob", READ, "bb", NOBODY, Fate(overwritten=4 * PAGE)),
        ("kho_test blob", READ, "bb", USED, Fate(given_back=4 * PAGE)),
        ("kho_test blob", READ, "aa", FREE, Fate(given_back=4 * PAGE)),
        ("kho_test blob", "", "aa", FREE, Fate(not_protected=4 * PAGE)),
        ("luo blob", RETRIEVED, "bb", USED, Fate(given_back=4 * PAGE)),
        ("luo blob", "", "bb", USED, Fate(overwritten=4 * PAGE)),
        ("luo", RETRIEVED, "bb", USED, Fate(overwritten=4 * PAGE)),
        ("memfd", RETRIEVED, "aa", FREE, Fate(not_protected=4 * PAGE)),
    ],
)
def test_what_a_reader_takes_while_it_boots_is_given_back(
    owner: str, log: str, arrived: str, pages: PageCounts, expected: Fate
) -> None:
    assert fate(region(owner, arrived, pages), log) == expected


def test_the_head_of_luo_v1_is_never_given_back() -> None:
    changed = region("luo blob", "bb")
    found = fates(facts(changed, log=RETRIEVED, luo="luo-v1"))
    assert found["luo blob"] == Fate(overwritten=4 * PAGE)


def test_nobody_gives_back_a_test_that_nobody_reads() -> None:
    seen = replace(
        facts(region("kho_test", "bb", FREE), log=READ), consumer_has={"TEST_KEXEC_HANDOVER": False}
    )
    assert fates(seen)["kho_test"] == Fate(lost=4 * PAGE)


@pytest.mark.parametrize(
    "owner", ["session", "memfd", "luo", "kho_test", "orphan", "kexec-metadata"]
)
def test_what_nobody_owns_in_the_end_is_leaked(owner: str) -> None:
    found = fate(region(owner, left=NOBODY), RETRIEVED, ASKED)
    assert found == Fate(kept=4 * PAGE, leaked=4 * PAGE)


@pytest.mark.parametrize("owner", ["root", "reserve_mem data", "reserve_mem", "flb", "luo blob"])
def test_what_is_kept_on_purpose_is_not_leaked(owner: str) -> None:
    assert fate(region(owner, left=NOBODY), RETRIEVED, ASKED).leaked == 0


@pytest.mark.parametrize(
    ("after", "left", "leaked"),
    [
        ("aa", USED, 0),
        ("aa", FREE, 0),
        ("aa", PageCounts(4, 2, reserved=1, used=1), PAGE),
        ("aa", PageCounts(0, 0), 0),
        ("aa", None, 0),
        ("bb", NOBODY, 0),
    ],
)
def test_freed_memory_is_not_leaked_nor_what_was_used_again(
    after: str, left: PageCounts | None, leaked: int
) -> None:
    assert fate(region("memfd", after=after, left=left), RETRIEVED, ASKED).leaked == leaked


def test_what_user_space_may_still_ask_for_is_not_leaked() -> None:
    waiting = region("memfd", left=NOBODY)
    assert fate(waiting, RETRIEVED).leaked == 0
    assert fate(waiting, log="no reader of it").leaked == 4 * PAGE
    assert fate(region("kho_test blob", left=NOBODY), RETRIEVED).leaked == 4 * PAGE


def damage(found: RegionFact, log: str = "") -> str | None:
    return memory_of(facts(found, log=log)).damage(found)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"pages": HALF}, "2 of 4 pages are free memory: not protected"),
        (
            {"pages": FREE, "arrived": "bb"},
            "4 of 4 pages are free memory: content changed, aa became bb: lost",
        ),
        ({"arrived": "bb"}, "content changed, aa became bb: overwritten"),
        ({"left": HALF}, "in the end 2 of 4 pages are free memory: not protected"),
        (
            {"after": "bb"},
            "content changed, aa became bb after the consumer was up: overwritten",
        ),
    ],
)
def test_damage_is_told_apart(changes: dict[str, object], text: str) -> None:
    assert damage(replace(region(), **changes)) == text  # type: ignore[arg-type]


def test_what_is_as_it_was_is_not_damaged() -> None:
    assert damage(region()) is None
    assert damage(region(arrived=None, pages=None, after=None, left=None)) is None
    assert damage(region(pages=None, left=None)) is None


def test_what_user_space_retrieves_may_change_afterwards() -> None:
    assert damage(region("memfd", after="bb", left=FREE)) is None
    assert damage(region("memfd", arrived="bb")) is not None


def test_what_was_given_back_is_not_damaged() -> None:
    assert damage(region("kho_test", arrived="bb", pages=FREE), READ) is None
    assert damage(region("kho_test blob", arrived="bb"), READ) is None
    assert damage(region("kho_test blob", arrived="bb", pages=NOBODY), READ) is not None


def test_an_erased_page_was_given_back_and_a_changed_one_was_not() -> None:
    blob = region("kho_test blob", arrived="bb", pages=NOBODY)
    assert damage(replace(blob, reused=True), READ) is None
    assert damage(blob, READ) is not None
    assert damage(replace(blob, reused=True)) is not None


def test_what_was_never_preserved_is_not_given_back() -> None:
    blob = replace(region("kho_test blob", pages=FREE), mapped=False)
    assert damage(blob, READ) == "4 of 4 pages are free memory: not protected"


@pytest.mark.parametrize(
    ("metadata", "given_back"),
    [
        ("KHO: exec from: 7.3.4 (count 1)", True),
        ("KHO: exec from: 7.3.5 (count 1)", False),
        ("KHO: exec from: 7.3.4 (count 2)", False),
        ("", False),
    ],
)
def test_metadata_is_given_back_once_it_was_read(metadata: str, given_back: bool) -> None:
    seen = Handed("kho-v4", "radix", (), 0, 0, release="7.3.4", kexecs=1)
    broken = region("kexec-metadata", pages=FREE)
    memory = memory_of(replace(facts(broken, log=metadata), handed=seen))
    assert memory.was_given_back(broken) is given_back


@pytest.mark.parametrize(
    ("arrived", "pages", "outcome", "given_back"),
    [
        ("bb", USED, Outcome.SAME, True),
        ("bb", FREE, Outcome.SAME, True),
        ("aa", FREE, Outcome.SAME, False),
        ("bb", NOBODY, Outcome.SAME, False),
        ("bb", USED, Outcome.MISSING, False),
    ],
)
def test_a_session_that_was_written_over_is_given_back_if_all_of_it_came(
    arrived: str, pages: PageCounts, outcome: Outcome, given_back: bool
) -> None:
    session = region("session", arrived=arrived, pages=pages)
    checked = (Checked("session", "one", Outcome.SAME), Checked("memfd", "file", outcome))
    consumer = ConsumerFacts("7.3.4", kho=True, checked=checked)
    memory = memory_of(replace(facts(session, log=RETRIEVED), consumer=consumer))
    assert memory.was_given_back(session) is given_back


counts = st.integers(0, 4)


@given(
    owner=st.sampled_from(["root", "kho_test", "kho_test blob", "luo blob", "memfd", "orphan"]),
    log=st.sampled_from(["", READ, RETRIEVED, f"{READ}\n{RETRIEVED}"]),
    arrived=st.sampled_from(["aa", "bb"]),
    after=st.sampled_from(["aa", "bb"]),
    free=counts,
    plain=counts,
    reserved=counts,
)
def test_every_byte_has_one_fate(
    *, owner: str, log: str, arrived: str, after: str, free: int, plain: int, reserved: int
) -> None:
    pages, left = PageCounts(4, free), PageCounts(8, 0, reserved, plain)
    found = fate(region(owner, arrived, pages, after, left), log, ASKED)
    sizes = (found.kept, found.overwritten, found.not_protected, found.lost, found.given_back)
    assert sum(sizes) == 4 * PAGE
    assert min(sizes) >= 0
    assert found.leaked <= 4 * PAGE
    assert bool(found.overwritten or found.lost) == (arrived == "bb" and not found.given_back)
