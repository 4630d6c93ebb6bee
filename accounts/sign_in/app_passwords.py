"""Application passwords: one for each mail program, so that each can be ended, and none of them opens a page."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import Error as DatabaseError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from accounts import history
from accounts.actor import Actor
from accounts.models import AppPassword, SecondFactor, SignInSettings, User
from accounts.models.sign_in import LONGEST_NAME
from accounts.sign_in import random_codes
from accounts.sign_in.errors import Refused, require_owner

log = logging.getLogger(__name__)

GROUPS = 6
MOST = 50
# How exactly it is known when one was last used: a write for each login would be one too many.
USED_PRECISION = timedelta(minutes=10)


def create(actor: Actor, user: User, name: str) -> str:
    """A new one, to be shown now and never again. Raises NotAllowed for all but its owner, and Refused."""
    require_owner(actor, user)
    name = " ".join(name.split())[:LONGEST_NAME]
    if not name:
        raise Refused(_("Give it the name of the program or device that it is for."))
    rows = AppPassword.objects.filter(user=user)
    if rows.filter(name__iexact=name, ended=None).exists():
        raise Refused(_("There is one named “%(name)s” already.") % {"name": name})
    if rows.count() >= MOST:
        raise Refused(_("%(most)s are the most; end one that is not in use any more.") % {"most": MOST})
    while True:
        secret = random_codes.new(GROUPS)
        try:
            with transaction.atomic():
                AppPassword.objects.create(
                    user=user,
                    name=name,
                    selector=secret[: random_codes.GROUP],
                    digest=random_codes.digest(secret),
                    created=timezone.now(),
                )
                history.record(actor, "application password", user.email, user=user, parameters={"created": name})
        except IntegrityError:
            # Another of theirs begins with the same four letters.
            continue
        return secret


def end(actor: Actor, user: User, pk: int) -> str:
    """End one; says so. Raises NotAllowed, and Refused when it is gone."""
    actor.require_user(user)
    with transaction.atomic():
        row = AppPassword.objects.select_for_update().filter(user=user, pk=pk).first()
        if row is None:
            raise Refused(_("It was ended already."))
        row.delete()
        history.record(actor, "application password", user.email, user=user, parameters={"ended": row.name})
    return _("“%(name)s” is ended: it logs in no more.") % {"name": row.name}


def end_all(user: User) -> int:
    """End all of them as a part of another action, which is what gets written down; how many."""
    return AppPassword.objects.filter(user=user).delete()[0]


def suspend(user: User, moment: datetime) -> int:
    """Let none of them in any more, but keep them; how many."""
    return AppPassword.objects.filter(user=user, ended=None).update(ended=moment)


def resume(user: User, moment: datetime) -> int:
    """Take back what was suspended at that moment; how many."""
    return AppPassword.objects.filter(user=user, ended=moment).update(ended=None)


def is_right(user: User, password: str, ip: str = "") -> bool:
    """Whether it is one of the user's. Without a query for what can't be one; fast in any case."""
    secret = random_codes.canonical(password, GROUPS)
    if secret is None:
        return False
    row = AppPassword.objects.filter(user=user, selector=secret[: random_codes.GROUP], ended=None).first()
    if row is None or not constant_time_compare(row.digest, random_codes.digest(secret)):
        return False
    _note_use(row, ip)
    return True


def refuses_password(user: User) -> bool:
    """Whether a mail program may not use the account's own password: the setting says so, and there is a second factor.

    Without a query where the setting is off, but for the setting itself once a second.
    """
    return not SignInSettings.current().mail_by_password and SecondFactor.objects.filter(user=user).exists()


def _note_use(row: AppPassword, ip: str) -> None:
    now = timezone.now()
    if row.last_used is not None and now - row.last_used < USED_PRECISION:
        return
    stale = Q(last_used=None) | Q(last_used__lt=now - USED_PRECISION)
    try:
        AppPassword.objects.filter(stale, pk=row.pk).update(last_used=now, last_ip=ip[:45])
    except DatabaseError as error:
        # The login stands, whether its time could be written or not.
        log.warning("the use of an application password of %s could not be noted: %s", row.user_id, error)
