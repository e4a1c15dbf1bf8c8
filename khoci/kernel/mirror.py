"""Where this machine's Debian mirror is: an override, or what apt is configured to use."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote

from khoci.errors import HarnessError

if TYPE_CHECKING:
    from khoci.config.kernels import Package

OVERRIDE = "KHOCI_DEBIAN_MIRROR"
_SCHEMES = ("http://", "https://", "file:/")


def mirrors() -> list[str]:
    """Base addresses of Debian archives, in the order to try, each ending in a slash.

    Raises:
        HarnessError: apt knows none and ``$KHOCI_DEBIAN_MIRROR`` is not set.
    """
    override = os.environ.get(OVERRIDE)
    found = [override] if override else _apt_archives()
    if not found:
        raise HarnessError(
            f"no Debian mirror known: this machine's apt names none; set {OVERRIDE} to the address "
            "of one (it has a folder pool/), or set up a git tree with KHOCI_LINUX_GIT"
        )
    return [base.rstrip("/") + "/" for base in found]


def deb_name(package: Package) -> str:
    """The file name of a package in the pool (its version has no epoch)."""
    return f"{package.name}_{package.version}_{package.arch}.deb"


def pool_path(package: Package) -> str:
    """The path of a package below the mirror's base, ready for an address."""
    return quote(f"pool/main/l/{package.pool}/{deb_name(package)}", safe="/~+")


def _apt_archives() -> list[str]:
    if shutil.which("apt-get") is None:
        return []
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [uri for uri in dict.fromkeys(listed.split()) if uri.startswith(_SCHEMES)]
