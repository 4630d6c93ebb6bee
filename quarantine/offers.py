"""What can be done in the quarantine's room to senders, in the order of their menu."""

from __future__ import annotations

from quarantine.actions.trust import DISTRUST, TRUST

ACTIONS = (TRUST, DISTRUST)
