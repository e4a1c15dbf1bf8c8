"""A tree that has just enough of a kernel to be configured, and to define a handover."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

_TYPES = """\
#ifndef _LINUX_TYPES_H
#define _LINUX_TYPES_H
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u64 phys_addr_t;
typedef unsigned long size_t;
typedef _Bool bool;
#define DECLARE_BITMAP(name, bits) unsigned long name[((bits) + 63) / 64]
#define __packed __attribute__((__packed__))
#define BITS_PER_BYTE 8
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define const_ilog2(n) (63 - __builtin_clzll(n))
#define BIT(n) (1UL << (n))
#define ALIGN(x, a) (((x) + (a) - 1) & ~((a) - 1))
#endif
"""
_PAGE = """\
#define PAGE_SHIFT CONFIG_PAGE_SHIFT
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
"""
_MAKEFILE = """\
VERSION = 9
PATCHLEVEL = 9
SUBLEVEL = 9
allnoconfig:
\t@printf 'CONFIG_PAGE_SHIFT=12\\nCONFIG_LIVEUPDATE=y\\n# CONFIG_X is not set\\n' > $(O)/.config
"""

KHO = """\
/*
 * DOC: the root says compatible = "kho-v3".
 */
#ifndef _LINUX_KHO_ABI_KEXEC_HANDOVER_H
#define _LINUX_KHO_ABI_KEXEC_HANDOVER_H

#include <linux/types.h>
#include <asm/page.h>

#define KHO_FDT_COMPATIBLE "kho-v4"
#define KHO_SUB_TREE_PROP_NAME "preserved-data"
#define DECLARE_KHOSER_PTR(name, type) \\
	union {                        \\
		u64 phys;              \\
		type ptr;              \\
	} name

struct kho_vmalloc_hdr {
	DECLARE_KHOSER_PTR(next, struct kho_vmalloc_chunk *);
};
#define KHO_VMALLOC_SIZE \\
	((PAGE_SIZE - sizeof(struct kho_vmalloc_hdr)) / sizeof(u64))
struct kho_vmalloc_chunk {
	struct kho_vmalloc_hdr hdr;
	u64 phys[KHO_VMALLOC_SIZE];
};
_Static_assert(sizeof(struct kho_vmalloc_chunk) == PAGE_SIZE, "a page");

enum kho_radix_consts {
	KHO_ORDER_0_LOG2 = 64 - PAGE_SHIFT,
	KHO_TABLE_SIZE_LOG2 = const_ilog2(PAGE_SIZE / sizeof(phys_addr_t)),
	KHO_BITMAP_SIZE_LOG2 = PAGE_SHIFT + const_ilog2(BITS_PER_BYTE),
	KHO_TREE_MAX_DEPTH =
		DIV_ROUND_UP(KHO_ORDER_0_LOG2 - KHO_BITMAP_SIZE_LOG2 + 1,
			KHO_TABLE_SIZE_LOG2) + 1,
};
struct kho_radix_leaf {
	DECLARE_BITMAP(bitmap, 1 << KHO_BITMAP_SIZE_LOG2);
};
#endif
"""
MEMFD = """\
#ifndef _LINUX_KHO_ABI_MEMFD_H
#define _LINUX_KHO_ABI_MEMFD_H
#include <linux/types.h>
#define MEMFD_LUO_FOLIO_DIRTY BIT(0)
struct memfd_luo_folio_ser {
	u64 pfn:52;
	u64 flags:12;
	u64 index;
} __packed;
#define MEMFD_LUO_FH_COMPATIBLE "memfd-v2"
#endif
"""
TEST_KHO = """\
#include <linux/module.h>
#define KHO_TEST_COMPAT "kho-test-v1"
#define KHO_TEST_MAGIC 0x4b484f21
struct kho_test_state {
	struct folio **folios;
};
static struct kho_test_state kho_test_state;
static int kho_test_restore_data(const void *fdt, int node)
{
	const unsigned int *nr_folios;
	int len;

	nr_folios = fdt_getprop(fdt, node, "nr_folios", &len);
	if (!nr_folios || len != sizeof(*nr_folios))
		return -EINVAL;
	return 0;
}
"""

HEADER = "include/linux/kho/abi/kexec_handover.h"
MEMFD_HEADER = "include/linux/kho/abi/memfd.h"
TEST_FILE = "lib/test_kho.c"

FILES = {
    "Makefile": _MAKEFILE,
    "Kconfig": "",
    "include/linux/compiler-version.h": "",
    "include/linux/kconfig.h": "#include <generated/autoconf.h>\n",
    "include/linux/compiler_types.h": "",
    "include/linux/types.h": _TYPES,
    **{
        f"include/linux/{name}.h": "#include <linux/types.h>\n"
        for name in ("bits", "bitmap", "log2", "math", "align", "sizes", "stddef")
    },
    "include/uapi/linux/fcntl.h": "",
    "arch/x86/include/asm/page.h": _PAGE,
    "include/asm-generic/unused.h": "",
    "include/uapi/asm-generic/unused.h": "",
    HEADER: KHO,
    MEMFD_HEADER: MEMFD,
    TEST_FILE: TEST_KHO,
    "Documentation/core-api/kho/index.rst": "Since kho-v4 a blob has a size; kho-v1 had none.\n",
    "drivers/other.c": "int other;\n",
}


def write(folder: Path, **changed: str) -> Path:
    """The tree in a folder; ``changed`` replaces in HEADER, MEMFD_HEADER or TEST_FILE."""
    for name, text in {**FILES, **changed}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def tarball(path: Path) -> Path:
    """The tree as an archive with one top folder."""
    with tarfile.open(path, "w:gz") as archive:
        for name, text in FILES.items():
            info = tarfile.TarInfo(f"linux-9.9.9/{name}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return path
