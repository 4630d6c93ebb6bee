"""The settings of the tests' listener: Mailspool's own, and a check that refuses when a test asks for it."""

from tests.support.settings import *  # noqa: F403
from tests.support.settings import SPOOL_SMTP_CHECKS as _CHECKS

SPOOL_SMTP_CHECKS = [*_CHECKS, "tests.spool.smtpd.checks.RefusesOnRequest", "tests.spool.smtpd.checks.Breaks"]
