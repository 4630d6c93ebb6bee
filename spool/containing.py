"""What the spool does for a contained account: its mail is put on hold, and goes on when that is undone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import ngettext

from accounts.actor import Actor as AccountsActor
from accounts.models import Containment, Role
from base.facts import Fact, counted_fact, fact
from spool.actions import Actor, perform
from spool.filters import SpoolFilter, count
from spool.models.entry import Entry

# More than this is left to a maintenance worker: who contains an account must not wait.
MOST_AT_ONCE = 20_000
TRIES = 4
PAUSE_SECONDS = 0.5
_BATCH = 10_000


class HoldMail:
    """A step of ACCOUNTS_CONTAIN_STEPS: what the user has sent, by logging in, and is still in the spool."""

    def contain(self, actor: AccountsActor, containment: Containment) -> Fact:
        """Put on hold what is not; a message on the wire is tried for again a few times."""
        chosen, held = _sent_by(containment, hold="no"), 0
        number = count(chosen, MOST_AT_ONCE)
        if number.more:
            perform("hold", chosen, _behind(actor), background=True, reason=_reason(containment))
            return fact("More than %(number)s messages are being put on hold in the background.", number=MOST_AT_ONCE)
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            outcome = perform("hold", chosen, _behind(actor), background=False, reason=_reason(containment))
            held += outcome.event.done
            left = count(chosen, MOST_AT_ONCE).number
            if not left:
                break
        done = counted_fact(
            "%(number)s message in the spool put on hold.", "%(number)s messages in the spool put on hold.", held
        )
        if not left:
            return done
        return fact("%(done)s %(left)s being delivered just now: hold them when that has ended.", done=done, left=left)

    def undo(self, actor: AccountsActor, containment: Containment) -> Fact:
        """Release what this put on hold, and nothing that somebody else did."""
        released = 0
        held = Entry.objects.held().filter(hold_reason=_reason(containment)).order_by("id")
        last = 0
        while ids := list(held.filter(id__gt=last).values_list("id", flat=True)[:_BATCH]):
            last = ids[-1]
            released += perform("release", ids, _behind(actor), background=False).event.done
        return counted_fact("%(number)s message released.", "%(number)s messages released.", released)

    def state(self, containment: Containment) -> Sequence[tuple[str, str]]:
        """How many are on hold, and how many are not."""
        found = []
        for hold in ("yes", "no"):
            chosen = _sent_by(containment, hold=hold)
            number = count(chosen)
            if number.number or hold == "yes":
                link = f"{reverse('admin:spool_entry_changelist')}?{urlencode(chosen.texts())}"
                many = number.number + number.more
                if hold == "yes":
                    said = ngettext(
                        "%(number)s message on hold in the spool", "%(number)s messages on hold in the spool", many
                    )
                else:
                    said = ngettext(
                        "%(number)s message in the spool that is not on hold",
                        "%(number)s messages in the spool that are not on hold",
                        many,
                    )
                found.append((said % {"number": number}, link))
        return found


def _sent_by(containment: Containment, *, hold: str) -> SpoolFilter:
    return SpoolFilter.parse({"auth-user": containment.user.email, "hold": hold})


def _reason(containment: Containment) -> str:
    return f"{containment.user} is contained (no. {containment.pk})"[:255]


def _behind(actor: AccountsActor) -> Actor:
    """The same person, with the right to do this: who may contain the account was checked before."""
    return Actor(actor.name, Role.SYSTEM_ADMINISTRATOR, actor.domain, actor.source)
