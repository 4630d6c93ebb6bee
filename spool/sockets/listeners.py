"""Which listeners there are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listener:
    """`name` is what settings, units and logs call it; `variable` says where it listens."""

    name: str
    purpose: str
    variable: str


SMTP = Listener("smtp", "SMTP", "MAILSPOOL_SMTP_PORT")
SUBMISSION = Listener("submission", "mail submission", "MAILSPOOL_SUBMISSION_PORT")
SMTPS = Listener("smtps", "SMTP with TLS", "MAILSPOOL_SMTPS_PORT")
WEB = Listener("web", "the console", "MAILSPOOL_WEB_PORT")
MAIL = (SMTP, SUBMISSION, SMTPS)
EVERY = (*MAIL, WEB)
