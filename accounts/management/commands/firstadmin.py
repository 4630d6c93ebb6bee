"""`manage.py firstadmin`: makes the first system administrator of a new installation."""

import os
import secrets
from typing import Any

from django.core.management.base import BaseCommand

from accounts.models import Role, User


class Command(BaseCommand):
    """Does nothing when there is a system administrator already."""

    help = "Make the first system administrator, unless there is one. The password is printed once."

    def handle(self, *args: Any, **options: Any) -> None:
        if User.objects.filter(role=Role.SYSTEM_ADMINISTRATOR).exists():
            return
        email = os.environ.get("MAILSPOOL_ADMIN_EMAIL") or "admin@localhost"
        given = os.environ.get("MAILSPOOL_ADMIN_PASSWORD", "")
        password = given or secrets.token_urlsafe(12)
        User.objects.create_superuser(email, password)
        self.stdout.write(f"First administrator: {email}" + ("" if given else f"  password: {password}"))
