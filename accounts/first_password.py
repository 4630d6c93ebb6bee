"""The first administrator's password where nobody sat to see it: a file in the home, until it was used or changed.

A terminal shows it once instead. A log would keep it for as long as logs are kept, for everybody who reads them.
"""

from __future__ import annotations

import os
from pathlib import Path

from django.conf import settings

from accounts.models import User


def path() -> Path:
    """Where it is kept, readable by the home's owner alone."""
    place: Path = settings.HOME.keys / "first-password"
    return place


def keep(email: str, password: str) -> None:
    """Write it down. Raises OSError."""
    draft = path().with_name(f"{path().name}.new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    with draft.open("w") as file:
        file.write(f"{email}\n{password}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path())


def forget() -> None:
    """Remove the file."""
    path().unlink(missing_ok=True)


def used(user: User) -> None:
    """The user has logged in: if the password was theirs, they know it now."""
    if user.email == _kept()[0]:
        forget()


def changed(user: User, password: str) -> None:
    """The user has got a password: another one makes the file worthless."""
    email, kept = _kept()
    if user.email == email and password != kept:
        forget()


def forget_when_used() -> None:
    """The same as a later start finds it, whatever became of the account and on which machine."""
    email, password = _kept()
    if not email:
        return
    user = User.objects.filter(email=email).first()
    if user is None or user.last_login is not None or not user.check_password(password):
        forget()


def _kept() -> tuple[str, str]:
    """Whose password, and which; empty when there is no file."""
    try:
        email, password = path().read_text().splitlines()
    except (OSError, ValueError):
        return "", ""
    return email, password
