"""What alert rules can watch of the machines themselves: disks, folders, programs, Redis, database, certificate.

A disk, a folder and how Redis looks from here are this machine's: its own scheduler begins and ends their alerts, whose
key begins with the machine's name. Programs are watched from every machine, so that one that is dead as a whole is
missed as well, and so is a scheduler as long as another one runs.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from time import monotonic, time
from typing import Final, cast

from django.conf import settings as django_settings
from redis.exceptions import RedisError

from base import redis_client
from spool.alerts.watches import NotNow, Watch, span_of
from spool.dropfolder import drop_folder
from spool.files import marks
from spool.models import AlertRule
from spool.models.settings import current
from spool.monitoring.heartbeat import ALIVE_SECONDS
from spool.monitoring.heartbeat_keys import PROGRAMS, machine
from spool.smtpd.tls import expires

# After Redis was away, and at our own start, signs of life are old for a moment though everybody lives.
SETTLING_SECONDS: Final = 60.0
# A program that nobody has missed for so long was taken away.
FORGOTTEN_SECONDS: Final = 7 * 86_400


class Since:
    """Since when something has been so, by its key: for how many minutes."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def minutes(self, is_so: Mapping[str, bool]) -> dict[str, float]:
        """Of all of `is_so` by now; 0 where it isn't."""
        now = monotonic()
        self._since = {key: self._since.get(key, now) for key, so in is_so.items() if so}
        return {key: (now - self._since[key]) / 60 if so else 0.0 for key, so in is_so.items()}


class OfThisMachine(Watch):
    """Base of what each machine sees for itself."""

    def is_mine(self, key: str) -> bool:
        return key.partition(" ")[0] == machine()


class FullDisk(OfThisMachine):
    """How full the disks are on which something of ours is; one of several folders' is named after the first."""

    kind, label, unit, most, fix = "disk", "A disk is nearly full", "percent", 100, "Details"
    advice = (
        "Empty the trash and the quarantines, shorten how long they keep, or move folders to a larger disk. When the"
        " disk is full, new mail is answered with a temporary error: nothing is lost."
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return f"{value:,.0f} % of the disk of {key} is used"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        found: dict[int, tuple[str, float]] = {}
        for name, folder in _folders():
            try:
                device, usage = folder.stat().st_dev, shutil.disk_usage(folder)
            except OSError:
                continue
            # As df says: what only root may use is as good as used.
            full = 100 * usage.used / (usage.used + usage.free) if usage.used + usage.free else 100.0
            found.setdefault(device, (f"{machine()} {name}", full))
        return dict(found.values())

    def says(self, key: str) -> str:
        return f"the disk of {key}"


class MissingFolder(OfThisMachine):
    """A folder of ours that is not there, can't be written, or has not our mark: its disk is not mounted, say, or has
    become read-only."""

    kind, label, unit, fix = "folder", "A folder is missing or can't be written", "minutes", "Details"
    advice = (
        "Mount its disk, or give the folder back to the user that Mailspool runs as. If the disk was replaced on"
        " purpose: mailspool check --mark."
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return f"The folder {key} has been missing or not writable for {span_of(value)}"

    def __init__(self) -> None:
        self._missing = Since()

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        missing = {f"{machine()} {name}": not marks.is_ours(name) for name in marks.FOLDERS}
        for name, folder in _folders():
            key = f"{machine()} {name}"
            missing[key] = missing.get(key, False) or not os.access(folder, os.W_OK | os.X_OK)
        return self._missing.minutes(missing)


class SetAside(OfThisMachine):
    """How many files of the drop folder were set aside, or not sent to everyone, and still have their reason there."""

    kind, label, unit, fix = "drop", "Files of the drop folder were set aside", "files", "Details"
    advice = "Beside each file in drop/rejected is its reason. Correct the files and drop them again, or delete them."

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return f"{value:,.0f} dropped files were set aside on {key.partition(' ')[0]}"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {f"{machine()} drop": drop_folder.count_rejected()}

    def says(self, key: str) -> str:
        return f"the drop folder of {key.partition(' ')[0]} (drop/rejected has the reasons)"


class RedisAway(OfThisMachine):
    """Redis does not answer, or takes nothing. Mail goes on meanwhile; jobs of the console wait."""

    kind, label, unit, fix = "redis", "Redis is away", "minutes", "Details"
    advice = "Start Redis, or correct REDIS_URL. Mail goes on meanwhile; jobs of the console wait for it."

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return f"Redis has not answered {key} for {span_of(value)}"

    def __init__(self) -> None:
        self._away = Since()
        self._minutes: dict[str, float] = {}

    def prepare(self) -> None:
        self._minutes = self._away.minutes({machine(): not redis_client.is_there()})

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return self._minutes


class DeadProgram(Watch):
    """A program that runs on a machine has not told that it lives, and did not end because it was asked to."""

    kind, label, unit, fix = "program", "A program is dead", "minutes", "Details"
    advice = (
        "See its log (journalctl -u 'mailspool*'), and start it again. A machine that is gone for good is forgotten"
        " after a week."
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return f"Nothing was heard of {key} for {span_of(value)}"

    def __init__(self) -> None:
        self._trusted_from = monotonic() + SETTLING_SECONDS
        self._minutes: dict[str, float] | None = None

    def prepare(self) -> None:
        self._minutes = None
        try:
            seen = cast("dict[bytes, bytes]", redis_client.redis().hgetall(PROGRAMS))
        except RedisError:
            self._trusted_from = monotonic() + SETTLING_SECONDS
            return
        if monotonic() < self._trusted_from:
            return
        now = time()
        silent = {field.decode(): now - int(at) for field, at in seen.items()}
        self._minutes = {
            program.replace("|", " "): seconds / 60 if seconds > ALIVE_SECONDS else 0.0
            for program, seconds in silent.items()
            if seconds < FORGOTTEN_SECONDS
        }

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        if self._minutes is None:
            raise NotNow
        return self._minutes


class DatabaseAway(Watch):
    """For how long the database was away: begun and ended at once, as soon as it is back (watching.look_back)."""

    kind, label, unit = "database", "The database was away", "minutes"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {}


class ExpiringCertificate(OfThisMachine):
    """How many days the certificate of the SMTP ports is still good for."""

    kind, label, unit, is_below = "certificate", "The certificate expires soon", "days left", True
    fix = "Certificate settings"

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        days = int(value)
        return f"The certificate of {key} expires in {days} day{'' if days == 1 else 's'}"

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        try:
            left = (expires(current()) - now).total_seconds() / 86_400
        except (OSError, ValueError) as error:
            # The listeners say so themselves, and keep the one they have.
            raise NotNow from error
        return {machine(): max(0.0, left)}

    def page(self, key: str) -> str:
        return "/admin/spool/settings/"


def _folders() -> Iterator[tuple[str, Path]]:
    home = django_settings.HOME
    yield from (("home", home.root), ("spool", home.spool), ("maildirs", home.maildirs), ("drop", home.drop))
