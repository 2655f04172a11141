from __future__ import annotations

from tests.rehearsals import start

__all__ = ["start"]
