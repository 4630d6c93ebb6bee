"""`manage.py send`: submit a test message and print what the server says."""

import argparse
import re
import smtplib
import ssl
import sys
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Exit status: 0 taken, 1 refused."""

    help = "Submit a test message by SMTP to this server, or to another."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--from", dest="sender", required=True)
        parser.add_argument("--to", action="append", required=True)
        parser.add_argument("--subject", default="A test from Mailspool")
        parser.add_argument("--body", default="This message was sent by `manage.py send`.\n")
        parser.add_argument("--eml", type=Path, help="send this file instead")
        parser.add_argument("--host", default=settings.MAILSPOOL_BIND)
        parser.add_argument("--port", type=int, help="default: the SMTP port, or the submission port with --user")
        parser.add_argument("--user", default="", help="log in, under TLS")
        parser.add_argument("--password", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        user = options["user"]
        port = options["port"] or (settings.MAILSPOOL_SUBMISSION_PORT if user else settings.MAILSPOOL_SMTP_PORT)
        try:
            with smtplib.SMTP(options["host"], port, timeout=60) as client:
                if user:
                    # Our own certificate is self-signed at first; this command is for trying things out.
                    client.starttls(context=_any_certificate())
                    client.login(user, options["password"])
                client.ehlo_or_helo_if_needed()
                client.mail(options["sender"])
                for address in options["to"]:
                    self._say(address, client.rcpt(address))
                self._say("message", client.data(_content(options)))
        except (OSError, smtplib.SMTPException) as error:
            self.stderr.write(str(error))
            sys.exit(1)

    def _say(self, what: str, answer: tuple[int, bytes]) -> None:
        code, text = answer
        self.stdout.write(f"{what}: {code} {text.decode(errors='replace')}")
        if code >= 400:
            sys.exit(1)


def _content(options: dict[str, Any]) -> bytes:
    if options["eml"]:
        return re.sub(rb"\r\n|\r|\n", b"\r\n", options["eml"].read_bytes())
    message = EmailMessage()
    message["From"], message["To"] = options["sender"], ", ".join(options["to"])
    message["Subject"], message["Date"], message["Message-ID"] = options["subject"], formatdate(), make_msgid()
    message.set_content(options["body"])
    return message.as_bytes(policy=SMTP)


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
