"""The accounts in the console, a module for each subject. `User.is_staff` lets in system administrators only."""

import django.contrib.auth.admin  # noqa: F401 (it registers Group)
from django.contrib import admin
from django.contrib.auth.models import Group

from accounts.admin import aliases, defaults, domains, lists, sign_in, users

__all__ = ["aliases", "defaults", "domains", "lists", "sign_in", "users"]

# Whichever of the two was loaded first. Here roles say what somebody may do, and groups nothing.
admin.site.unregister(Group)
