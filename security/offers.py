"""What can be done in Security to addresses, senders, domains and logins, in the order of their menus."""

from __future__ import annotations

from security.actions import logins, many, networks, senders

KINDS = {"ip": networks.ip_named, "sender": senders.sender_named, "login": logins.login_named}
ACTIONS = (
    networks.BLACKLIST,
    networks.UNBLOCK,
    senders.BLOCK_INBOUND,
    senders.END_INBOUND,
    senders.BLOCK_OUTBOUND,
    senders.END_OUTBOUND,
    logins.RELEASE_LOGIN,
    networks.UNWHITELIST,
    networks.WHITELIST,
    networks.UNBLACKLIST,
    many.BLACKLIST_MANY,
    senders.UNBLOCK_SMTP,
    many.BLOCK_MANY,
)
