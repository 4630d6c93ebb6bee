"""Ages and sizes as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

from django.utils.translation import gettext as _

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SIZES = {"": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
# No clock is that far from the beginning or the end of its years.
LONGEST_AGE = timedelta(days=36_525)


class BadFilter(ValueError):
    """A condition makes no sense; the message says what would."""


def parse_age(text: str) -> timedelta:
    """`30m`, `2h`, `3d`. Raises BadFilter."""
    found = re.fullmatch(r"(\d{1,6})\s*([smhdw])", text.strip().lower(), re.ASCII)
    if not found:
        raise BadFilter(_("%(text)s is not an age; write 30m, 2h or 3d.") % {"text": repr(text)})
    age = timedelta(seconds=int(found[1]) * _UNITS[found[2]])
    if age > LONGEST_AGE:
        raise BadFilter(_("%(text)s is more than a hundred years; write 30m, 2h or 3d.") % {"text": repr(text)})
    return age


def format_age(age: timedelta) -> str:
    """The shortest text that `parse_age` reads as `age`."""
    seconds = int(age.total_seconds())
    unit = next(unit for unit in "wdhms" if seconds % _UNITS[unit] == 0)
    return f"{seconds // _UNITS[unit]}{unit}" if seconds else "0s"


def parse_size(text: str) -> int:
    """`500`, `20KB`, `10MB`, as bytes. Raises BadFilter."""
    found = re.fullmatch(r"(\d{1,12})\s*(kb|mb|gb|)", text.strip().lower(), re.ASCII)
    if not found:
        raise BadFilter(_("%(text)s is not a size; write 500, 20KB or 10MB.") % {"text": repr(text)})
    return int(found[1]) * _SIZES[found[2]]


def format_size(size_bytes: int) -> str:
    """The shortest text that `parse_size` reads as `size_bytes`."""
    unit = next(unit for unit in ("gb", "mb", "kb", "") if size_bytes % _SIZES[unit] == 0)
    return f"{size_bytes // _SIZES[unit]}{unit.upper()}" if size_bytes else "0"
