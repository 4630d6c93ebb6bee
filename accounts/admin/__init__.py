"""The accounts in the console, a module for each subject. `User.is_staff` lets in system administrators only."""

from accounts.admin import aliases, defaults, domains, lists, users

__all__ = ["aliases", "defaults", "domains", "lists", "users"]
