"""Every target there is."""

from __future__ import annotations

from tests.fuzz import answers, messages

TARGETS = (*messages.TARGETS, *answers.TARGETS)
