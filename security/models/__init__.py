"""The lists of the security app, a module for each subject."""

from security.models.logins import BlockReason, FailedLogin, KnownLogin, LoginBlock, LoginRules
from security.models.networks import BlacklistEntry, Protocol, Source, WhitelistEntry
from security.models.senders import BlockKind, Direction, SMTPBlock
from security.models.stamp import ListsStamp

__all__ = [
    "BlacklistEntry",
    "BlockKind",
    "BlockReason",
    "Direction",
    "FailedLogin",
    "KnownLogin",
    "ListsStamp",
    "LoginBlock",
    "LoginRules",
    "Protocol",
    "SMTPBlock",
    "Source",
    "WhitelistEntry",
]
