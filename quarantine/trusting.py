"""Who is trusted not to send spam."""

from __future__ import annotations

from collections.abc import Collection

from quarantine.models.antispam import TrustedSender


def trusted_of(senders: Collection[str]) -> set[str]:
    """Those of the senders that are trusted, by their address or domain."""
    named = {sender: {sender.lower(), sender.rpartition("@")[2].lower()} for sender in senders if sender}
    asked = set().union(*named.values()) if named else set()
    known = set(TrustedSender.objects.filter(pattern__in=asked).values_list("pattern", flat=True)) if asked else set()
    return {sender for sender, names in named.items() if names & known}
