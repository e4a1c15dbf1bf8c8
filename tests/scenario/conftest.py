from __future__ import annotations

from tests.guest.conftest import built_agent

__all__ = ["built_agent"]
