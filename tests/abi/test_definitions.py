from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khoci.abi.definitions import definitions
from khoci.abi.layout import aliases_of, layout
from khoci.abi.lexer import tokens
from khoci.abi.values import Values

HEADER = r"""
#ifndef _LINUX_KHO_ABI_LUO_H
#define _LINUX_KHO_ABI_LUO_H
/* The string was "luo-v4". #define LUO_ABI_COMPATIBLE "luo-v4" */
#define LUO_ABI_COMPATIBLE "luo-v5" // not luo-v6
#define LUO_URL "https://example.org/*luo*/" /* a
    comment */
#define LUO_ABI_COMPAT_LEN ALIGN(sizeof(LUO_ABI_COMPATIBLE), \
    8)
#define DECLARE_KHOSER_PTR(name, type) \
    union {                        \
    u64 phys;              \
    type ptr;              \
    } name
#define KHOSER_LOAD_PTR(src) ({ struct trap { int no; }; })

struct luo_ser {
    char compatible[LUO_ABI_COMPAT_LEN];
    u64 liveupdate_num; /* struct inside { of a comment */
    u64 sessions_pa, flbs_pa;
} __packed;

enum kho_radix_consts {
    KHO_TABLE_SIZE_LOG2 = const_ilog2(PAGE_SIZE / sizeof(phys_addr_t)),
    KHO_NEXT,
    KHO_TREE_MAX_DEPTH =
    DIV_ROUND_UP(53 - 15,
    KHO_TABLE_SIZE_LOG2) + 1,
};
enum { FIRST, SECOND };

static struct luo_ser *luo(struct luo_ser *ser) { return ser; }
static const struct luo_ops ops = { .first = 1 };
#endif
"""


def members(body: str, **constants: str) -> list[tuple[str, str]]:
    values = Values({name: tokens(text) for name, text in constants.items()})
    found = layout(definitions(f"struct s {{ {body} }};").structs["s"], values)
    return [(member.name, member.rest) for member in found.members]


def test_a_header() -> None:
    found = definitions(HEADER)
    values = Values(found.constants)
    assert values.of("LUO_ABI_COMPATIBLE") == "luo-v5"
    assert values.of("LUO_URL") == "https://example.org/*luo*/"
    assert values.of("LUO_ABI_COMPAT_LEN") == 8
    assert [values.of(name) for name in ("KHO_TABLE_SIZE_LOG2", "KHO_NEXT")] == [9, 10]
    assert [values.of(name) for name in ("FIRST", "SECOND", "KHO_TREE_MAX_DEPTH")] == [0, 1, 6]
    assert set(found.structs) == {"luo_ser"}
    assert set(found.shapes) == {"DECLARE_KHOSER_PTR"}
    assert "_LINUX_KHO_ABI_LUO_H" not in found.constants
    whole = layout(found.structs["luo_ser"], values)
    assert str(whole) == (
        "{ u8 compatible [ 8 ]; u64 liveupdate_num; u64 sessions_pa; u64 flbs_pa } __packed"
    )


def test_members() -> None:
    assert members("u64 pfn:52; __u64 flags : 12; u64 index;") == [
        ("pfn", "u64 _ : 52"),
        ("flags", "u64 _ : 12"),
        ("index", "u64 _"),
    ]
    assert members("DECLARE_BITMAP(preserve, BITS);", BITS="512 * 8") == [
        ("preserve", "DECLARE_BITMAP ( _ , 4096 )")
    ]
    assert members("struct kho_vmalloc folios; unsigned int order;") == [
        ("folios", "struct kho_vmalloc _"),
        ("order", "u32 _"),
    ]
    assert members("u64 table[1 << (SIZE)];", SIZE="9") == [("table", "u64 _ [ 512 ]")]
    assert members("struct { u64 a; } in[2]; u64 b") == [
        ("", "struct { u64 a ; } in [ 2 ]"),
        ("b", "u64 _"),
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("u64 a;", "unsigned long a;"),
        ("u64 a;", "long unsigned int a;"),
        ("u64 a;", "unsigned long long a;"),
        ("u64 a;", "uint64_t a;"),
        ("u64 a;", "size_t a;"),
        ("u32 a[8];", "unsigned int a[sizeof(unsigned long)];"),
        ("u32 a;", "unsigned a;"),
        ("__s32 a;", "int a;"),
        ("s64 a;", "loff_t a;"),
        ("u16 a;", "unsigned short a;"),
        ("char a[4];", "u8 a[4];"),
        ("u64 a; u64 b;", "u64 a, b;"),
        ("u64 *a; u64 b[2]; u64 c:4;", "u64 *a, b[2], c:4;"),
        ("struct { u64 a; u64 b; } in;", "struct { u64 a, b; } in;"),
    ],
)
def test_other_words_for_the_same_layout(one: str, other: str) -> None:
    assert members(one) == members(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("u64 a;", "unsigned int a;"),
        ("u64 a;", "long a;"),
        ("signed char a;", "char a;"),
        ("u64 a; u64 b;", "u64 a, *b;"),
        ("u64 a; u64 b;", "u32 a, b;"),
        ("MACRO(a, b);", "MACRO(a); MACRO(b);"),
    ],
)
def test_other_layouts(one: str, other: str) -> None:
    assert members(one) != members(other)


