"""A tiny tree whose Makefile imitates kbuild, and ways to pack it: kernels 'build' in a moment."""

from __future__ import annotations

import io
import lzma
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KCONFIG = """\
mainmenu "Fake Linux"

source "arch/$(SRCARCH)/Kconfig"

config DEFERRED_STRUCT_PAGE_INIT
	bool "Late init of struct pages"
	default y
	help
		Say Y. This text has
		if NONSENSE and depends on NOTHING in it.

menu "Kexec"
	depends on KEXEC_CORE

config KEXEC_HANDOVER
	bool "kexec handover"
	depends on ARCH_SUPPORTS_KEXEC_HANDOVER && ARCH_SUPPORTS_KEXEC_FILE
	depends on !DEFERRED_STRUCT_PAGE_INIT
	select CMA

endmenu

config CMA
	bool

if EXPERT
config HIDDEN
	bool "Hidden from most" if DEBUG
endif
"""

ARCH_KCONFIG = """\
config ARCH_SUPPORTS_KEXEC_HANDOVER
	def_bool y
"""

MAKEFILE = """\
VERSION = 6
PATCHLEVEL = 18
SUBLEVEL = 15
EXTRAVERSION =

ifeq ($(O),)
$(error not an out-of-tree build)
endif

include Kbuild

.PHONY: allnoconfig bzImage
allnoconfig:
	@echo "  HOSTCC  scripts/kconfig/conf.o"
	@grep -v -f lost $(O)/$(KCONFIG_ALLCONFIG) > $(O)/.config; true

$(O)/%.o: %.c common.h
	@echo "  CC      $*.o"
	@cat $< common.h > $@
	@if grep -q '#error' $@; then echo "$<:1:2: error: so it says"; rm $@; exit 1; fi

bzImage: $(addprefix $(O)/,$(obj-y))
	@echo $$PPID >> @RUNS@
	@if [ -e broken ]; then echo "a.c:7:1: error: expected ';'"; exit 1; fi
	@if [ -e slow ]; then sleep 60; fi
	@if [ -e pause ]; then sleep 1; fi
	@mkdir -p $(O)/arch/x86/boot $(O)/include/config
	@echo "$(KBUILD_BUILD_TIMESTAMP) $$USER" | cat - $^ $(O)/.config > \\
		$(O)/arch/x86/boot/bzImage
	@echo "ffffffff81000000 T _text" > $(O)/System.map
	@echo 6.18.15 > $(O)/include/config/kernel.release
"""


SOURCES = {
    "Kbuild": "obj-y := source.o a.o b.o c.o\n",
    "source.c": "int main;\n",
    "a.c": "int a;\n",
    "b.c": "int b;\n",
    "c.c": "int c;\n",
    "common.h": "int common;\n",
}


def make_tree(folder: Path, **extra: str) -> Path:
    """Write the tree; ``extra`` are further files at its top. Builds are counted in ``runs``."""
    files = {
        "Makefile": MAKEFILE.replace("@RUNS@", str(folder.parent / "runs")),
        "Kconfig": KCONFIG,
        "arch/x86/Kconfig": ARCH_KCONFIG,
        **SOURCES,
        "lost": "SYMBOL_THAT_IS_NEVER_ASKED\n",
        "drivers/gpu/drm/big.c": "/* much */\n",
        "drivers/gpu/drm/Kconfig": "config DRM\n\tbool\n",
        **extra,
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def pack(tree: Path, compress: Callable[[bytes], bytes] = lzma.compress) -> bytes:
    """The tree as tar archive, below one top folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(tree, arcname="linux-source-6.18")
    return compress(buffer.getvalue())


def deb(files: dict[str, bytes]) -> bytes:
    """A Debian package with these files."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", b"odd"),
        ("data.tar.xz", data.getvalue()),
    ]
    return b"!<arch>\n" + b"".join(_ar_member(name, content) for name, content in members)


def _ar_member(name: str, content: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
    return header + content + b"\n" * (len(content) % 2)
