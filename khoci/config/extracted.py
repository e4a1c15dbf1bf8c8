"""What ``matrix/abi/RELEASE.json`` says of a release that ``RELEASE.toml`` then need not say.

The JSON is made of the sources by `khoci abi extract`; the TOML holds what only code shows: how a
reader takes what is odd, and limits. Where both say something it has to be the same.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from khoci.config.toml import Table
from khoci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_BLOB = ("KHO_SUB_TREE_PROP_NAME", "KHO_FDT_SUB_TREE_PROP_NAME", "PROP_SUB_FDT")
_LUO = ("LUO_ABI_COMPATIBLE", "LUO_FDT_COMPATIBLE")
_LAYOUTS = {512: "A", 4096: "B"}
_LISTS = {"u64[]": "inline", "struct kho_vmalloc": "vmalloc"}
_NATIVE = "12"
"""The size of a page of x86_64, in log2."""


def with_extracted(top: Table, path: Path) -> Table:
    """The tables of a release, with what its JSON file says; the same if there is none.

    Raises:
        UsageError: the file cannot be read, or says something else than the TOML.
    """
    if not path.is_file():
        return top
    try:
        told = _facts(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: is no file of khoci abi extract: {error!r}") from None
    values = dict(top.values)
    for name, facts in told.items():
        table = top.table(name) or Table(top.file, name, {})
        for key, value in facts.items():
            if table.values.get(key, value) != value:
                said = f"key '{key}' is {table.values[key]!r}"
                raise table.error(f"{said}, and {path.name} says {value!r}: take it out here")
        values[name] = {**facts, **table.values}
    return replace(top, values=values)


def _facts(data: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    values = {**dict(_values(data["versions"])), **dict(_values(data["constants"]))}
    structs = data["structs"]
    read_as = {need["name"]: need["type"] for need in data["needs"] if need["what"] == "property"}
    found: dict[str, dict[str, object]] = {
        "root": {"compatible": values["KHO_FDT_COMPATIBLE"], "blob": _first(values, _BLOB)},
        "memory_map": {"layout": _layout(values, structs)},
        "reserve_mem": {
            "compatible": values["MEMBLOCK_KHO_NODE_COMPATIBLE"],
            "region": values["RESERVE_MEM_KHO_NODE_COMPATIBLE"],
        },
        "kho_test": {
            "compatible": values.get("KHO_TEST_COMPAT"),
            "list": _LISTS.get(read_as.get("folios_info", "")),
        },
        "luo": _luo(values, structs),
        "kexec_metadata": {"version": values.get("KHO_KEXEC_METADATA_VERSION")},
    }
    known = ((name, {key: v for key, v in table.items() if v}) for name, table in found.items())
    return {name: table for name, table in known if table}


def _luo(values: Mapping[str, object], structs: Mapping[str, object]) -> dict[str, object]:
    compatible = _first(values, _LUO)
    if compatible is None:
        return {}
    handler = values.get("MEMFD_LUO_FH_COMPATIBLE")
    return {
        "compatible": compatible,
        "form": "struct" if "luo_ser" in structs else "fdt",
        "session": values.get("LUO_FDT_SESSION_COMPATIBLE"),
        "flb": values.get("LUO_FDT_FLB_COMPATIBLE"),
        "handlers": [handler] if handler else [],
    }


def _layout(values: Mapping[str, object], structs: Mapping[str, object]) -> str | None:
    bits = values.get("PRESERVE_BITS")
    if "kho_radix_leaf" in structs or not isinstance(bits, int):
        return "radix"
    return _LAYOUTS.get(bits // 8)


def _values(parts: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, part in parts.items():
        yield name, part["value"] if "value" in part else part["by_page_shift"][_NATIVE]


def _first(values: Mapping[str, object], names: tuple[str, ...]) -> object:
    return next((values[name] for name in names if name in values), None)
