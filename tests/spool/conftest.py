"""Fixtures for all tests of the spool."""

from __future__ import annotations

from tests.spool.passing import spool
from tests.spool.spooling import admin, in_rows, spooled, take

__all__ = ["admin", "in_rows", "spool", "spooled", "take"]
