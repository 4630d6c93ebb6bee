"""Credentials at rest: sealed with a key that is kept beside the database, not in it."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.dispatch import Signal

# Sent before a new key is made: a receiver that raises prevents it. Another key beside one that is hidden would leave
# what that one sealed unreadable.
key_is_to_be_made = Signal()


class CannotUnseal(Exception):
    """The credential was sealed with another key; it has to be entered again."""


def seal(text: str) -> str:
    """`text` as a token that only this installation can read."""
    return Fernet(_key()).encrypt(text.encode()).decode()


def unseal(token: str) -> str:
    """The reverse of `seal`. Raises CannotUnseal."""
    try:
        return Fernet(_key()).decrypt(token.encode()).decode()
    except InvalidToken as error:
        raise CannotUnseal("the stored password can't be read with this installation's key; enter it again") from error


def secret_for(purpose: str) -> bytes:
    """32 bytes that only this installation has, the same each time, others for each purpose."""
    return hmac.digest(_key(), purpose.encode(), "sha256")


def make_key() -> None:
    """Have a key, if there is none yet."""
    _key()


def key_digest() -> str:
    """What tells the key from others, and says nothing of it; empty as long as there is none."""
    path = _path()
    return hmac.digest(path.read_bytes(), b"which key this is", "sha256").hex() if path.exists() else ""


def _path() -> Path:
    path: Path = settings.HOME.keys / "credentials.key"
    return path


def _key() -> bytes:
    path = _path()
    if not path.exists():
        key_is_to_be_made.send(None)
        settings.HOME.create()
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_bytes(Fernet.generate_key())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        draft.unlink()
    return path.read_bytes()
