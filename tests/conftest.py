from __future__ import annotations

from hypothesis import settings

settings.register_profile("khoci", deadline=None)
settings.load_profile("khoci")
