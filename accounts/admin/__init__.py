"""The accounts in the console, a module for each subject. `User.is_staff` lets in system administrators only."""

from django.contrib import admin
from django.contrib.auth.models import Group

from accounts.admin import aliases, defaults, domains, lists, users

__all__ = ["aliases", "defaults", "domains", "lists", "users"]

# django.contrib.auth, which is loaded before this, registers it. Here a role says what somebody may do: no group does.
admin.site.unregister(Group)
