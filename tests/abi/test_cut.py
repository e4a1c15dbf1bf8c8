from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from khoci.abi.cut import cut, lines_of

TEXT = """\
#include <linux/module.h>
#define SIZE \\
	(1 + 2)
#define WRAP(x) (x)
#ifdef CONFIG_A
struct one { u64 a; } __packed __aligned(8);
#else
static struct two { u64 b; } variable = { .b = 1 };
#endif
static int function(struct one *one)
{
#ifdef CONFIG_B
	struct inner { int x; } y;
#endif
	return 0;
}
enum kind {
	FIRST,
	/* struct not_here { */
	SECOND = 4,
};
typedef u64 number;
struct declared;
union both { u64 a; u32 b; };
late_initcall(function);
"""


def test_what_is_kept() -> None:
    found = [(piece.kind, piece.name) for piece in cut(TEXT)]
    assert found == [
        ("macro", "SIZE"),
        ("function", "WRAP"),
        ("condition", ""),
        ("struct", "one"),
        ("condition", ""),
        ("struct", "two"),
        ("condition", ""),
        ("enum", "kind"),
        ("typedef", "number"),
        ("union", "both"),
    ]


def test_attributes_stay_and_variables_do_not() -> None:
    texts = {piece.name: " ".join(piece.text.split()) for piece in cut(TEXT)}
    assert texts["one"] == "struct one { u64 a; } __packed __aligned ( 8 );"
    assert texts["two"] == "struct two { u64 b; };"


def test_a_guard_is_left_out_but_not_a_default() -> None:
    guarded = "#ifndef _X_H\n#define _X_H\nstruct a { int b; };\n#endif\n"
    assert [piece.name for piece in cut(guarded)] == ["a"]
    default = "#ifndef SIZE\n#define SIZE 4\n#endif\nstruct a { int b; };\n"
    assert [piece.kind for piece in cut(default)] == ["condition", "macro", "condition", "struct"]


def test_conditions_inside_of_a_struct_stay_in_it() -> None:
    (piece,) = cut("struct a {\n#ifdef X\nu64 b;\n#endif\nu64 c;\n};\n")
    assert "#ifdef X" in piece.text
    assert "#endif" in piece.text


def test_lines() -> None:
    names = frozenset({"SIZE", "one", "SECOND", "nowhere"})
    assert lines_of(TEXT, names) == {"SIZE": 2, "one": 6, "SECOND": 20}


@given(st.text(alphabet='{}();#\n"/*=, structenumdefineif', max_size=200))
def test_any_text(text: str) -> None:
    for piece in cut(text):
        assert piece.kind
