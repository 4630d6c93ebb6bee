"""The settings of the tests' listener: Mailspool's own, and a check that refuses when a test asks for it."""

from mailspool.settings import *  # noqa: F403
from mailspool.settings import SPOOL_SMTP_CHECKS as _CHECKS

SPOOL_SMTP_CHECKS = [*_CHECKS, "tests.spool.smtpd.checks.RefusesOnRequest", "tests.spool.smtpd.checks.Breaks"]
