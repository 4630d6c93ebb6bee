"""`manage.py smtpd`: one listener process. Several may share the ports."""

import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailspool import garbage
from spool.smtpd.committer import Committer
from spool.smtpd.server import serve


class Command(BaseCommand):
    """Take mail in by SMTP, submission and implicit-TLS submission."""

    help = "Take mail in by SMTP, submission and implicit-TLS submission."

    def handle(self, *args: Any, **options: Any) -> None:
        garbage.settle()
        try:
            committer = Committer()
            committer.start()
            asyncio.run(serve(committer))
        except OSError as error:
            raise CommandError(f"the listener could not start or go on: {error}") from error
