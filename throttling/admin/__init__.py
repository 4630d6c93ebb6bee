"""The places of throttling in the admin site."""

from throttling.admin import events, guard, settings

__all__ = ["events", "guard", "settings"]
