"""Fixtures of real passes."""

from __future__ import annotations

from tests.spool.passing import spool

__all__ = ["spool"]
