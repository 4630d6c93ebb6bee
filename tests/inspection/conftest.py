"""Looks of `check`, each in the test's own process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailspool.inspection.all import inspect
from mailspool.inspection.findings import Finding, Level

Found = Callable[[str], list[Finding]]


@pytest.fixture
def found() -> Found:
    """What one look finds, by its path below mailspool.inspection; OK left out unless there is nothing else."""

    def look(path: str) -> list[Finding]:
        findings = list(inspect([f"mailspool.inspection.{path}"]))
        return [finding for finding in findings if finding.level is not Level.OK] or findings

    return look
