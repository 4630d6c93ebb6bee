"""What the spool does for a contained account: its mail is put on hold, and goes on when that is undone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from urllib.parse import urlencode

from django.urls import reverse

from accounts.actor import Actor as AccountsActor
from accounts.models import Containment, Role
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

    def contain(self, actor: AccountsActor, containment: Containment) -> str:
        """Put on hold what is not; a message on the wire is tried for again a few times."""
        chosen, held = _sent_by(containment, hold="no"), 0
        number = count(chosen, MOST_AT_ONCE)
        if number.more:
            perform("hold", chosen, _behind(actor), background=True, reason=_reason(containment))
            return f"More than {MOST_AT_ONCE:,} messages are being put on hold in the background."
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            outcome = perform("hold", chosen, _behind(actor), background=False, reason=_reason(containment))
            held += outcome.event.done
            left = count(chosen, MOST_AT_ONCE).number
            if not left:
                break
        text = f"{held:,} message{'s' if held != 1 else ''} in the spool put on hold."
        return text if not left else f"{text} {left:,} being delivered just now: hold them when that has ended."

    def undo(self, actor: AccountsActor, containment: Containment) -> str:
        """Release what this put on hold, and nothing that somebody else did."""
        released = 0
        held = Entry.objects.held().filter(hold_reason=_reason(containment)).order_by("id")
        last = 0
        while ids := list(held.filter(id__gt=last).values_list("id", flat=True)[:_BATCH]):
            last = ids[-1]
            released += perform("release", ids, _behind(actor), background=False).event.done
        return f"{released:,} message{'s' if released != 1 else ''} released."

    def state(self, containment: Containment) -> Sequence[tuple[str, str]]:
        """How many are on hold, and how many are not."""
        found = []
        for hold, words in (("yes", "on hold in the spool"), ("no", "in the spool that are not on hold")):
            chosen = _sent_by(containment, hold=hold)
            number = count(chosen)
            if number.number or hold == "yes":
                link = f"{reverse('admin:spool_entry_changelist')}?{urlencode(chosen.texts())}"
                what = "message" if number.number == 1 and not number.more else "messages"
                found.append((f"{number} {what} {words}", link))
        return found


def _sent_by(containment: Containment, *, hold: str) -> SpoolFilter:
    return SpoolFilter.parse({"auth-user": containment.user.email, "hold": hold})


def _reason(containment: Containment) -> str:
    return f"{containment.user} is contained (no. {containment.pk})"[:255]


def _behind(actor: AccountsActor) -> Actor:
    """The same person, with the right to do this: who may contain the account was checked before."""
    return Actor(actor.name, Role.SYSTEM_ADMINISTRATOR, actor.domain, actor.source)
