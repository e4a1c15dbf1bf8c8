from __future__ import annotations

from dataclasses import replace

import pytest

from khoci.compat.policy import reasons, violations
from khoci.config.policy import Condition, Known, Policy, Rule
from khoci.results import CellResult, Judgement, Versions
from khoci.verdicts import Verdict

NEVER = (Verdict.DROPPED, Verdict.CORRUPT, Verdict.PANIC, Verdict.RESET, Verdict.HANG)
LINK = "docs/findings.md#bitmaps"
KNOWN = Known(("6.17",), ("6.18",), ("kho-test",), Verdict.PANIC, "bitmaps grew", LINK)
ORDER = ("v6.1.7", "v6.17.13", "v6.18.15", "v6.170.1", "v7.3.4")
BESIDE = ("v6.1.7", "v6.17.13", "v6.18.15", "mine", "v6.170.1", "v7.3.4")
SPLAT = "consumer: WARNING: CPU: 0 at mm/page_alloc.c"


def cell(
    verdict: Verdict,
    producer: str = "v6.17.13",
    consumer: str = "v6.18.15",
    scenario: str = "kho-test",
) -> CellResult:
    return CellResult(producer, consumer, scenario, verdict, {})


def parts(**verdicts: Verdict) -> CellResult:
    worst = max(verdicts.values(), key=lambda verdict: verdict.rank)
    components = {name: Judgement(verdict) for name, verdict in verdicts.items()}
    return replace(cell(worst), components=components)


def told(result: CellResult, *known: Known, rules: tuple[Rule, ...] = ()) -> list[str]:
    """What is wrong with one cell, without its name."""
    policy = Policy((*NEVER, "splat"), known, rules)
    where = f"{result.producer} -> {result.consumer} {result.scenario}: "
    lines = violations([result], policy, ORDER)
    assert all(line.startswith(where) for line in lines)
    return [line.removeprefix(where) for line in lines]


# what must never happen


@pytest.mark.parametrize("verdict", NEVER)
def test_what_must_never_happen(verdict: Verdict) -> None:
    assert told(cell(verdict)) == [f"{verdict} must never happen"]


@pytest.mark.parametrize(
    "verdict", [Verdict.RESTORED, Verdict.ACCEPTED, Verdict.REFUSED, Verdict.ABSENT, Verdict.ERROR]
)
def test_what_may_happen(verdict: Verdict) -> None:
    assert told(cell(verdict)) == []


def test_a_warning_of_a_cell_that_is_right_but_for_it() -> None:
    noisy = replace(cell(Verdict.RESTORED), splats=(SPLAT,))
    assert told(noisy) == [f"splat must never happen: {SPLAT}"]
    assert violations([noisy], Policy(NEVER), ORDER) == []


def test_what_khoci_broke_on_purpose_is_not_held_against_a_kernel() -> None:
    broken = replace(cell(Verdict.PANIC), fault="zero-map")
    assert told(broken) == []
    assert told(replace(broken, verdict=Verdict.REFUSED), KNOWN) == []
    assert reasons([broken], Policy(NEVER, (KNOWN,)), ORDER) == {}


# known breaks


def test_a_known_break_is_not_held_against_a_run() -> None:
    policy = Policy(NEVER, (KNOWN,))
    broken = cell(Verdict.PANIC)
    assert violations([broken], policy, ORDER) == []
    found = reasons([broken, cell(Verdict.RESTORED, scenario="memfd"), broken], policy, ORDER)
    assert found == {f"bitmaps grew ({LINK})": [broken, broken]}


@pytest.mark.parametrize("verdict", [Verdict.RESTORED, Verdict.RESET])
def test_a_known_break_that_is_another_now(verdict: Verdict) -> None:
    assert told(cell(verdict), KNOWN) == [f"panic was known, it is {verdict} now: bitmaps grew"]
    assert reasons([cell(verdict)], Policy(NEVER, (KNOWN,)), ORDER) == {}


