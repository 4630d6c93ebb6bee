"""Trusting a sender not to send spam, and ending that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import key_of
from accounts.models import Role
from base.actions.action import Change, NotAllowed, Refused, SingleAction, Target, WayBack, Written
from base.actions.inputs import Input
from quarantine.models.antispam import TrustedSender
from spool.actions.actor import Actor

DESCRIPTION = Input("description", _lazy("Description"), help=_lazy("Shown in the list of trusted senders."))


class _OfSenders(SingleAction[Actor]):
    """What both have in common: by the envelope sender, for system administrators alone."""

    kinds = ("sender",)
    undoable: ClassVar[bool] = True

    def require(self, actor: Actor, target: Target) -> None:
        if actor.role is not Role.SYSTEM_ADMINISTRATOR:
            raise NotAllowed(_("Only a system administrator may change who is trusted."))

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"description": str(given.get("description") or "").strip()[:255]}


class TrustSender(_OfSenders):
    """Spares a sender's mail the spam checks."""

    name, label, icon = "trust", _lazy("Allow Past Spam Checks"), "verified"
    inputs = (DESCRIPTION,)

    def is_due(self, target: Target) -> bool:
        return not _rows(target).exists()

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("Its mail skips the spam checks from now on, if SPF, DKIM or a login proves that it is really theirs.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        said = _("Mail from %(target)s skips the spam checks.") % {"target": target}
        if _rows(target).exists():
            return Change(said)
        row = TrustedSender(pattern=target.key, description=parameters["description"])
        try:
            row.full_clean()
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from error
        row.save()
        return Change(said, [Written(row.pattern, about=row)], row, undo=WayBack(DISTRUST.name, target))


class DistrustSender(_OfSenders):
    """Has a sender's mail checked for spam again."""

    name, label, icon = "distrust", _lazy("Check for Spam Again"), "gpp_maybe"

    def is_due(self, target: Target) -> bool:
        return _rows(target).exists()

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("It is no trusted sender any more: its mail is checked for spam like that of others.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        said = _("Mail from %(target)s is checked for spam again.") % {"target": target}
        row = _rows(target).first()
        if row is None:
            return Change(said)
        back = WayBack(TRUST.name, target, {"description": row.description})
        written = Written(row.pattern, about=row)
        row.delete()
        return Change(said, [written], undo=back)


TRUST, DISTRUST = TrustSender(), DistrustSender()


def _rows(target: Target) -> Any:
    return TrustedSender.objects.filter(pattern=key_of(target.key))
