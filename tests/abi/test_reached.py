from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.abi.reached import reached
from tests.abi.test_changes import CODE, HEADER

OLD = """
#define OLD_NAME "old"
struct old_ser { u64 a; };
static int write(struct old_ser *ser)
{
	if (!ser) { return -1; }
	return property(OLD_NAME);
}
EXPORT_SYMBOL_GPL(write);
static const struct ops ops = { .write = write };
"""
NEW = '#define NAME "new"\n'


def is_reached(code: str, path: str = CODE) -> bool:
    return "NAME" in reached({CODE: OLD}, {CODE: OLD, HEADER: NEW, path: code})


@pytest.mark.parametrize(
    "code",
    [
        OLD,
        OLD + "static int add(void) { return property(NAME); }",
        OLD + "int add(void) { return property(NAME); }\nEXPORT_SYMBOL_GPL(add);",
        OLD + "static int add(void) { return property(NAME); }\nlate_initcall(add);",
        OLD + "static const char *text = NAME;",
        OLD + "static struct ops more = { .name = NAME };",
        OLD + "#define WITH_NAME NAME",
        OLD + "struct new_ser { char name[sizeof(NAME)]; } __packed;",
        OLD + "struct new_ser { char name[sizeof(NAME)]; };\nint add(struct new_ser *ser);",
        OLD + "struct new_ser;\nstatic_assert(sizeof(NAME) == 8);",
    ],
)
def test_only_new_code_uses_it(code: str) -> None:
    assert not is_reached(code)


@pytest.mark.parametrize(
    "code",
    [
        OLD.replace("OLD_NAME)", "NAME)"),
        OLD.replace("u64 a;", "char a[sizeof(NAME)];"),
        OLD.replace('"old"', "NAME"),
        OLD.replace("= write", "= write, .name = NAME"),
        OLD.replace("(OLD_NAME)", "(add())") + "int add(void) { return property(NAME); }",
        OLD.replace("u64 a;", "struct new_ser a;") + "struct new_ser { char a[sizeof(NAME)]; };",
        OLD.replace("(OLD_NAME)", "(MORE)") + "#define MORE NAME",
        OLD + "property(NAME);",
        OLD + "err |= property(NAME);",
    ],
)
def test_what_was_there_uses_it(code: str) -> None:
    assert is_reached(code)


def test_a_new_file_is_new() -> None:
    assert not is_reached("x(NAME);", "kernel/liveupdate/new.c")


PIECES = st.sampled_from(["(", ")", "{", "}", ";", "=", "[", "a", "struct ", "#define ", "\n", ","])


@given(st.lists(PIECES).map("".join))
def test_nothing_raises(text: str) -> None:
    reached({CODE: OLD}, {CODE: text})


@pytest.mark.parametrize("piece", ["{}", "a {} ", "a(){}", "a b(", "{", "a=", "struct a{};", "a;"])
def test_hostile_text_takes_no_longer(piece: str) -> None:
    text = "a " * 100_000 + piece * (100_000 // len(piece))
    reached({CODE: text}, {CODE: text})
