"""`manage.py smtpd`: one listener process. Several may share the ports."""

import argparse
import os
from typing import Any

import uvloop
from django.core.management.base import CommandError

from accounts.management.terminal import TerminalCommand
from base import garbage
from spool.files import preconditions
from spool.smtpd.committer import Committer
from spool.smtpd.server import serve
from spool.sockets.inheritance import NotOurs, handed_over


class Command(TerminalCommand):
    """Take mail in by SMTP, submission and implicit-TLS submission."""

    help = "Take mail in by SMTP, submission and implicit-TLS submission."
    # For whom starts it by hand; --skip-checks is for what has checked before.
    requires_system_checks = "__all__"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--socket",
            action="append",
            default=[],
            metavar="NAME=NUMBER",
            help="a listening socket that this process has inherited, as smtp=7; smtp, submission, smtps",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        garbage.settle()
        try:
            handed = handed_over(os.environ, options["socket"])
            committer = Committer()
            committer.start(handed.every)
            uvloop.run(serve(committer, handed, preconditions.fault))
        except NotOurs as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"the listener could not start or go on: {error}") from error
