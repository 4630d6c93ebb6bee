"""Fixtures for all tests of the spool."""

from __future__ import annotations

from tests.spool.passing import spool
from tests.spool.spooling import admin, spooled, take

__all__ = ["admin", "spool", "spooled", "take"]
