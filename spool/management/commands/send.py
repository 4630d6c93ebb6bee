"""`manage.py send`: submit a test message and print what the server says."""

import argparse
import json
import re
import smtplib
import ssl
import sys
from datetime import UTC
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings

from accounts.management.terminal import TerminalCommand
from spool.actions.queue import moment_of
from spool.actions.verb import Refused

REFUSED = 1


class Command(TerminalCommand):
    """Exit status: 0 taken by all, 1 refused for some or all, 2 usage."""

    help = "Submit a test message by SMTP to this server, or to another."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--from", dest="sender", required=True)
        parser.add_argument("--to", action="append", required=True)
        parser.add_argument("--subject", default="A test from Mailspool")
        parser.add_argument("--body", default="This message was sent by `manage.py send`.\n")
        parser.add_argument("--eml", type=Path, help="send this file instead")
        parser.add_argument("--host", help="default: where this server listens")
        parser.add_argument("--port", type=int, help="default: the SMTP port, or the submission port with --user")
        parser.add_argument("--user", default="", help="log in, under TLS")
        parser.add_argument("--password", default="")
        parser.add_argument(
            "--at", metavar="TIME", help="have it leave later (with --user): 2h, 3d, 2026-12-31 18:00", default=""
        )
        parser.add_argument("--json", action="store_true", help="print the server's answers as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        self._answers: dict[str, str] = {}
        user = options["user"]
        listening = settings.MAILSPOOL_LISTEN["submission" if user else "smtp"]
        own = listening[0].reachable if listening else None
        host = options["host"] = options["host"] or (own.host if own else "127.0.0.1")
        port = options["port"] or (own.port if own else 0)
        if not port:
            self._stop(options, f"{'Mail submission' if user else 'SMTP'} is turned off here; give a --port of {host}.")
        try:
            options["release"] = moment_of(options["at"]) if options["at"] else None
            content = _content(options)
        except Refused as error:
            self._stop(options, str(error))
        except (OSError, ValueError) as error:
            self._stop(options, str(error))
        try:
            taken = self._submit(options, port, content)
        except (smtplib.SMTPException, ssl.SSLError) as error:
            self._stop(options, f"{options['host']}:{port}: {error}")
        except OSError as error:
            self._stop(options, f"No connection to {options['host']}:{port}: {error.strerror or error}")
        except UnicodeError:
            self._stop(options, "An address outside ASCII needs SMTPUTF8, which this command does not speak.")
        except ValueError as error:
            self._stop(options, str(error))
        if options["json"]:
            self.stdout.write(json.dumps(self._answers, indent=2))
        if not taken:
            sys.exit(REFUSED)

    def _submit(self, options: dict[str, Any], port: int, content: bytes) -> bool:
        """Whether every recipient and the message were taken."""
        with smtplib.SMTP(options["host"], port, timeout=60) as client:
            if options["user"]:
                # Our own certificate is self-signed at first; this command is for trying things out.
                client.starttls(context=_any_certificate())
                client.login(options["user"], options["password"])
            client.ehlo_or_helo_if_needed()
            hold = []
            if options["release"] is not None:
                if not client.has_extn("futurerelease"):
                    self._stop(options, f"{options['host']}:{port} does not take mail that is to leave later.")
                hold = [f"HOLDUNTIL={options['release'].astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"]
            if not self._say(options, options["sender"] or "<>", client.mail(options["sender"], hold)):
                return False
            taken = [self._say(options, address, client.rcpt(address)) for address in options["to"]]
            if not any(taken):
                return False
            return self._say(options, "message", client.data(content)) and all(taken)

    def _say(self, options: dict[str, Any], what: str, answer: tuple[int, bytes]) -> bool:
        code, text = answer
        self._answers[what] = f"{code} {text.decode(errors='replace')}"
        if not options["json"]:
            self.stdout.write(f"{what}: {self._answers[what]}")
        return code < 400

    def _stop(self, options: dict[str, Any], sentence: str) -> NoReturn:
        if options["json"]:
            self.stdout.write(json.dumps(self._answers, indent=2))
        self.stderr.write(sentence)
        sys.exit(REFUSED)


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
