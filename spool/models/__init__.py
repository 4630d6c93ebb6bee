"""Data of the spool, one module per subject."""

from spool.models.attempt import Attempt
from spool.models.bounce import ReceivedBounce
from spool.models.entry import Direction, Entry, Origin, Priority, Status
from spool.models.recipient import Kind, Outcome, Recipient
from spool.models.route import Route, RouteKind, TLSPolicy
from spool.models.settings import Settings
from spool.models.subspool import Subspool
from spool.models.trace import Trace

__all__ = [
    "Attempt",
    "Direction",
    "Entry",
    "Kind",
    "Origin",
    "Outcome",
    "Priority",
    "ReceivedBounce",
    "Recipient",
    "Route",
    "RouteKind",
    "Settings",
    "Status",
    "Subspool",
    "TLSPolicy",
    "Trace",
]
