"""The face as an app, for its commands; and the admin site, whose pages are loaded with the URLs, not at each start."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks

from mailspool import model_names


class FaceConfig(AppConfig):
    """It has commands (management/commands), and no tables."""

    name = "mailspool"

    def ready(self) -> None:
        model_names.translate()


class ConsoleConfig(SimpleAdminConfig):
    """Listeners, workers and commands show no pages: without them a process starts in two thirds of the time."""

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_pages, checks.Tags.admin)


def check_pages(**kwargs: Any) -> list[checks.CheckMessage]:
    """Django's own check of all admin pages, which loads them first: checks run in no order."""
    admin.autodiscover()
    return check_admin_app(**kwargs)
