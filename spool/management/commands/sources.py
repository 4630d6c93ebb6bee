"""`manage.py sources list|set|remove`: the addresses of ours that mail leaves from."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Literal

from django.core.exceptions import ValidationError

from accounts import edits
from spool.actions import source_addresses
from spool.actions.actor import Actor
from spool.models.source_address import SourceAddress
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, USAGE, Ended, Output


class Command(VerbCommand):
    help = "Addresses of ours that mail leaves from, and how each of them is doing."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        add_verb(verbs, "list", "All of them: whose mail leaves there, and who refuses it.", _list)
        chosen = add_verb(verbs, "set", "Adds an address, or changes one.", _set)
        chosen.add_argument("address", metavar="ADDRESS", help="IPv4 or IPv6, of this machine")
        chosen.add_argument("--ehlo-name", metavar="NAME", help="what it calls itself; its reverse name")
        chosen.add_argument(
            "--weight", type=int, metavar="N", help="its part of the mail that no address is chosen for"
        )
        chosen.add_argument("--warm-up-since", type=_day, metavar="DATE", help="as 2026-12-31, today, or never")
        chosen.add_argument("--warm-up-first", type=int, metavar="N", help="messages to each receiver on the first day")
        chosen.add_argument("--warm-up-growth", type=float, metavar="N", help="times as many each day; 2")
        chosen.add_argument("--warm-up-days", type=int, metavar="N", help="after so many there is no limit; 14")
        chosen.add_argument("--description", metavar="TEXT")
        chosen.add_argument(
            "--senders",
            nargs="*",
            metavar="NAME",
            help="logins, addresses of lists and domains of senders; none: anybody",
        )
        switch = chosen.add_mutually_exclusive_group()
        switch.add_argument("--on", dest="enabled", action="store_const", const=True, help="use it")
        switch.add_argument("--off", dest="enabled", action="store_const", const=False, help="keep it, and use it not")
        add_verb(verbs, "remove", "Removes an address: mail leaves from the others.", _remove).add_argument(
            "address", metavar="ADDRESS"
        )


def _list(options: dict[str, Any], output: Output) -> None:
    rows = list(SourceAddress.objects.all())
    states = source_addresses.states_of(rows)
    output.table(
        [
            {
                "address": row.address,
                "ehlo name": row.ehlo_name,
                "weight": row.weight,
                "for": ", ".join(row.senders.split()) or "anybody",
                "enabled": "yes" if row.enabled else "no",
                "here": f"no, on {row.missing_where} since {row.missing_since}" if row.missing_since else "yes",
                "reverse name": states[row.address].ptr_says or "not looked at yet",
                "block lists": " ".join(states[row.address].listed) or "none known",
                "warm-up": states[row.address].warm_up,
                "refused by": ", ".join(site for site, _ in states[row.address].refused_by),
            }
            for row in rows
        ],
        nothing="Mail leaves from the address that the system chooses: there are no source addresses.",
    )


def _set(options: dict[str, Any], output: Output) -> None:
    address = _address(options["address"])
    row = SourceAddress.objects.filter(address=address).first() or SourceAddress(address=address)
    edits.remember(row)
    for name in ("ehlo_name", "weight", "description", "enabled", "warm_up_first", "warm_up_growth", "warm_up_days"):
        if options[name] is not None:
            setattr(row, name, options[name])
    if options["warm_up_since"] is not None:
        row.warm_up_since = options["warm_up_since"] or None
    if options["senders"] is not None:
        row.senders = "\n".join(options["senders"])
    try:
        row.full_clean()
    except ValidationError as error:
        raise Ended(USAGE, "\n".join(error.messages)) from error
    changed = source_addresses.save(Actor.at_the_shell(), row)
    output.line(f"{row.address}: {'stored' if changed else 'nothing was changed'}.")


def _remove(options: dict[str, Any], output: Output) -> None:
    row = SourceAddress.objects.filter(address=_address(options["address"])).first()
    if row is None:
        raise Ended(NOTHING, f"{options['address']} is none of our source addresses.")
    source_addresses.remove(Actor.at_the_shell(), row)
    output.line(f"{row.address}: removed.")


def _day(text: str) -> date | Literal[False]:
    """False: never."""
    if text in ("today", "never"):
        return text == "today" and datetime.now(UTC).date()
    return date.fromisoformat(text)


def _address(text: str) -> str:
    try:
        return source_addresses.address_named(text)
    except ValueError as error:
        raise Ended(USAGE, f"{text} is not an IP address.") from error
