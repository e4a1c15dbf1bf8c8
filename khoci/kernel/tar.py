"""The standard ``tarfile`` with extraction filters; its backport for a Python before 3.11.4.

Debian 12 has Python 3.11.2, which extracts whatever an archive says to wherever it says.
"""

from __future__ import annotations

import tarfile

if not hasattr(tarfile, "data_filter"):
    from backports import tarfile  # type: ignore[no-redef]

__all__ = ["tarfile"]
