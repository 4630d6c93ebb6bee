"""`manage.py firstadmin`: makes the first system administrator of a new installation."""

import argparse
import json
import secrets
import sys
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import ValidationError

from accounts import actions, first_password
from accounts.actor import Actor
from accounts.addresses import InvalidAddress, normalised_if_valid
from accounts.management.terminal import TerminalCommand
from accounts.models import Role, User


class Command(TerminalCommand):
    """Does nothing when there is a system administrator already. Exit status: 0 done, 1 refused."""

    help = (
        "Make the first system administrator, unless there is one. A terminal shows the password once; otherwise it"
        " stands in a file in the home until the first login."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")
        parser.add_argument(
            "--show-password", action="store_true", help="print the password, also where that is no terminal"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        first_password.forget_when_used()
        made: dict[str, str] = {}
        if not User.objects.filter(role=Role.SYSTEM_ADMINISTRATOR).exists():
            made = self._make(show=options["show_password"] or self.stdout.isatty())
        if options["json"]:
            self.stdout.write(json.dumps(made))
        elif made:
            password = f"  password: {made['password']}" if "password" in made else ""
            if "password_file" in made:
                password = f"  password: in {made['password_file']}, until the first login"
            self.stdout.write(f"First administrator: {made['email']}{password}")

    def _make(self, *, show: bool) -> dict[str, str]:
        """Who was made; with the password when it was made up here, or the file that it is in."""
        email, given = normalised_if_valid(settings.MAILSPOOL_ADMIN_EMAIL), settings.MAILSPOOL_ADMIN_PASSWORD
        password = given or secrets.token_urlsafe(12)
        if not given and not show:
            # Before the account: one whose password nobody knows would be of no use.
            first_password.keep(email, password)
        try:
            user = actions.add_user(email, password, role=Role.SYSTEM_ADMINISTRATOR, actor=Actor.at_the_shell())
        except InvalidAddress as error:
            self._refuse(f"MAILSPOOL_ADMIN_EMAIL: {error}")
        except actions.AddressTaken as error:
            self._refuse(f"MAILSPOOL_ADMIN_EMAIL: {error}")
        except ValidationError as error:
            self._refuse(f"MAILSPOOL_ADMIN_PASSWORD: {' '.join(error.messages)}")
        if given:
            return {"email": user.email}
        if show:
            return {"email": user.email, "password": password}
        return {"email": user.email, "password_file": str(first_password.path())}

    def _refuse(self, sentence: str) -> NoReturn:
        first_password.forget()
        self.stderr.write(sentence)
        sys.exit(1)
