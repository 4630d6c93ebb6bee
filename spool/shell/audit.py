"""The verb that looks back: audit."""

from __future__ import annotations

from typing import Any

from base.audit.results import Result
from base.times import exact
from spool.filters import BadFilter
from spool.filters.audit import DEFAULT_SORT, SORTS, SOURCES, AuditFilter, page
from spool.shell.output import NOTHING, USAGE, Ended, Output, add_json

_HELP = {
    "actor": ("WHO", "only what this person did"),
    "action": ("CODE", "only this action: delete, blacklist, change user, …"),
    "kind": ("KIND", "only what was done to a user, message, domain, …"),
    "key": ("NAME", "only what was done to this address, domain, IP or file name"),
    "changed": ("FIELD", "only where this was changed: max_hops, keep_days, forward_to, …"),
    "ip": ("IP", "only what was done from this address"),
    "since": ("TIME", "only from then on: 2026-11-30, or 2026-11-30 14:00"),
    "until": ("TIME", "only until then"),
    "search": ("TEXT", "what one would type into the search box of the page"),
}


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "audit",
        help="who did what",
        description="List actions, newest first; their number is what undo takes. With --json their codes too.",
    )
    for name, (metavar, told) in _HELP.items():
        parser.add_argument(f"--{name}", default="", metavar=metavar, help=told)
    parser.add_argument("--source", default="", choices=SOURCES, help="only what was done by this door")
    parser.add_argument("--result", default="", choices=Result.values, help="only what ended like this")
    parser.add_argument("--sort", choices=SORTS, default=DEFAULT_SORT, help="order; - turns it round")
    parser.add_argument("--limit", type=int, default=50, help="how many at most (50)")
    add_json(parser)
    parser.set_defaults(run=_audit)


def _audit(options: dict[str, Any], output: Output) -> None:
    try:
        chosen = AuditFilter.parse({**options, "text": options["search"], "row": ""})
        found = page(chosen, options["sort"], size=max(0, options["limit"]))
        while found.looked is not None and len(found.events) < options["limit"]:
            # The page stops looking after a moment; whoever is at the shell has time.
            further = page(chosen, options["sort"], found.following, options["limit"] - len(found.events))
            found = type(further)([*found.events, *further.events], found.sort, further.following, further.looked)
    except BadFilter as error:
        raise Ended(USAGE, str(error)) from error
    rows = []
    for event in found.events:
        row: dict[str, Any] = {
            "No.": event.id,
            "When": exact(event.at),
            "Who": event.actor,
            "Action": event.action,
            "On": event.on,
            "Outcome": event.outcome,
            "Restored since": event.undone,
        }
        if output.as_json:
            row |= {
                "Source": event.source,
                "IP": event.ip,
                "Via": event.via,
                "Kind": event.kind,
                "Key": event.key,
                "Result": event.result,
                "Matched": event.matched,
                "Done": event.done,
                "Skipped": event.skipped,
                "Filter": event.filter,
                "Parameters": event.parameters,
            }
        rows.append(row)
    output.table(rows)
    if not rows:
        output.line("Nothing matches." if chosen.texts() else "Nobody has done anything yet.")
        raise Ended(NOTHING)
