"""What can be done about limits, in the order of the menus."""

from __future__ import annotations

from throttling.actions.limits import RAISE_LIMIT, SET_LIMITS
from throttling.actions.release import RELEASE

ACTIONS = (RELEASE, SET_LIMITS, RAISE_LIMIT)
