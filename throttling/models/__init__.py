"""Data of the throttling app, one module per subject."""

from throttling.models.events import ThrottleEvent, ThrottleNotice
from throttling.models.guard import GuardAction, GuardEvent, GuardPeak, GuardPolicy
from throttling.models.ledger import HeldEntry, Passage
from throttling.models.settings import ThrottleSettings

__all__ = [
    "GuardAction",
    "GuardEvent",
    "GuardPeak",
    "GuardPolicy",
    "HeldEntry",
    "Passage",
    "ThrottleEvent",
    "ThrottleNotice",
    "ThrottleSettings",
]
