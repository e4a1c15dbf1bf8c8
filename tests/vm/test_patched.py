"""Building a patched kernel from the objects of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from khoci.config.kernels import load_kernels
from khoci.errors import BuildError
from khoci.kernel.cache import Artifact
from khoci.kernel.store import obtain
from khoci.paths import data_dir

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3000)]

HIDING = """\
diff --git a/include/linux/magic.h b/include/linux/magic.h
new file mode 100644
--- /dev/null
+++ b/include/linux/magic.h
@@ -0,0 +1 @@
+#error "this one is found first"
"""


@pytest.mark.parametrize("untrusted", [True, False])
def test_a_header_that_hides_another_is_seen(
    kernels: dict[str, Artifact], tmp_path: Path, untrusted: bool
) -> None:
    """All objects were compiled with ``include/uapi/linux/magic.h``; so ccache knows them too."""
    patch = tmp_path / "hide.patch"
    patch.write_text(HIDING)
    base = load_kernels(data_dir("matrix") / "kernels.toml").select("7.3")
    spec = replace(base, name="hiding", series=None, patches=(patch,), untrusted=untrusted)
    with pytest.raises(BuildError, match="this one is found first"):
        obtain(spec)
