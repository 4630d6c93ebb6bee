"""Redirect: open recipients are replaced by others, or mail is sent by another host than its route says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from base.actions.inputs import Input
from spool.actions.recipients import parse_recipients
from spool.actions.verb import Context, Progress, Refused, Tally, Verb, claim
from spool.delivery.routes import BadNextHop, split_host
from spool.events.actions import changed
from spool.flow import doorbell, leases
from spool.message.envelope import EnvelopeRecipient, LeasedEntry, RecipientResult
from spool.models.entry import Direction, Entry
from spool.models.recipient import Kind, Outcome
from spool.models.settings import current
from spool.rows import changes, entries, statements
from spool.rows import recipients as rows
from spool.rows.columns import Row
from spool.rows.journal import insert_uncounted, trace_rows
from spool.rows.keys import recipient_keys


class Redirect(Verb):
    """Either `to` (addresses) or `next_hop` (a host; `usual` goes back to the routes)."""

    name, label, past = "redirect", _lazy("Redirect"), _lazy("redirected")
    icon = "alt_route"
    inputs = (
        Input(
            "next_hop",
            _lazy("By another host"),
            placeholder=_lazy("relay.example.net or 192.0.2.9:25"),
            help=_lazy("Write usual to go back to the ordinary route."),
            option_help="host or host:port to send them by; 'usual' for their routes",
            metavar="HOST",
        ),
        Input(
            "to",
            _lazy("Or to other recipients"),
            "area",
            placeholder=_lazy("One address per line"),
            option_help="new recipients, comma-separated",
            metavar="ADDRESS",
        ),
    )
    wants_one_input = True
    chunk = 100

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        to, hop = given.get("to") or "", str(given.get("next_hop") or "").strip()
        if bool(to) == bool(hop):
            raise Refused(_("Give either new recipients or a next hop."))
        if to:
            return {"to": [r.address for r in parse_recipients(to)], "next_hop": ""}
        if hop.lower() != "usual":
            try:
                split_host(hop, current().smtp_out_port)
            except BadNextHop as error:
                raise Refused(str(error)) from error
        return {"to": [], "next_hop": hop}

    def effect(self, parameters: Mapping[str, Any]) -> str:
        if parameters["to"]:
            return _(
                "They go to %(to)s instead of the recipients that have no outcome yet, which are recorded as "
                "removed. They are tried now."
            ) % {"to": ", ".join(parameters["to"])}
        if parameters["next_hop"].lower() == "usual":
            return _("They go by their usual route again, and are tried now.")
        return _(
            "Their remote recipients are delivered to by %(next_hop)s instead of the hosts of their "
            "domains; local ones are delivered here as always. They are tried now."
        ) % {"next_hop": parameters["next_hop"]}

    def work(self, ids: Sequence[int], parameters: Mapping[str, Any], context: Context, progress: Progress) -> None:
        recipients = parse_recipients(parameters["to"]) if parameters["to"] else []
        hop = "" if parameters["next_hop"].lower() == "usual" else parameters["next_hop"]
        with statements.write_transaction():
            claimed = claim(ids, context.now)
            if recipients:
                outbound = any(recipient.kind is Kind.REMOTE for recipient in recipients)
                for entry in leases.look_at(claimed.free) if claimed.free else ():
                    _replace(entry, recipients, context)
                changes.redirect(claimed.free, context.now, Direction.OUTBOUND if outbound else Direction.INBOUND)
            else:
                changes.set_next_hop(claimed.free, context.now, hop)
            said = {"to": " ".join(parameters["to"]), "next_hop": parameters["next_hop"]}
            changed(context, "redirected", Entry.objects.filter(id__in=claimed.free), **said)
            progress(Tally(len(claimed.free)) + claimed.others, ids[-1])
        doorbell.ring()


def _replace(entry: LeasedEntry, recipients: Sequence[EnvelopeRecipient], context: Context) -> None:
    """End the open recipients, with a trace, and add the new ones."""
    reply = (f"Redirected to {', '.join(r.address for r in recipients)} by {context.actor}")[:500]
    ended = [RecipientResult(old, Outcome.REMOVED, reply) for old in entry.recipients]
    if ended:
        rows.end([result.recipient.id for result in ended], Outcome.REMOVED, reply)
    insert_uncounted(trace_rows(entry, ended, context.now, tried=False))
    original = entry.recipients[0].address if len(entry.recipients) == 1 else ""
    rows.insert([_row(entry, recipient, original) for recipient in recipients])
    entries.add_recipients(entry.id, len(recipients) - len(ended))


def _row(entry: LeasedEntry, recipient: EnvelopeRecipient, original: str) -> Row:
    address_key, original_key = recipient_keys(recipient, original)
    return rows.recipient_values(
        entry_id=entry.id,
        address=recipient.address,
        domain=recipient.domain,
        kind=recipient.kind.value,
        status=Outcome.PENDING.value,
        original=recipient.original or original,
        notify="",
        orcpt="",
        address_key=address_key,
        original_key=original_key,
    )
