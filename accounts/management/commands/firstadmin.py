"""`manage.py firstadmin`: makes the first system administrator of a new installation."""

import argparse
import json
import os
import secrets
import sys
from typing import Any, NoReturn

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand

from accounts import actions
from accounts.addresses import InvalidAddress
from accounts.models import Role, User


class Command(BaseCommand):
    """Does nothing when there is a system administrator already. Exit status: 0 done, 1 refused."""

    help = "Make the first system administrator, unless there is one. The password is printed once."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        made: dict[str, str] = {}
        if not User.objects.filter(role=Role.SYSTEM_ADMINISTRATOR).exists():
            made = self._make()
        if options["json"]:
            self.stdout.write(json.dumps(made))
        elif made:
            password = f"  password: {made['password']}" if "password" in made else ""
            self.stdout.write(f"First administrator: {made['email']}{password}")

    def _make(self) -> dict[str, str]:
        """Who was made; with the password when it was made up here."""
        email = os.environ.get("MAILSPOOL_ADMIN_EMAIL") or "admin@localhost"
        given = os.environ.get("MAILSPOOL_ADMIN_PASSWORD", "")
        password = given or secrets.token_urlsafe(12)
        try:
            user = actions.add_user(email, password, role=Role.SYSTEM_ADMINISTRATOR)
        except InvalidAddress as error:
            self._refuse(f"MAILSPOOL_ADMIN_EMAIL: {error}")
        except actions.AddressTaken as error:
            self._refuse(f"MAILSPOOL_ADMIN_EMAIL: {error}")
        except ValidationError as error:
            self._refuse(f"MAILSPOOL_ADMIN_PASSWORD: {' '.join(error.messages)}")
        return {"email": user.email} if given else {"email": user.email, "password": password}

    def _refuse(self, sentence: str) -> NoReturn:
        self.stderr.write(sentence)
        sys.exit(1)
