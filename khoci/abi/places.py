"""Where a kernel's sources define the handover, and what belongs to which component. Pure.

Up to 6.19 most of it stands in the files that use it, from 7.0 on in ``include/linux/kho/abi/``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

HEADERS = "include/linux/kho/abi/"
"""In these headers everything is part of the handover; in other files only what has a component."""

_FILES = re.compile(
    r"""
    include/linux/kho/abi/[^/]+\.h
    | include/linux/(kho_radix_tree|kho_block|kexec_handover)\.h
    | include/asm-generic/kexec_handover\.h
    | include/uapi/linux/liveupdate\.h
    | arch/x86/include/uapi/asm/setup_data\.h
    | kernel/kexec_handover\w*\.[ch]
    | kernel/liveupdate/[^/]+\.[ch]
    | mm/(memblock|memfd_luo)\.c
    | lib/test_kho\.c
    """,
    re.VERBOSE | re.ASCII,
)

FEATURES = re.compile(r"\w+?_(?:CORE_)?FEATURES_(SUPP|REQ|ACTIVE)", re.ASCII)
"""Constants that are masks of features, and which."""

_DOCUMENTS = re.compile(
    r"Documentation/(?:[^/]+/)*(?:kho|liveupdate|luo|memfd_preservation|kexec-handover)"
    r"[^/]*(?:/[^/]+)*\.(?:rst|yaml|txt|dts)",
    re.ASCII,
)

FOLDERS = (
    *("include/linux", "include/linux/kho/abi", "include/asm-generic", "include/uapi/linux"),
    *("arch/x86/include/uapi/asm", "kernel", "kernel/liveupdate", "mm", "lib"),
)
"""Where those files are."""

WHICH = _FILES.pattern
"""Which files `is_handover` takes, as text."""

_COMPONENTS: Mapping[str, str] = {
    r"KHO_FDT_\w*MAP\w*|PROP_PRESERVED_MEMORY_MAP": "memory map",
    r"khoser_mem_\w+|kho_mem_phys_bits|PRESERVE_BITS|KHOSER_BITMAP_SIZE": "memory map",
    r"kho_radix_(node|leaf)|KHO_(RADIX|TABLE|BITMAP|TREE|ORDER)_\w+": "memory map",
    r"kho_vmalloc\w*|KHO_VMALLOC\w*": "vmalloc",
    r"kho_scratch\w*": "scratch",
    r"KHO_FDT_\w+|KHO_SUB_TREE_\w+|PROP_SUB_FDT|kho_data|DECLARE_KHOSER_PTR": "root",
    r"kho_block_header_ser|KHO_BLOCK_\w+": "block",
    r"luo_flb_(header_)?ser|LUO_FDT_FLB_\w+|LUO_FLB_PGCNT|LIVEUPDATE_FLB_\w+": "flb",
    r"luo_(file_set|session\w*)_ser|LUO_FDT_SESSION_\w+|LIVEUPDATE_SESSION_NAME_\w+": "session",
    r"luo_(file_)?ser|LUO_(FDT|ABI|KHO)_\w+|LIVEUPDATE_HNDL_\w+": "luo",
    r"memfd_luo_(folio_)?ser|MEMFD_LUO_\w+": "memfd",
    r"(MEMBLOCK|RESERVE_MEM)_KHO_\w+": "reserve_mem",
    r"KHO_TEST_\w+": "kho_test",
    r"kho_kexec_metadata|KHO_(KEXEC_)?METADATA_\w+": "kexec-metadata",
}
_BY_NAME = tuple((re.compile(names, re.ASCII), of) for names, of in _COMPONENTS.items())
_BY_HEADER: Mapping[str, str] = {
    "kexec_handover": "root",
    "luo": "luo",
    "memfd": "memfd",
    "memblock": "reserve_mem",
    "block": "block",
    "kexec_metadata": "kexec-metadata",
}
_KEPT_OUT = re.compile(r"LIVEUPDATE_TEST_\w+|_LINUX_\w+_H|KHO_VMALLOC_FLAGS_MASK", re.ASCII)

ROOT = "KHO_FDT_COMPATIBLE"
LUO = ("LUO_ABI_COMPATIBLE", "LUO_FDT_COMPATIBLE")
SESSION = "LUO_FDT_SESSION_COMPATIBLE"
FLB = "LUO_FDT_FLB_COMPATIBLE"
MEMFD = "MEMFD_LUO_FH_COMPATIBLE"
RESERVE_MEM = "MEMBLOCK_KHO_NODE_COMPATIBLE"
REGION = "RESERVE_MEM_KHO_NODE_COMPATIBLE"
KHO_TEST = "KHO_TEST_COMPAT"
METADATA = "KHO_KEXEC_METADATA_VERSION"
BLOB = ("KHO_SUB_TREE_PROP_NAME", "KHO_FDT_SUB_TREE_PROP_NAME", "PROP_SUB_FDT")
BITMAP_BITS = "PRESERVE_BITS"
LEAF_LOG2 = "KHO_BITMAP_SIZE_LOG2"
TREE_DEPTH = "KHO_TREE_MAX_DEPTH"

_GOVERNORS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("root", "memory map", "scratch", "vmalloc", "block"), (ROOT,)),
    "luo": LUO,
    "session": (SESSION, *LUO),
    "flb": (FLB, *LUO),
    "memfd": (MEMFD,),
    "reserve_mem": (RESERVE_MEM,),
    "kho_test": (KHO_TEST,),
    "kexec-metadata": (METADATA,),
}
_OWN: Mapping[str, tuple[str, ...]] = {
    "root": (ROOT,),
    "luo": LUO,
    "session": (SESSION,),
    "flb": (FLB,),
    "memfd": (MEMFD,),
    "reserve_mem": (RESERVE_MEM,),
    "kho_test": (KHO_TEST,),
    "kexec-metadata": (METADATA,),
}
_INSIDE: Mapping[str, str] = {"session": "luo", "flb": "luo", "memfd": "session"}
"""What holds a component, of those that are not in the root itself."""
_UNVERSIONED = frozenset({"uapi"})
"""What is not handed over to a kernel."""

_BY_FILE: Mapping[str, str] = {
    "test_kho": "kho_test",
    "memblock": "reserve_mem",
    "memfd_luo": "memfd",
    "luo_core": "luo",
    "luo_file": "luo",
    "luo_session": "session",
    "luo_flb": "flb",
    "kho_block": "block",
    "liveupdate": "uapi",
}

_PARTS: Mapping[str, str] = {
    "memory map": "radix",
    "vmalloc": "vmalloc",
    "block": "block",
    "scratch": "scratch",
}
"""What a composite version calls the part of a component."""

VERSIONS = frozenset({name for names in _GOVERNORS.values() for name in names} | {REGION})
"""Constants that are versions."""


def is_handover(path: str) -> bool:
    """Whether a file of a kernel's tree may define a part of the handover."""
    return _FILES.fullmatch(path) is not None


