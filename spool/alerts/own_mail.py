"""Mail of this server to administrators: it goes into the spool like any other, and bounces to nobody."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid

from django.conf import settings as django_settings

from spool.addressing import accept
from spool.flow import intake
from spool.message.envelope import Envelope, Submission
from spool.message.summary import storable
from spool.models import Origin, Priority
from spool.models.settings import current


def postmaster() -> str:
    """From whom it is."""
    return current().postmaster_address


def send(address: str, subject: str, text: str, now: datetime) -> str:
    """Put it into our own spool; the file name there. Raises RefusedRecipient, IntakeError."""
    host = django_settings.MAILSPOOL_HOSTNAME
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Mailspool <{postmaster()}>"
    message["To"] = address
    message["Subject"] = storable(f"[{host}] {subject}", 200)
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=host)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    # From the null sender: what can't be delivered must not make more mail.
    envelope = Envelope("", accept(address, notify="NEVER"), origin=Origin.COMMAND, priority=Priority.HIGH)
    [name] = intake.accept([Submission(envelope, message.as_bytes())])
    return name
