"""What administrators do about limits: one function each, for page and command alike. Each is written down.

System administrators reach everybody; domain administrators the users and lists of their domain, not its own limits.
"""

from spool.actions import NotAllowed
from throttling.actions.limits import disable, raise_limit, raise_to, set_limits
from throttling.actions.release import NothingToRelease, Released, release
from throttling.actions.subjects import NoSuchSubject, find, row_of, subject_of

__all__ = [
    "NoSuchSubject",
    "NotAllowed",
    "NothingToRelease",
    "Released",
    "disable",
    "find",
    "raise_limit",
    "raise_to",
    "release",
    "row_of",
    "set_limits",
    "subject_of",
]
