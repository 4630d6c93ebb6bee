"""The second factors of a person: which there are, who needs one, and taking them away."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import history
from accounts.actor import Actor
from accounts.models import FactorKind, RecoveryCode, SecondFactor, SignInSettings, User
from accounts.models.sign_in import LONGEST_NAME
from accounts.sign_in.errors import Refused

MOST = 20


def of(user: User) -> list[SecondFactor]:
    """Oldest first."""
    return list(SecondFactor.objects.filter(user=user))


def kinds_of(user: User) -> frozenset[str]:
    """Which kinds of them there are."""
    return frozenset(SecondFactor.objects.filter(user=user).values_list("kind", flat=True))


def is_required(user: User) -> bool:
    """Whether the person's role needs one."""
    return user.role in SignInSettings.current().required_roles


def named(user: User, name: str, kind: FactorKind) -> str:
    """The name for a new one, which is free. Raises Refused when there are enough."""
    taken = {factor.name for factor in of(user)}
    if len(taken) >= MOST:
        raise Refused(_("%(most)s are the most; remove one first.") % {"most": MOST})
    wanted = " ".join(name.split())[: LONGEST_NAME - 4] or str(kind.label)
    numbered = (f"{wanted} {number}" if number > 1 else wanted for number in range(1, MOST + 2))
    return next(one for one in numbered if one not in taken)


def add(actor: Actor, factor: SecondFactor) -> None:
    """Store a new one, and write it down."""
    with transaction.atomic():
        factor.save()
        history.record(
            actor, "second factor", factor.user.email, user=factor.user, parameters={"added": [_named(factor)]}
        )


def remove(actor: Actor, user: User, pk: int) -> str:
    """Remove one; says so. Recovery codes go with the last. Raises NotAllowed, and Refused where the role needs it."""
    actor.require_user(user)
    with transaction.atomic():
        rows = list(SecondFactor.objects.select_for_update().filter(user=user))
        factor = next((row for row in rows if row.pk == pk), None)
        if factor is None:
            raise Refused(_("It was removed already."))
        if len(rows) == 1 and is_required(user) and actor.is_person(user):
            raise Refused(_("Your role needs a second factor: add another one before you remove this."))
        factor.delete()
        if len(rows) == 1:
            RecoveryCode.objects.filter(user=user).delete()
        history.record(actor, "second factor", user.email, user=user, parameters={"removed_factors": [_named(factor)]})
    return _("%(what)s is removed.") % {"what": factor}


def remove_all(actor: Actor, user: User) -> str:
    """Remove all with the recovery codes, for who has lost them; says so. Raises NotAllowed, and Refused.

    Nobody does so for themselves: whoever sits at a browser that was left open would.
    """
    actor.require_user(user)
    if actor.is_person(user):
        raise Refused(_("Remove your own second factors one by one, on your page “Signing in”."))
    with transaction.atomic():
        rows = list(SecondFactor.objects.select_for_update().filter(user=user))
        RecoveryCode.objects.filter(user=user).delete()
        if not rows:
            raise Refused(_("%(user)s has no second factor.") % {"user": user})
        SecondFactor.objects.filter(user=user).delete()
        parameters = {"removed_factors": [_named(row) for row in rows], "all": True}
        history.record(actor, "second factor", user.email, user=user, parameters=parameters)
    return _("The second factors of %(user)s are removed: %(names)s.") % {
        "user": user,
        "names": ", ".join(map(str, rows)),
    }


def _named(factor: SecondFactor) -> list[str]:
    """A factor as records keep it: its kind and its name."""
    return [factor.kind, factor.name]
