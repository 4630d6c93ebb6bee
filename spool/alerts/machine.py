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
from time import monotonic
from typing import Final

from django.conf import settings as django_settings
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _lazy

from base import redis_client
from base.numbers import decimal
from spool.alerts.watches import NotNow, Watch, span_of
from spool.dropfolder import drop_folder
from spool.files import marks
from spool.models import AlertRule
from spool.models.settings import current
from spool.monitoring import bucket_state, machines, programs
from spool.monitoring.names import machine
from spool.monitoring.programs import ALIVE_SECONDS, FORGOTTEN
from spool.smtpd.tls import expires

# After the database was away, and at our own start, signs of life are old for a moment though everybody lives.
SETTLING_SECONDS: Final = 60.0
# So long nobody looked because the database was away: it is looked every ten seconds.
_AWAY_SECONDS: Final = 30.0


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

    kind, label, unit, most, fix = "disk", _lazy("A disk is nearly full"), _lazy("percent"), 100, _lazy("Details")
    advice = _lazy(
        "Empty the trash and the quarantines, shorten how long they keep, or move folders to a larger disk. When the"
        " disk is full, new mail is answered with a temporary error: nothing is lost."
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("%(value)s %% of the disk of %(key)s is used") % {"value": decimal(value, 0), "key": key}

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
        return gettext("the disk of %(key)s") % {"key": key}


class MissingFolder(OfThisMachine):
    """A folder of ours that is not there, can't be written, or has not our mark: its disk is not mounted, say, or has
    become read-only."""

    kind, label, unit, fix = (
        "folder",
        _lazy("A folder is missing or can't be written"),
        _lazy("minutes"),
        _lazy("Details"),
    )
    advice = _lazy(
        "Mount its disk, or give the folder back to the user that Mailspool runs as. If the disk was replaced on"
        " purpose: mailspool check --mark."
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("The folder %(key)s has been missing or not writable for %(value)s") % {
            "key": key,
            "value": span_of(value),
        }

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

    kind, label, unit, fix = "drop", _lazy("Files of the drop folder were set aside"), _lazy("files"), _lazy("Details")
    advice = _lazy(
        "Beside each file in drop/rejected is its reason. Correct the files and drop them again, or delete them."
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("%(value)s dropped files were set aside on %(partition)s") % {
            "value": decimal(value, 0),
            "partition": key.partition(" ")[0],
        }

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {f"{machine()} drop": drop_folder.count_rejected()}

    def says(self, key: str) -> str:
        return gettext("the drop folder of %(partition)s (drop/rejected has the reasons)") % {
            "partition": key.partition(" ")[0]
        }


class RedisAway(OfThisMachine):
    """Redis does not answer, or takes nothing. Mail goes on meanwhile; jobs of the console wait."""

    kind, label, unit, fix = "redis", _lazy("Redis is away"), _lazy("minutes"), _lazy("Details")
    advice = _lazy("Start Redis, or correct REDIS_URL. Mail goes on meanwhile; jobs of the console wait for it.")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("Redis has not answered %(key)s for %(value)s") % {"key": key, "value": span_of(value)}

    def __init__(self) -> None:
        self._away = Since()
        self._minutes: dict[str, float] = {}

    def prepare(self) -> None:
        self._minutes = self._away.minutes({machine(): not redis_client.is_there()})

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return self._minutes


class BucketAway(OfThisMachine):
    """The bucket for large messages can't be used, where there is one. Other mail goes on meanwhile."""

    kind, label, unit, fix = (
        "bucket",
        _lazy("The bucket for large messages is away"),
        _lazy("minutes"),
        _lazy("Details"),
    )
    advice = _lazy(
        "See what mailspool check says of it. Large messages are answered with a temporary error, and those that are"
        " there wait; other mail goes on."
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("The bucket for large messages has failed %(key)s for %(value)s") % {
            "key": key,
            "value": span_of(value),
        }

    def __init__(self) -> None:
        self._away = Since()

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return self._away.minutes({machine(): bool(bucket_state.fault())})


class OfAllMachines(Watch):
    """Base of what is told of machines by their signs of life: every machine sees to all of them."""

    def __init__(self) -> None:
        self._trusted_from = monotonic() + SETTLING_SECONDS
        self._looked: float | None = None
        self._minutes: dict[str, float] | None = None

    def prepare(self) -> None:
        self._minutes = None
        silent = self.silent()
        before, self._looked = self._looked, monotonic()
        if before is not None and self._looked - before > _AWAY_SECONDS:
            self._trusted_from = self._looked + SETTLING_SECONDS
        if self._looked >= self._trusted_from:
            self._minutes = silent

    def silent(self) -> dict[str, float]:
        """Minutes by key. Raises django.db.Error."""
        raise NotImplementedError

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        if self._minutes is None:
            raise NotNow
        return self._minutes


class DeadProgram(OfAllMachines):
    """A program that runs on a machine has not told that it lives, and did not end because it was asked to."""

    kind, label, unit, fix = "program", _lazy("A program is dead"), _lazy("minutes"), _lazy("Details")
    advice = _lazy("See its log (journalctl -u 'mailspool*'), and start it again.")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("Nothing was heard of %(key)s for %(value)s") % {"key": key, "value": span_of(value)}

    def silent(self) -> dict[str, float]:
        ages = _ages()
        alive = {name for (name, _), age in ages.items() if age <= ALIVE_SECONDS}
        # A machine that is silent as a whole is one thing to be told of.
        return {
            f"{name} {kind}": age / 60 if age > ALIVE_SECONDS else 0.0
            for (name, kind), age in ages.items()
            if name in alive
        }


class MissedMachine(OfAllMachines):
    """None of a machine's programs has told that it lives, and they did not end because they were asked to."""

    kind, label, unit, fix = "machine", _lazy("A machine is missed"), _lazy("minutes"), _lazy("Details")
    advice = _lazy(
        "Start it again: what it had in work is with the others by now. One that is gone for good is forgotten by"
        " Forget on the page Machines, or after a week."
    )

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("Nothing was heard of %(key)s for %(value)s") % {"key": key, "value": span_of(value)}

    def silent(self) -> dict[str, float]:
        youngest: dict[str, float] = {}
        for (name, _), age in _ages().items():
            youngest[name] = min(age, youngest.get(name, age))
        return {name: age / 60 if age > ALIVE_SECONDS else 0.0 for name, age in youngest.items()}

    def page(self, key: str) -> str:
        return "/admin/machines/"


class LongDrain(Watch):
    """For how long a machine has taken no mail because somebody drains it."""

    kind, label, unit, fix = "machine-drain", _lazy("A machine drains for long"), _lazy("minutes"), _lazy("Machines")
    advice = _lazy("Resume it when its maintenance is over. What it still has is told on the page Machines.")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        return gettext("%(key)s has taken no mail for %(value)s: it was drained") % {
            "key": key,
            "value": span_of(value),
        }

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {
            one.name: max(0.0, (now - one.drain_since).total_seconds() / 60) if one.drain_since else 0.0
            for one in machines.every()
        }

    def page(self, key: str) -> str:
        return "/admin/machines/"


def _ages() -> dict[tuple[str, str], float]:
    """For how many seconds nothing was heard of the programs of a kind on a machine."""
    ages: dict[tuple[str, str], float] = {}
    for one in programs.every():
        if one.age_seconds < FORGOTTEN.total_seconds():
            place = (one.machine, one.kind)
            ages[place] = min(one.age_seconds, ages.get(place, one.age_seconds))
    return ages


class DatabaseAway(Watch):
    """For how long the database was away: begun and ended at once, as soon as it is back (watching.look_back)."""

    kind, label, unit = "database", _lazy("The database was away"), _lazy("minutes")

    def values(self, rule: AlertRule, now: datetime, open_keys: Iterable[str]) -> Mapping[str, float]:
        return {}


class ExpiringCertificate(OfThisMachine):
    """How many days the certificate of the SMTP ports is still good for."""

    kind, label, unit, is_below = "certificate", _lazy("The certificate expires soon"), _lazy("days left"), True
    fix = _lazy("Certificate settings")

    def sentence(self, key: str, value: float, rule: AlertRule | None) -> str:
        days = int(value)
        return ngettext(
            "The certificate of %(key)s expires in %(days)s day",
            "The certificate of %(key)s expires in %(days)s days",
            days,
        ) % {"key": key, "days": days}

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
