"""In which language mail to somebody is: for one of ours in that person's, for everybody else in the server's."""

from __future__ import annotations

from accounts import directory
from accounts.directory import LocalUser
from base.languages import first_known
from spool.models.settings import current


def of_address(address: str) -> str:
    """The language of whoever has an address. The directory's cache answers."""
    found = directory.lookup(address) if address else None
    return of_choice(found.language if isinstance(found, LocalUser) else "")


def of_choice(chosen: str) -> str:
    """What somebody has chosen, or the server's."""
    return first_known(chosen, current().language)
