"""What administrators do to the lists: one function each, for page, command and other apps alike.

Each needs a system administrator (NotAllowed), checks what it is given (Refused, with a sentence for the user), is one
transaction, is written into the audit, and is in effect within a second in every process.
"""

from security.actions.logins import blacklist_guessers, blocks_of, change_rules, release
from security.actions.many import Added, blacklist_many, block_smtp_many, networks_in, set_expiry
from security.actions.networks import (
    blacklist,
    blacklisted,
    unblacklist,
    unwhitelist,
    whitelist,
)
from security.actions.rows import remove, save
from security.actions.senders import block_smtp, smtp_blocked, unblock_smtp

__all__ = [
    "Added",
    "blacklist",
    "blacklist_guessers",
    "blacklist_many",
    "blacklisted",
    "block_smtp",
    "block_smtp_many",
    "blocks_of",
    "change_rules",
    "networks_in",
    "release",
    "remove",
    "save",
    "set_expiry",
    "smtp_blocked",
    "unblacklist",
    "unblock_smtp",
    "unwhitelist",
    "whitelist",
]