def is_feature_mask(name: str) -> bool:
    """Whether a constant says which features are supported, required or active: a proposal."""
    return FEATURES.fullmatch(name) is not None


def is_document(path: str) -> bool:
    """Whether a file of a kernel's tree tells of the handover in words."""
    return _DOCUMENTS.fullmatch(path) is not None


def component(name: str, path: str) -> str | None:
    """The component that a definition belongs to, None if it is no part of a handover.

    Of a header that khoci does not know it is what the header is called.
    """
    if _KEPT_OUT.fullmatch(name):
        return None
    found = next((of for names, of in _BY_NAME if names.fullmatch(name)), None)
    if found or not path.startswith(HEADERS):
        return found
    stem = PurePosixPath(path).stem
    return _BY_HEADER.get(stem, stem)


def governors(of: str) -> tuple[str, ...]:
    """The constants of which the first that a kernel has is the version of a component."""
    return _GOVERNORS.get(of, ())


def holders(of: str) -> tuple[str, ...]:
    """A component, and what has to be read before it is found, the root last."""
    found = [of]
    while (outer := _INSIDE.get(found[-1])) is not None:
        found.append(outer)
    if of in _UNVERSIONED or found[-1] == "root":
        return tuple(found)
    return (*found, "root")


def own_versions(of: str) -> tuple[str, ...]:
    """The names of constants that are a component's own version, none if others govern it."""
    return _OWN.get(of, ())


def chain(of: str) -> tuple[str, ...]:
    """The constants that are versions of a component, then those that are looked at before it."""
    return tuple(dict.fromkeys(name for each in holders(of) for name in own_versions(each)))


def component_of_file(path: str) -> str:
    """The component that the code of a file is about."""
    stem = PurePosixPath(path).stem
    return _BY_FILE.get(stem) or _BY_HEADER.get(stem, "root")


def part_name(of: str) -> str:
    """What a composite version calls the part that a component is."""
    return _PARTS.get(of, of)
