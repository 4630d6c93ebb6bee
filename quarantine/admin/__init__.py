"""The quarantine in the console, a module for each subject. Django finds it by this name."""

from quarantine.admin import antispam, antivirus, items

__all__ = ["antispam", "antivirus", "items"]
