"""Recovery codes: ten that are printed and put away, each good once, in the place of a second factor that is lost."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import history
from accounts.actor import Actor
from accounts.models import RecoveryCode, User
from accounts.sign_in import random_codes
from accounts.sign_in.errors import require_owner

NUMBER = 10
GROUPS = 4


def renew(actor: Actor, user: User) -> list[str]:
    """Ten new ones, to be shown now and never again; those before are worthless. Raises NotAllowed."""
    require_owner(actor, user)
    codes = [random_codes.new(GROUPS) for _ in range(NUMBER)]
    with transaction.atomic():
        RecoveryCode.objects.filter(user=user).delete()
        RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=random_codes.digest(code)) for code in codes)
        history.record(actor, "recovery codes", user.email, user=user, parameters={"made": True})
    return codes


def use(user: User, code: str) -> bool:
    """Whether it is one that was not used yet. It is by now."""
    secret = random_codes.canonical(code, GROUPS)
    if secret is None:
        return False
    with transaction.atomic():
        fresh = RecoveryCode.objects.filter(user=user, digest=random_codes.digest(secret), used=None)
        if not fresh.update(used=timezone.now()):
            return False
        left = left_of(user)
        history.record(Actor.of(user), "recovery codes", user.email, user=user, parameters={"left": left})
    return True


def left_of(user: User) -> int:
    """How many are still good."""
    return RecoveryCode.objects.filter(user=user, used=None).count()
