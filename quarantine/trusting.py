"""Who is trusted not to send spam."""

from __future__ import annotations

from collections.abc import Collection

from spool import statements


def trusted_of(senders: Collection[str]) -> set[str]:
    """Those of the senders that are trusted, by their address or domain."""
    named = {sender: {sender.lower(), sender.rpartition("@")[2].lower()} for sender in senders if sender}
    asked = set().union(*named.values()) if named else set()
    if not asked:
        return set()
    marks = ", ".join(["%s"] * len(asked))
    found = statements.execute(f"SELECT pattern FROM quarantine_trustedsender WHERE pattern IN ({marks})", list(asked))  # noqa: S608
    known = {row[0] for row in found.fetchall()}
    return {sender for sender, names in named.items() if names & known}
