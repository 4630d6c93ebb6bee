"""Whether the ports see who their clients are."""

from __future__ import annotations

from collections.abc import Iterator

from mailspool.inspection.findings import Finding, warning
from security import hidden


def clients() -> Iterator[Finding]:
    """Whether strangers come in by an internal address, which then is everybody's."""
    if told := hidden.sentence(hidden.addresses()):
        yield warning("clients", told)
