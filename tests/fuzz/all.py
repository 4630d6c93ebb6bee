"""Every target there is."""

from __future__ import annotations

from tests.fuzz import answers, files, messages, questions

TARGETS = (*messages.TARGETS, *answers.TARGETS, *questions.TARGETS, *files.TARGETS)
