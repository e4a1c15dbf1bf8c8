from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from khoci.config.policy import Condition, Known, Policy, Rule, covers, load_policy
from khoci.errors import UsageError
from khoci.paths import data_dir
from khoci.scenario import definitions
from khoci.verdicts import Verdict

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = """
never = ["panic", "splat"]
[[known]]
producers = ["6.17"]
consumers = ["6.18", "v6.19.14"]
scenarios = ["kho-test"]
verdict = "panic"
reason = "the bitmaps grew"
link = "docs/findings.md#the-bitmaps-grew"
"""
RULE = """
[[rule]]
when = "upgrade N-1 -> N and version string equal"
scenarios = ["memfd", "kho-test:size=4M"]
expect = ["restored", "splat"]
why = "one release at a time"
"""
SHIPPED = data_dir("matrix") / "policy.toml"


def load(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    return load_policy(path, ("memfd", "kho-test"))


def test_the_shipped_policy_forbids_lost_memory_and_death() -> None:
    policy = load_policy(SHIPPED, definitions())
    assert {"dropped", "corrupt", "panic", "reset", "hang", "splat"} <= set(policy.never)
    assert not {"restored", "refused", "accepted"} & set(policy.never)


def test_what_the_shipped_policy_links_to_is_there() -> None:
    root = data_dir("matrix").parent
    for known in load_policy(SHIPPED).known:
        name, _, anchor = known.link.partition("#")
        lines = (root / name).read_text().splitlines()
        assert anchor in ["", *(_anchor(line) for line in lines if line.startswith("#"))]


def _anchor(heading: str) -> str:
    """The anchor that a heading of a Markdown file gets."""
    words = re.sub(r"[^\w\- ]", "", heading.lstrip("#").strip().lower())
    return words.replace(" ", "-")


def test_a_known_break(tmp_path: Path) -> None:
    known = Known(
        producers=("6.17",),
        consumers=("6.18", "v6.19.14"),
        scenarios=("kho-test",),
        verdict=Verdict.PANIC,
        reason="the bitmaps grew",
        link="docs/findings.md#the-bitmaps-grew",
    )
    assert load(tmp_path, KNOWN) == Policy((Verdict.PANIC, "splat"), (known,))
    more = KNOWN + 'also = ["reset", "splat"]\ncomponents = ["luo"]\n'
    assert load(tmp_path, more).known[0].words == ("panic", "reset", "splat")
    assert load(tmp_path, more).known[0].components == ("luo",)


def test_a_rule(tmp_path: Path) -> None:
    rule = Rule(
        when="upgrade N-1 -> N and version string equal",
        conditions=(Condition("upgrade", 1), Condition("version string equal")),
        scenarios=("memfd", "kho-test:size=4M"),
        expect=("restored", "splat"),
        why="one release at a time",
    )
    assert load(tmp_path, RULE) == Policy(rules=(rule,))
    assert load(tmp_path, RULE + "strict = true\n").rules[0].strict


@pytest.mark.parametrize(
    ("when", "condition"),
    [
        ("any", Condition("any")),
        ("self", Condition("self")),
        ("upgrade", Condition("upgrade")),
        ("rollback N -> N-1", Condition("rollback", 1)),
        ("upgrade N-12 -> N", Condition("upgrade", 12)),
        ("version string differs", Condition("version string differs")),
    ],
)
def test_when(tmp_path: Path, when: str, condition: Condition) -> None:
    text = RULE.replace("upgrade N-1 -> N and version string equal", when)
    assert load(tmp_path, text).rules[0].conditions == (condition,)


def test_an_empty_policy(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Policy()


def test_scenarios_that_a_name_covers() -> None:
    assert covers("memfd", "memfd")
    assert covers("memfd", "memfd:size=64M:holes=3")
    assert covers("memfd:size=64M", "memfd:size=64M")
    assert not covers("memfd:size=64M", "memfd")
    assert not covers("memfd", "memfd-large")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nevr = []", "unknown key 'nevr' (did you mean 'never'?)"),
        ("never = ['panik']", "key 'never': 'panik' is none of restored, accepted,"),
        ("never = ['error']", "key 'never': 'error' is none of"),
        ("never = ['absent']", "key 'never': 'absent' is none of"),
        ("never = 'panic'", "key 'never' must be a list of strings"),
        (KNOWN.replace("verdict =", "verdicts ="), "[known #1]: unknown key 'verdicts' (did you"),
        (
            KNOWN.replace('verdict = "panic"', 'verdict = "panics"'),
            "[known #1]: key 'verdict': 'panics' is none of",
        ),
        (KNOWN.replace('["6.17"]', "[]"), "[known #1]: key 'producers' is missing or empty"),
        (KNOWN.replace("reason", "#"), "[known #1]: key 'reason' is missing"),
        (KNOWN.replace("the bitmaps grew", " "), "[known #1]: key 'reason' is empty"),
        (KNOWN.replace("link", "#"), "[known #1]: key 'link' is missing"),
        (KNOWN.replace("docs/findings.md#", "see "), "[known #1]: key 'link': 'see the-bitmaps-"),
        (KNOWN.replace("kho-test", "kho-tset"), "[known #1]: key 'scenarios': there is no scen"),
        (KNOWN + "also = ['panick']", "[known #1]: key 'also': 'panick' is none of"),
        (RULE.replace("when", "where"), "[rule #1]: unknown key 'where' (did you mean 'when'?)"),
        (RULE.replace("equal", "equals"), "[rule #1]: key 'when': 'version string equals' is none"),
        (RULE.replace("N-1", "N-0"), "[rule #1]: key 'when': 'upgrade N-0 -> N' is none of any"),
        (RULE.replace("expect", "#"), "[rule #1]: key 'expect' is missing or empty"),
        (RULE.replace('"splat"', '"spalt"'), "[rule #1]: key 'expect': 'spalt' is none of"),
        (RULE.replace("why", "#"), "[rule #1]: key 'why' is missing"),
        (RULE + "strict = 1", "[rule #1]: key 'strict' must be true or false"),
        (
            RULE.replace("memfd", "memfs"),
            "[rule #1]: key 'scenarios': there is no scenario 'memfs'",
        ),
    ],
)
def test_a_wrong_key_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/policy.toml: {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("never = ['panik']", "panic"),
        (KNOWN.replace("kho-test", "kho-tset"), "kho-test"),
        (RULE.replace("equal", "equals"), "version string equal"),
    ],
)
def test_what_is_near_is_proposed(tmp_path: Path, text: str, near: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"(did you mean '{near}'?)")):
        load(tmp_path, text)
