"""Allowing and blocking senders for one mailbox: by its owner, or by whoever helps with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.account_actions import UserAction
from accounts.actor import Actor
from accounts.models import User
from accounts.reach import Right
from base.actions.action import Change, Refused, Target, WayBack, Written
from base.actions.inputs import Input
from base.texts import Text
from quarantine.models.listed import MOST, ListedSender, Listing, listing_changed, normal_sender

SENDER = Input(
    "sender",
    _lazy("Address or domain"),
    placeholder=_lazy("ann@example.org or example.org"),
    help=_lazy("A domain includes all below it."),
    option_help="the address, or the domain with all below it",
)


class _OfMailboxes(UserAction):
    """What they have in common. No menu has them: they are on the page of the lists, and beside quarantined mail."""

    menu_kinds: ClassVar[tuple[str, ...] | None] = ()
    inputs = (SENDER,)
    undoable = True

    def require(self, actor: Actor, target: Target) -> None:
        for user in target.rows[: len(target.keys)]:
            if user.is_staff or not actor.may(Right.HANDLE):
                actor.require_user(user)

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return {"sender": normal_sender(str(given.get("sender") or ""))}
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from error


class _List(_OfMailboxes):
    """Puts a sender on one of the lists; one that was on the other leaves that."""

    listing: ClassVar[Listing]
    said: ClassVar[Text]

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        # The lock is for the number of entries.
        user, pattern = User.objects.select_for_update(of=("self",)).get(pk=target.rows[0].pk), parameters["sender"]
        row = ListedSender.objects.filter(user=user, pattern=pattern).first()
        said = self.said % {"sender": pattern}
        if row is not None and row.listing == self.listing:
            return Change(said)
        if row is None and ListedSender.objects.filter(user=user).count() >= MOST:
            raise Refused(_("%(most)s senders are the most that a mailbox lists: remove some first.") % {"most": MOST})
        if self.listing == Listing.BLOCK and pattern == user.email:
            raise Refused(_("Nobody blocks their own address."))
        back = _LIST[row.listing].name if row is not None else UNLIST_SENDER.name
        row = row or ListedSender(user=user, pattern=pattern)
        row.listing, row.created = self.listing, timezone.now()
        row.save()
        listing_changed()
        written = Written(user.email, parameters={"sender": pattern}, about=user)
        return Change(said, [written], row, undo=WayBack(back, target, {"sender": pattern}))


class AllowSender(_List):
    """Treats mail from a sender to this mailbox as no spam, if it is really theirs."""

    name, label, icon = "allow-sender", _lazy("Allow a Sender"), "verified"
    effect_text = _lazy("Mail from the sender to this mailbox is not treated as spam, if it is really theirs.")
    listing, said = Listing.ALLOW, _lazy("Mail from %(sender)s is not treated as spam, if it is really theirs.")


class BlockSender(_List):
    """Keeps mail from a sender to this mailbox in the quarantine of its owner."""

    name, label, icon = "block-sender", _lazy("Block a Sender"), "unsubscribe"
    effect_text = _lazy("Mail from the sender to this mailbox goes to the quarantine of its owner.")
    listing, said = Listing.BLOCK, _lazy("Mail from %(sender)s goes to the quarantine.")


class UnlistSender(_OfMailboxes):
    """Neither allows nor blocks a sender any more."""

    name, label, icon = "unlist-sender", _lazy("Remove from the List"), "delete"
    effect_text = _lazy("The sender is neither allowed nor blocked any more.")

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        user, pattern = target.rows[0], parameters["sender"]
        said = _("%(sender)s is neither allowed nor blocked any more.") % {"sender": pattern}
        row = ListedSender.objects.select_for_update().filter(user=user, pattern=pattern).first()
        if row is None:
            return Change(said)
        row.delete()
        listing_changed()
        written = Written(user.email, parameters={"sender": pattern, "was": row.listing}, about=user)
        return Change(said, [written], undo=WayBack(_LIST[row.listing].name, target, {"sender": pattern}))


ALLOW_SENDER, BLOCK_SENDER, UNLIST_SENDER = AllowSender(), BlockSender(), UnlistSender()
_LIST: Mapping[str, _List] = {Listing.ALLOW.value: ALLOW_SENDER, Listing.BLOCK.value: BLOCK_SENDER}
