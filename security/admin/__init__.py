"""The lists in the console, a module for each. System administrators only: `User.is_staff` lets in nobody else."""

from security.admin import blacklist, blocks, logins, whitelist

__all__ = ["blacklist", "blocks", "logins", "whitelist"]
