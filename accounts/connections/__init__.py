"""Who is connected, by whatever protocol and in whatever process, and how that is ended.

Listeners plug in as a Source (spool.smtpd does); web sessions are rows; Dovecot is asked over doveadm's HTTP API.
"""

from accounts.connections.bus import Source, serve_questions
from accounts.connections.connection import Connection, Match, Unreachable
from accounts.connections.registry import Dropped, Listing, drop, drop_one, listing

__all__ = [
    "Connection",
    "Dropped",
    "Listing",
    "Match",
    "Source",
    "Unreachable",
    "drop",
    "drop_one",
    "listing",
    "serve_questions",
]
