"""What was done to many rows at once, in the history that Django's admin shows of each."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest


def log(request: HttpRequest, rows: QuerySet[Any], message: str) -> None:
    """Note in the history of each row what was done to all of them."""
    if request.user.pk is not None:
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, change_message=message)
