from __future__ import annotations

import os
import signal

from hypothesis import settings

settings.register_profile("khoci", deadline=None)
settings.load_profile("khoci")

signal.signal(signal.SIGINT, signal.default_int_handler)
"""What a shell runs in the background ignores SIGINT, and so would all that is started here."""

os.environ["KHOCI_NO_CELL_CACHE"] = "1"
"""A test wants to see what cells do now; tests of the cell cache take this away."""
