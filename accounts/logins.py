"""A short memory of passwords that were right: a mail program logs in for each message, and Argon2 is slow on purpose.

What is kept, in this process alone, is an HMAC over the stored hash and the password, under a key that no other
process knows. A changed password has another stored hash, so it counts at once; whether the user may log in is not
remembered at all. Wrong passwords are never kept: guessing stays as slow as Argon2 makes it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from accounts.models import User
from base.expiring import ExpiringSet

REMEMBERED_SECONDS = 600.0
MOST_REMEMBERED = 10_000

_secret = secrets.token_bytes(32)
_right: ExpiringSet[bytes] = ExpiringSet(REMEMBERED_SECONDS, MOST_REMEMBERED)


def is_remembered(user: User, password: str) -> bool:
    """Whether it was the user's password not long ago, and still is. Quick; any thread may ask."""
    return _mark(user, password) in _right


def is_right(user: User, password: str) -> bool:
    """Whether it is the user's password. Slow (Argon2) unless it is remembered; any thread may ask."""
    if is_remembered(user, password):
        return True
    if not user.check_password(password):
        return False
    # check_password may have stored a newer kind of hash.
    _right.add(_mark(user, password))
    return True


def forget() -> None:
    """Drop what this process remembers."""
    _right.clear()


def _mark(user: User, password: str) -> bytes:
    stored = user.password.encode()
    # The length keeps hash and password apart.
    text = len(stored).to_bytes(4, "big") + stored + password.encode("utf-8", "surrogatepass")
    return hmac.digest(_secret, text, hashlib.sha256)
