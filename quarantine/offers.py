"""What can be done in the quarantine's room to senders, in the order of their menu; and to the lists of users."""

from __future__ import annotations

from quarantine.actions.listed import ALLOW_SENDER, BLOCK_SENDER, UNLIST_SENDER
from quarantine.actions.trust import DISTRUST, TRUST

ACTIONS = (TRUST, DISTRUST, ALLOW_SENDER, BLOCK_SENDER, UNLIST_SENDER)