@pytest.mark.parametrize(
    "other",
    [
        cell(Verdict.PANIC, producer="v6.18.15"),
        cell(Verdict.PANIC, consumer="v6.17.13"),
        cell(Verdict.PANIC, scenario="reserve-mem"),
        cell(Verdict.PANIC, producer="v6.1.7"),
        cell(Verdict.PANIC, producer="v6.170.1"),
    ],
)
def test_a_known_break_covers_its_own_cells_only(other: CellResult) -> None:
    assert told(other, KNOWN) == ["panic must never happen"]
    assert reasons([other], Policy(NEVER, (KNOWN,)), ORDER) == {}


@pytest.mark.parametrize("name", ["6.17", "6.17.13", "v6.17.13"])
def test_names_of_kernels_and_series(name: str) -> None:
    assert told(cell(Verdict.PANIC), replace(KNOWN, producers=(name,))) == []


def test_a_name_of_a_scenario_covers_its_parameters_too() -> None:
    large = cell(Verdict.PANIC, scenario="kho-test:size=8M")
    assert told(large, KNOWN) == []
    assert told(large, replace(KNOWN, scenarios=("kho-test:size=4M",))) != []


def test_a_cell_that_cannot_be_done_says_nothing_of_a_known_break() -> None:
    assert told(cell(Verdict.ABSENT), KNOWN) == []
    assert told(cell(Verdict.ABSENT), replace(KNOWN, verdict="splat")) == []
    assert told(parts(root=Verdict.RESTORED, luo=Verdict.ABSENT), _of("luo")) == []


def test_where_chance_decides_either_is_known() -> None:
    known = replace(KNOWN, also=(Verdict.RESET,))
    assert told(cell(Verdict.PANIC), known) == told(cell(Verdict.RESET), known) == []
    (line,) = told(cell(Verdict.HANG), known)
    assert line.startswith("panic or reset was known, it is hang now")


def _of(*components: str, verdict: Verdict = Verdict.DROPPED) -> Known:
    return replace(KNOWN, verdict=verdict, components=components)


def test_a_known_break_of_a_component_is_about_that_alone() -> None:
    lost = parts(root=Verdict.RESTORED, luo=Verdict.DROPPED)
    assert told(lost, _of("luo")) == []
    worse = parts(root=Verdict.CORRUPT, luo=Verdict.DROPPED)
    assert told(worse, _of("luo")) == ["corrupt must never happen"]
    assert reasons([worse], Policy(NEVER, (_of("luo"),)), ORDER) == {}
    assert told(worse, _of("luo"), _of("root", verdict=Verdict.CORRUPT)) == []
    other = parts(root=Verdict.DROPPED, luo=Verdict.RESTORED)
    (stale, forbidden) = told(other, _of("luo"))
    assert stale.startswith("dropped was known, it is restored now")
    assert forbidden == "dropped must never happen"


def test_a_machine_dies_as_a_whole() -> None:
    dead = parts(root=Verdict.ACCEPTED, memory_map=Verdict.PANIC, luo=Verdict.PANIC)
    dead = replace(dead, splats=(SPLAT,))
    assert told(dead, _of("luo", verdict=Verdict.PANIC)) == []
    assert "panic must never happen" in told(dead, _of("luo", verdict=Verdict.HANG))


def test_a_known_break_of_the_whole_cell_has_its_warnings() -> None:
    noisy = replace(parts(luo=Verdict.CORRUPT), splats=(SPLAT,))
    assert told(noisy, replace(KNOWN, verdict=Verdict.CORRUPT)) == []
    assert told(noisy, _of("luo", verdict=Verdict.CORRUPT)) == [f"splat must never happen: {SPLAT}"]


def test_a_known_warning() -> None:
    known = replace(KNOWN, verdict="splat")
    noisy = replace(parts(luo=Verdict.RESTORED), splats=(SPLAT,))
    assert told(noisy, known) == []
    quiet = "splat was known, there is none now: bitmaps grew"
    assert told(replace(noisy, splats=()), known) == [quiet]
    worse = replace(parts(luo=Verdict.CORRUPT), splats=(SPLAT,))
    assert told(worse, known) == ["corrupt must never happen"]


