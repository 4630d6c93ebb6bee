"""Why there is no backup, or nothing was restored."""


class BackupError(Exception):
    """A sentence for people, with what to do about it."""
