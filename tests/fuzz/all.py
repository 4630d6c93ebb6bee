"""Every target there is."""

from __future__ import annotations

from tests.fuzz import answers, files, mail_reports, messages, questions, sent

TARGETS = (
    *messages.TARGETS,
    *answers.TARGETS,
    *questions.TARGETS,
    *files.TARGETS,
    *sent.TARGETS,
    *mail_reports.TARGETS,
)