def test_the_first_of_two_known_breaks_of_a_cell_counts() -> None:
    first, second = replace(KNOWN, scenarios=("kho-test:size=8M",), verdict=Verdict.HANG), KNOWN
    assert told(cell(Verdict.HANG, scenario="kho-test:size=8M"), first, second) == []
    assert told(cell(Verdict.PANIC, scenario="kho-test:size=4M"), first, second) == []


# rules


def rule(when: str, *expect: str, scenarios: tuple[str, ...] = (), strict: bool = False) -> Rule:
    kind, _, steps = when.partition(" by ")
    condition = Condition(kind, int(steps or 0))
    return Rule(when, (condition,), scenarios, expect, "we say so", strict)


def test_a_rule_says_what_has_to_be_and_why() -> None:
    wanted = rule("any", "restored", "refused")
    (line,) = told(cell(Verdict.ACCEPTED), rules=(wanted,))
    assert line == "accepted, it must be restored or refused (any): we say so"
    assert told(cell(Verdict.REFUSED), rules=(wanted,)) == []


@pytest.mark.parametrize(
    ("when", "pairs"),
    [
        ("any", ["aa", "ab", "ac", "ba", "bb", "bc", "ca", "cb", "cc"]),
        ("self", ["aa", "bb", "cc"]),
        ("upgrade", ["ab", "ac", "bc"]),
        ("upgrade by 1", ["ab", "bc"]),
        ("upgrade by 2", ["ac"]),
        ("rollback", ["ba", "ca", "cb"]),
        ("rollback by 1", ["ba", "cb"]),
    ],
)
def test_the_pairs_that_a_rule_is_about(when: str, pairs: list[str]) -> None:
    cells = [cell(Verdict.REFUSED, old, new) for old in "abc" for new in "abc"]
    lines = violations(cells, Policy(rules=(rule(when, "restored"),)), "abc")
    assert [line[0] + line[5] for line in lines] == pairs


@pytest.mark.parametrize(
    ("versions", "kind"),
    [
        ({"root": ("kho-v1", "kho-v1")}, "version string equal"),
        ({"root": ("kho-v1", "kho-v3")}, "version string differs"),
        ({"root": ("kho-v1", "kho-v1"), "luo": ("luo-v1", "luo-v2")}, "version string differs"),
        ({"root": ("kho-v1", "kho-v1"), "luo": ("luo-v1", None)}, "version string equal"),
        ({"root": ("kho-v1", "kho-v1"), "other": ("v1", "v2")}, "version string equal"),
        ({"root": ("kho-v1", None)}, ""),
        ({}, ""),
    ],
)
def test_version_strings(versions: dict[str, tuple[str, str | None]], kind: str) -> None:
    seen = {name: Versions(*both) for name, both in versions.items()}
    result = replace(parts(root=Verdict.ACCEPTED, luo=Verdict.ACCEPTED), versions=seen)
    whens = ("version string equal", "version string differs")
    lines = told(result, rules=tuple(rule(when, "restored") for when in whens))
    assert [line for line in lines if kind in line] == lines
    assert len(lines) == bool(kind)


def test_all_conditions_have_to_be_met() -> None:
    both = replace(rule("upgrade", "restored"), conditions=(Condition("any"), Condition("self")))
    assert told(cell(Verdict.REFUSED), rules=(both,)) == []
    assert len(told(cell(Verdict.REFUSED, consumer="v6.17.13"), rules=(both,))) == 1


def test_an_absent_cell_is_right_unless_the_rule_is_strict() -> None:
    assert told(cell(Verdict.ABSENT), rules=(rule("any", "restored"),)) == []
    assert len(told(cell(Verdict.ABSENT), rules=(rule("any", "restored", strict=True),))) == 1
    assert told(cell(Verdict.ABSENT), rules=(rule("any", "absent", strict=True),)) == []


