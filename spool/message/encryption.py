"""How a connection to another host was encrypted, and by what its certificate was verified: the text of an attempt.

    TLSv1.3 TLS_AES_256_GCM_SHA384 (verified by DANE)

Empty is clear text. Versions before wrote no more than *verified* and *unverified*.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Proof(StrEnum):
    """What proved that it was the right host."""

    DANE = "dane"
    MTA_STS = "mta-sts"
    # A certificate authority that this machine trusts, because a setting or a route asks for that.
    AUTHORITY = "ca"
    NOTHING = "unverified"
    CLEAR_TEXT = "none"


_WORDS: Final = {
    Proof.DANE: "verified by DANE",
    Proof.MTA_STS: "verified by MTA-STS",
    Proof.AUTHORITY: "verified",
    Proof.NOTHING: "unverified",
}
_PROOFS: Final = {f"({words})": proof for proof, words in _WORDS.items()}


def text_of(version: str, cipher: str, proof: Proof) -> str:
    """What is written down of an encrypted connection."""
    return f"{version} {cipher} ({_WORDS[proof]})"


def proof_of(text: str) -> Proof:
    """By what the host was verified, as such a text says."""
    return _PROOFS.get(text[text.find("(") :], Proof.NOTHING) if text else Proof.CLEAR_TEXT
