"""What became of mail, and one message: of one's own, and for domain administrators of their domain."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from mailspool.portal.access import Member, domain_administrator, member, page
from mailspool.portal.mail.outcomes import Outcomes, of_addresses, of_all
from spool.console import message as parts
from spool.models import Entry, Outcome, Recipient, Trace
from spool.models.settings import current
from spool.ownership import Ownership
from spool.places import contents

MOST_RECIPIENTS = 50


@require_GET
@member
def own_outcomes(request: HttpRequest, who: Member) -> HttpResponse:
    """What became of what somebody has sent, and of what came for their mailbox."""
    owner, after = Ownership.of_person(who.user), request.GET.get("after", "")
    found = of_addresses(owner, list(owner.senders), after)
    return _shown(request, who, _("What became of my mail"), found, "")


@require_GET
@domain_administrator
def domain_outcomes(request: HttpRequest, who: Member) -> HttpResponse:
    """The same of a whole domain, or of one address as far as it has to do with the domain."""
    owner, after = Ownership.of_domain(who.user), request.GET.get("after", "")
    asked = request.GET.get("q", "").strip()[:320].replace("\x00", "")
    if asked and "@" not in asked:
        # A name without its domain can only mean this one.
        asked = f"{asked}@{who.domain.name}"
    found = of_addresses(owner, [asked], after) if asked else of_all(owner, after)
    return _shown(request, who, _("Message trace"), found, asked)


def _shown(request: HttpRequest, who: Member, title: str, found: Outcomes, asked: str) -> HttpResponse:
    kept = {"q": asked} if asked else {}
    context = {
        "found": found,
        "q": asked,
        "of_domain": _of_domain(request),
        "kept_days": current().trace_days,
        "now": timezone.now(),
        "following": urlencode({**kept, "after": found.after}) if found.after else "",
    }
    return page(request, who, "portal/outcomes.html", title, context)


def _of_domain(request: HttpRequest) -> bool:
    return request.path.startswith(reverse("portal:domain_outcomes"))


@require_GET
@member
def own_message(request: HttpRequest, who: Member, file_name: str) -> HttpResponse:
    """One message that somebody has sent or got."""
    return _message(request, who, Ownership.of_person(who.user), file_name)


@require_GET
@domain_administrator
def domain_message(request: HttpRequest, who: Member, file_name: str) -> HttpResponse:
    """One message from or to the domain."""
    return _message(request, who, Ownership.of_domain(who.user), file_name)


def _message(request: HttpRequest, who: Member, owner: Ownership, file_name: str) -> HttpResponse:
    """Raises Http404 for what is another's, as for what is not there."""
    entry = Entry.objects.filter(file_name=file_name).first()
    traces = list(Trace.objects.filter(owner.traces, file_name=file_name).order_by("pk")[:MOST_RECIPIENTS])
    waiting = _waiting(owner, entry) if entry is not None else {}
    if not waiting and not traces:
        raise Http404(_("There is no such message."))
    first: Any = entry if waiting else traces[0]
    return page(
        request,
        who,
        "portal/message.html",
        first.subject or _("(no subject)"),
        # Who has an outcome is among the recipients as long as the message is here.
        {"message": first, "traces": [] if waiting else traces, "of_domain": _of_domain(request), **waiting},
    )


def _waiting(owner: Ownership, entry: Entry) -> dict[str, Any]:
    """Of a message in the spool: its recipients that are the owner's, and why it waits; nothing for another's."""
    attempts = parts.attempts_of(entry.file_name)
    if owner.has_sent_entry(entry):
        exists = parts.structure_or_none(contents.source_of(entry)) is not None
        why = parts.explained(entry, attempts, file_exists=exists)
        return {"entry": entry, "recipients": parts.recipients_of(entry).recipients, "attempts": attempts, "why": why}
    theirs = Recipient.objects.filter(owner.recipients, entry_id=entry.pk).exclude(status=Outcome.REMOVED)
    # What others' servers said to others is for those: attempts are left out, and the reason with them.
    recipients = list(theirs.order_by("pk")[:MOST_RECIPIENTS])
    return {"entry": entry, "recipients": recipients} if recipients else {}