def test_a_rule_that_names_the_scenario_goes_before_those_that_do_not() -> None:
    general, special = rule("any", "restored"), rule("any", "refused", scenarios=("kho-test",))
    assert told(cell(Verdict.REFUSED), rules=(general, special)) == []
    assert len(told(cell(Verdict.RESTORED, scenario="kho-test:a=1"), rules=(general, special))) == 1
    assert told(cell(Verdict.RESTORED, scenario="memfd"), rules=(general, special)) == []
    elsewhere = replace(special, conditions=(Condition("self"),))
    assert len(told(cell(Verdict.REFUSED), rules=(general, elsewhere))) == 1


def test_every_rule_that_applies_has_to_hold() -> None:
    rules = (rule("any", "restored", "refused"), rule("upgrade", "restored"))
    assert len(told(cell(Verdict.REFUSED), rules=rules)) == 1
    assert len(told(cell(Verdict.ACCEPTED), rules=rules)) == 2
    assert told(cell(Verdict.RESTORED), rules=rules) == []


def test_what_a_rule_expects_may_happen_though_it_never_should() -> None:
    crash = rule("any", "panic", "splat", scenarios=("crash",))
    asked = replace(cell(Verdict.PANIC, scenario="crash"), splats=(SPLAT,))
    assert told(asked, rules=(crash,)) == []
    assert told(replace(asked, verdict=Verdict.HANG), rules=(crash,)) == ["hang must never happen"]
    assert len(told(replace(asked, verdict=Verdict.RESTORED), rules=(crash,))) == 1


def test_what_a_known_break_leaves_is_held_against_the_rules() -> None:
    wanted = (rule("any", "restored"),)
    lost = parts(root=Verdict.RESTORED, luo=Verdict.DROPPED)
    assert told(lost, _of("luo"), rules=wanted) == []
    (line,) = told(parts(root=Verdict.REFUSED, luo=Verdict.DROPPED), _of("luo"), rules=wanted)
    assert line.startswith("refused, it must be restored")
    assert told(cell(Verdict.PANIC), KNOWN, rules=wanted) == []


# kernels with patches


def test_what_is_known_of_the_base_excuses_a_kernel_made_of_it() -> None:
    policy, made_of = Policy(NEVER, (KNOWN,)), {"mine": "v6.18.15"}
    broken = cell(Verdict.PANIC, consumer="mine")
    assert violations([broken], policy, BESIDE) != []
    assert violations([broken], policy, BESIDE, made_of) == []
    assert reasons([broken], policy, BESIDE, made_of) == {f"bitmaps grew ({LINK})": [broken]}


def test_it_need_not_happen_to_a_kernel_made_of_the_base() -> None:
    policy, made_of = Policy(NEVER, (KNOWN,)), {"mine": "v6.18.15"}
    mended = cell(Verdict.RESTORED, consumer="mine")
    assert violations([mended], policy, BESIDE, made_of) == []
    assert reasons([mended], policy, BESIDE, made_of) == {}
    worse = cell(Verdict.HANG, consumer="mine")
    assert violations([worse], policy, BESIDE, made_of) == [
        "v6.17.13 -> mine kho-test: hang must never happen"
    ]


def test_a_kernel_made_of_another_is_no_step_between_releases() -> None:
    rule = Rule("upgrade N-1 -> N", (Condition("upgrade", 1),), (), ("restored",), "")
    policy, made_of = Policy((), (), (rule,)), {"mine": "v6.18.15"}
    for producer, consumer in (
        ("v6.18.15", "v6.170.1"),
        ("v6.17.13", "mine"),
        ("mine", "v6.170.1"),
        ("v6.18.15", "mine"),
    ):
        refused = cell(Verdict.REFUSED, producer=producer, consumer=consumer)
        assert violations([refused], policy, BESIDE, made_of) != []
    for producer, consumer in (("mine", "v6.18.15"), ("v6.17.13", "v6.170.1")):
        refused = cell(Verdict.REFUSED, producer=producer, consumer=consumer)
        assert violations([refused], policy, BESIDE, made_of) == []