def test_packing_is_a_part_of_the_layout() -> None:
    text = "struct a { u32 x; u64 y; }"
    plain = definitions(f"{text};").structs["a"]
    packed = definitions(f"{text} __packed;").structs["a"]
    aligned = definitions(f"{text} __attribute__((aligned(4)));").structs["a"]
    behind = definitions(f"{text} __packed __aligned(8);").structs["a"]
    each = (plain, packed, aligned, behind)
    assert len({layout(body, Values({})).types for body in each}) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("struct a { u32 x; } __packed;", "struct a { u32 x; } __attribute__((packed));"),
        ("struct a { u32 x; } __packed;", "struct __attribute__((__packed__)) a { u32 x; };"),
        ("struct a { u32 x; } __packed;", "struct __packed a { u32 x; };"),
        ("struct a { u32 x; };", "struct a { u32 x; } variable;"),
        ("struct a { u32 x; };", "#pragma pack(1)\n#pragma pack()\nstruct a { u32 x; };"),
        ("struct a { u32 x; };", "#pragma pack(push, 1)\n#pragma pack(pop)\nstruct a { u32 x; };"),
        ("struct a { u32 x; };", "#ifdef B\nstruct a { u32 x; };\n#endif"),
        ("typedef struct { u32 x; } a;", "struct a { u32 x; };"),
        ("typedef struct a { u32 x; } b;", "struct a { u32 x; };"),
    ],
)
def test_the_same_struct_in_other_words(one: str, other: str) -> None:
    assert definitions(one).structs["a"] == definitions(other).structs["a"]


@pytest.mark.parametrize(
    "other",
    [
        "#pragma pack(1)\nstruct a { u32 x; u64 y; };",
        "#pragma pack(push, 1)\nstruct a { u32 x; u64 y; };\n#pragma pack(pop)",
        "#pragma pack(push)\n#pragma pack(2)\nstruct a { u32 x; u64 y; };",
        "struct a {\n#ifdef B\nu32 x;\n#endif\nu64 y; };",
        "struct a {\n#pragma pack(1)\nu32 x; u64 y; };",
        "struct a { u32 x; u64 y; } __attribute__((packed, aligned(8))) __aligned(16);",
        "typedef struct a { u32 x; u64 y; } b __packed;",
    ],
)
def test_another_struct(other: str) -> None:
    plain = definitions("struct a { u32 x; u64 y; };").structs["a"]
    assert str(layout(definitions(other).structs["a"], Values({}))) != str(
        layout(plain, Values({}))
    )


def test_members_under_if() -> None:
    under = members("u64 a;\n#ifdef CONFIG_B\nu32 b, c;\n#else\nu64 d;\n#endif\nu64 e;")
    assert [name for name, _ in under] == ["a", "", "b", "c", "", "d", "", "e"]
    assert under[1] == ("", "# ifdef CONFIG_B")


def test_enumerators_under_if() -> None:
    found = definitions("enum { A,\n#ifdef X\nB,\n#endif\nC, D = 7 };").constants
    values = Values(found)
    assert [values.of(name) for name in "ABCD"] == [0, None, None, 7]


def test_typedefs() -> None:
    found = definitions("""
        typedef u64 pos_t; typedef pos_t place_t; typedef u8 id_t[SIZE]; typedef struct a a;
        typedef int (*call_t)(int); typedef struct kho_vmalloc *area_t;
    """)
    values = Values({"SIZE": ("16",)})
    aliases = aliases_of(found.typedefs, values)
    code = tokens("u64 x; place_t y; id_t z; struct a a; call_t call; area_t area; struct pos_t t;")
    assert layout(code, values, aliases) == layout(
        ("u64", "x", ";", "u64", "y", ";", "u8 [ 16 ]", "z", ";", "struct", "a", "a", ";",
         "call_t", "call", ";", "struct", "kho_vmalloc", "*", "area", ";", "struct", "pos_t", "t"),
        values,
    )  # fmt: skip


def test_what_stands_under_if_and_else_is_all_kept() -> None:
    found = definitions("#if A\n#define N 1\n#else\n#define N 2\n#endif")
    assert found.constants["N"] == ("1", ";", "2")
    assert Values(found.constants).of("N") is None


PIECES = st.sampled_from(
    ["/*", "*/", "//", '"', "'", "\\", "\\\n", "\n", "#define ", "A", "(", ")", "struct s {", "{",
     "}", ";", ",", "enum {", "enum e {", "=", "u64 a", "[", "]", " ", "DECLARE_X(", ":",
     "typedef ", "\n#pragma pack(", "\n#if 1\n", "struct __packed s {"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_nothing_raises(text: str) -> None:
    found = definitions(text)
    values = Values(found.constants)
    for name in found.constants:
        values.of(name)
    aliases = aliases_of(found.typedefs, values)
    for body in found.structs.values():
        str(layout(body, values, aliases))


def test_hostile_text_takes_no_longer() -> None:
    for piece in (
        "/*",
        "//",
        '"\\"',
        "struct a {",
        "{",
        "(",
        "#define A A\n",
        "enum {A,",
        "[,",
        "typedef a b;",
        "#pragma pack(push,1)\n",
        "typedef struct {",
    ):
        definitions(piece * (200_000 // len(piece)))
    for piece in ("u64 ", "a, ", "a b, ", "a, b; ", "long "):
        layout(tokens(piece * (200_000 // len(piece))), Values({}))
