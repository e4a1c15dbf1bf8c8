from __future__ import annotations

from khoci.abi.needs import governed, needs, writes

FILE = "kernel/liveupdate/luo_flb.c"
VALUES = {"LUO_FDT_FLB_NODE_NAME": "luo-flb", "LUO_FDT_FLB_COMPATIBLE": "luo-flb-v1"}


def found(body: str, path: str = FILE) -> dict[str, tuple[str, str, bool]]:
    first = "static int first(void)\n{\n\treturn 0;\n}\n\n"
    text = f"{first}int __init reader(void *fdt)\n{{\n{body}\n}}\n"
    return {n.name: (n.what, n.type, n.required) for n in needs({path: text}, VALUES)}


def test_a_node_without_which_the_reader_gives_up() -> None:
    body = """
	offset = fdt_subnode_offset(fdt, 0, LUO_FDT_FLB_NODE_NAME);
	if (offset < 0) {
		pr_err("no node\\n");
		return -ENOENT;
	}"""
    assert found(body) == {"luo-flb": ("node", "", True)}


def test_a_node_that_may_be_missing() -> None:
    body = """
	offset = fdt_subnode_offset(fdt, 0, LUO_FDT_FLB_NODE_NAME);
	if (offset < 0)
		return 0;
	if (other)
		return -EINVAL;"""
    assert found(body) == {"luo-flb": ("node", "", False)}


def test_what_a_property_is_read_as() -> None:
    body = """
	const struct kho_vmalloc *one;
	const phys_addr_t *many;
	one = fdt_getprop(fdt, node, "one", &len);
	if (!one || len != sizeof(*one))
		return -EINVAL;
	many = fdt_getprop(fdt, node, "many", &len);
	if (!many || len != sizeof(*many) * *nr)
		goto error;"""
    assert found(body) == {
        "one": ("property", "struct kho_vmalloc", True),
        "many": ("property", "u64[]", True),
    }


def test_two_properties_in_one_condition() -> None:
    body = """
	start = fdt_getprop(fdt, node, "start", &len_start);
	size = fdt_getprop(fdt, node, "size", &len_size);
	if (!start || !size)
		return false;"""
    assert all(required for _, _, required in found(body).values())


def test_a_look_up_inside_of_the_condition() -> None:
    body = """
	if (kho_retrieve_subtree("memblock", &phys, NULL))
		return NULL;"""
    assert found(body) == {"memblock": ("subtree", "", True)}


def test_checks() -> None:
    body = """
	if (fdt_node_check_compatible(fdt, node, LUO_FDT_FLB_COMPATIBLE))
		return -EINVAL;
	if (unrelated > 3)
		return -EINVAL;"""
    assert list(found(body)) == [
        "fdt_node_check_compatible ( fdt , node , LUO_FDT_FLB_COMPATIBLE )"
    ]


def test_where_it_stands() -> None:
    code = '\tint a;\n\tp = fdt_getprop(f, 0, "magic", &l);\n\tif (!p)\n\t\treturn -1;'
    text = f"int reader(void)\n{{\n{code}\n}}\n"
    (need,) = needs({"lib/test_kho.c": text}, {})
    assert (need.place, need.function, need.component) == ("lib/test_kho.c:4", "reader", "kho_test")
    assert governed((need,), {"kho_test": "KHO_TEST_COMPAT"})[0].governor == "KHO_TEST_COMPAT"


def test_only_c_files_of_the_handover_count() -> None:
    body = '\tp = fdt_getprop(f, 0, "magic", &l);\n\tif (!p)\n\t\treturn -1;'
    assert found(body, "kernel/fork.c") == {}
    assert found(body, "kernel/liveupdate/luo_internal.h") == {}


def test_text_that_ends_early() -> None:
    code = 'x = fdt_getprop(a, b, "n", &l);\n\tif (!x || len != sizeof(*x) * n)\n\t\treturn'
    body = f"int f(void)\n{{\n\t{code}"
    for end in range(0, 120, 3):
        needs({"lib/test_kho.c": body[:end]}, {})


def test_what_is_written() -> None:
    body = """
	err = fdt_begin_node(fdt, LUO_FDT_FLB_NODE_NAME);
	err |= fdt_property(fdt, "header", &pa, sizeof(pa));
	err |= fdt_setprop(fdt, 0, "map", &pa, sizeof(pa));
	err |= fdt_property(fdt, variable, &pa, sizeof(pa));
	kho_add_subtree("LUO", fdt);"""
    text = f"int writer(void *fdt)\n{{\n{body}\n}}\n"
    found = writes({FILE: text, "kernel/fork.c": text.replace("LUO", "other")}, VALUES)
    assert found == ("node luo-flb", "property header", "property map", "subtree LUO")
