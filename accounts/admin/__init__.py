"""The accounts in the console, a module for each subject. `User.is_staff` lets in system administrators only."""

from django.contrib import admin
from django.contrib.auth.admin import Group

from accounts.admin import aliases, defaults, domains, lists, users

__all__ = ["aliases", "defaults", "domains", "lists", "users"]

# Here a role says what somebody may do: a group would say nothing.
admin.site.unregister(Group)
