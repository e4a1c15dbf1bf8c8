from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.kernel.expression import conjuncts, holds
from khoci.kernel.kconfig import explain, stanzas
from tests.kernel.fakelinux import make_tree

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {"A": "y", "M": "m", "OFF": "n", "NUMBER": "12", "TEXT": '"x86"', "64BIT": "y"}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("A", True),
        ("M", True),
        ("OFF", False),
        ("MISSING", False),
        ("!OFF && A", True),
        ("A && OFF || M", True),
        ("A && (OFF || MISSING)", False),
        ("!(A && OFF)", True),
        ("A=y", True),
        ("M = y", False),
        ("M!=n", True),
        ("NUMBER >= 12", True),
        ("NUMBER < 0xc", False),
        ('TEXT = "x86"', True),
        ("64BIT", True),
        ("$(cc-option,-fsome(thing)) && A", True),
        ("y", True),
        ("n", False),
        ("", True),
    ],
)
def test_expressions(expression: str, value: bool) -> None:
    assert holds(expression, CONFIG) is value


@given(st.text(alphabet='AM!()&|=<> "$yn1', max_size=30))
def test_no_expression_breaks_the_reader(expression: str) -> None:
    assert holds(expression, CONFIG) in (True, False)


@pytest.mark.parametrize(("deep", "value"), [("(", True), ("!", True), ("!(", True), ("A(", True)])
def test_what_is_nested_too_deep_is_taken_as_true(deep: str, value: bool) -> None:
    assert holds(deep * 3000 + "A", CONFIG) is value


@given(st.lists(st.sampled_from(["A", "!OFF", "(A || OFF)", "M = y", "!(A && M)"]), min_size=1))
def test_conjuncts_are_the_parts(parts: list[str]) -> None:
    assert conjuncts(" && ".join(parts)) == parts


def reasons(tree: Path, symbol: str, **config: str) -> str:
    return explain(tree, "x86", [symbol], config)[symbol]


def test_all_that_is_unmet_is_named(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    assert reasons(tree, "KEXEC_HANDOVER", ARCH_SUPPORTS_KEXEC_HANDOVER="y") == (
        "needs KEXEC_CORE and ARCH_SUPPORTS_KEXEC_FILE (Kconfig:15)"
    )
    met = {"ARCH_SUPPORTS_KEXEC_HANDOVER": "y", "ARCH_SUPPORTS_KEXEC_FILE": "y", "KEXEC_CORE": "y"}
    assert reasons(tree, "KEXEC_HANDOVER", **met, DEFERRED_STRUCT_PAGE_INIT="y") == (
        "needs !DEFERRED_STRUCT_PAGE_INIT (Kconfig:15)"
    )
    assert "its dependencies are met" in reasons(tree, "KEXEC_HANDOVER", **met)


def test_enclosing_if_and_condition_of_the_prompt_count(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    assert reasons(tree, "HIDDEN") == "needs EXPERT and DEBUG (Kconfig:27)"


def test_symbols_without_a_prompt_and_without_a_definition(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    assert reasons(tree, "CMA").startswith("cannot be set by hand")
    assert reasons(tree, "NONSENSE") == "this tree has no such symbol"


def test_help_texts_say_nothing_and_sourced_files_are_read(tmp_path: Path) -> None:
    found = {stanza.symbol: stanza for stanza in stanzas(make_tree(tmp_path / "tree"), "x86")}
    assert found["DEFERRED_STRUCT_PAGE_INIT"].conditions == []
    assert found["ARCH_SUPPORTS_KEXEC_HANDOVER"].file == "arch/x86/Kconfig"


def test_blocks_continuations_and_comments(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/Kconfig.more").write_text("config DEEP\n\tbool\n")
    (tmp_path / "Kconfig").write_text(
        'menu "M"\n  visible if X\n  depends on A && \\\n    B\n'
        'comment "only text"\n  depends on NOT_THIS\n'
        'choice\n  prompt "which"\n  depends on C\nconfig IN\n  bool "in"\nendchoice\n'
        'if D # why\nsource "sub/Kconfig.more"\nendif\nendmenu\n'
        'config OUT\n  bool "out"\n'
    )
    found = {stanza.symbol: stanza.conditions for stanza in stanzas(tmp_path, "x86")}
    assert found["IN"] == ["A && B", "C"]
    assert found["DEEP"] == ["A && B", "D"]
    assert found["OUT"] == []


def test_files_that_source_each_other_over_and_over_end(tmp_path: Path) -> None:
    (tmp_path / "Kconfig").write_text('source "Kconfig"\n' * 50 + "config A\n")
    assert {stanza.symbol for stanza in stanzas(tmp_path, "x86")} == {"A"}


def test_a_file_that_sources_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "Kconfig").write_text('source "Kconfig"\nconfig A\n')
    assert {stanza.symbol for stanza in stanzas(tmp_path, "x86")} == {"A"}


@pytest.mark.parametrize("keyword", ["source", "osource", "rsource", "orsource"])
@pytest.mark.parametrize("way", ["absolute", "above", "link"])
def test_files_elsewhere_are_not_read(tmp_path: Path, keyword: str, way: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text("config A\n\tdepends on SECRET\n")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    name = {"absolute": str(outside), "above": "../outside", "link": "link"}[way]
    (tree / "Kconfig").write_text(f'{keyword} "{name}"\n')
    assert reasons(tree, "A") == "this tree has no such symbol"


def test_what_is_no_plain_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    names = ["/proc/self/mem", "/dev/zero", "folder", "pipe", "loop", "a" * 300, "nul\0byte"]
    text = "".join(f'osource "{name}"\n' for name in names)
    (tmp_path / "Kconfig").write_text(f"{text}config A\n\tdepends on B\n")
    assert reasons(tmp_path, "A") == "needs B (Kconfig:8)"


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(300_000_000)
    (tmp_path / "Kconfig").write_text('osource "huge"\nconfig A\n\tdepends on B\n')
    tracemalloc.start()
    assert reasons(tmp_path, "A") == "needs B (Kconfig:2)"
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10_000_000


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        'osource "many"\n' * 10_000,
        'osource "nothing"\n' * 100_000,
        "if A\n" * 100_000 + "config A\n" * 100_000,
        "A\\\n" * 600_000,
    ],
)
def test_much_of_it_ends_soon(tmp_path: Path, text: str) -> None:
    (tmp_path / "many").write_text("config B\n" * 200_000)
    (tmp_path / "Kconfig").write_text(text)
    assert reasons(tmp_path, "C") == "this tree has no such symbol"


def test_a_reason_is_short_and_fit_for_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "Kconfig").write_text("config A\n\tdepends on \033[2JB\n" + "\tdepends on C1\n" * 9)
    assert reasons(tmp_path, "A").startswith("needs [2JB and C1 (")
    (tmp_path / "Kconfig").write_text(f"config A\n\tdepends on {'B' * 1900}\n")
    assert len(reasons(tmp_path, "A")) < 510
