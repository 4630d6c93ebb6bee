"""`manage.py throttle list|release|set|history`: who is over a limit, letting go, and the limits themselves."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from accounts.fields import HOURLY, HOURLY_OF_DOMAINS
from accounts.management.terminal import TerminalCommand
from base.actions.options import add_inputs, given
from base.complaints import sentences
from base.times import exact
from spool.actions import Actor
from spool.shell.output import NOTHING, USAGE, Output, add_json
from throttling import actions, events
from throttling.actions.limits import SET_LIMITS
from throttling.actions.release import RELEASE
from throttling.console.rows import rows
from throttling.models import ThrottleEvent
from throttling.subjects import SubjectKind

_PROBLEMS = (actions.NoSuchSubject, actions.NothingToRelease, actions.NotAllowed)


class Command(TerminalCommand):
    """Exit status: 0 done, 1 nothing there or refused, 2 usage."""

    help = "See who is over a limit by the hour, let go what waits, and set limits."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        listing = verbs.add_parser("list", help="who is over a limit now")
        listing.add_argument("--domain", default="", help="only of this domain")
        listing.add_argument("--kind", default="", choices=SubjectKind.values, help="only these")
        listing.add_argument("--history", action="store_true", help="those before as well, the latest 100")
        release = verbs.add_parser(RELEASE.name, help=RELEASE.summary)
        release.add_argument("target", metavar="ADDRESS|DOMAIN|IP")
        change = verbs.add_parser("set", help=SET_LIMITS.summary)
        change.add_argument("target", metavar="ADDRESS|DOMAIN")
        add_inputs(change, SET_LIMITS)
        for verb in (release, change):
            verb.add_argument("--dry-run", action="store_true", help="only say what would be done")
        for verb in (listing, release, change):
            add_json(verb)

    def handle(self, *args: Any, **options: Any) -> None:
        output = Output(self.stdout, options["json"])  # type: ignore[arg-type]
        try:
            getattr(self, f"_{options['verb']}")(options, output)
        except _PROBLEMS as error:
            self._stop(str(error))
        except ValidationError as error:
            self._stop(sentences(error))

    def _list(self, options: dict[str, Any], output: Output) -> None:
        kinds = [SubjectKind(options["kind"])] if options["kind"] else list(SubjectKind)
        found: QuerySet[ThrottleEvent] = events.now_throttled(kinds, options["domain"])
        if options["history"]:
            found = ThrottleEvent.objects.filter(kind__in=kinds).order_by("-id")
            found = found.filter(domain=options["domain"]) if options["domain"] else found
        shown = list(found[:100]) if options["history"] else list(found)
        if not shown and not options["json"]:
            self._stop("Nobody is throttled.")
        output.table(
            [
                {
                    "name": row.event.name,
                    "kind": row.event.kind,
                    "domain": row.event.domain,
                    "reason": row.event.get_metric_display(),
                    "action": row.event.action,
                    "used": row.used,
                    "limit": row.limit,
                    "held": row.held,
                    "since": exact(row.event.since),
                    "until": exact(row.event.until) if row.event.until else "",
                    **(_ending(row.event) if options["history"] else {}),
                }
                for row in rows(shown)
            ]
        )
        if not shown:
            sys.exit(NOTHING)

    def _release(self, options: dict[str, Any], output: Output) -> None:
        subject = actions.find(options["target"])
        released = actions.release(Actor.at_the_shell(), subject, dry_run=options["dry_run"])
        output.values({"name": subject.name, "messages": released.messages, "dry_run": options["dry_run"]})
        what = "would go" if options["dry_run"] else "go"
        output.line(f"{subject}: {released.messages:,} held messages {what} now, and counting begins anew.")

    def _set(self, options: dict[str, Any], output: Output) -> None:
        subject = actions.find(options["target"])
        fields = given(SET_LIMITS, options)
        if not fields:
            self._stop("Say what to set; `throttle set --help` lists the limits.", USAGE)
        row = actions.set_limits(Actor.at_the_shell(), subject, dry_run=options["dry_run"], **fields)
        names = HOURLY_OF_DOMAINS if subject.kind is SubjectKind.DOMAIN else HOURLY
        output.fields({"name": subject.name, **{name: getattr(row, name) for name in names}})

    def _stop(self, text: str, status: int = NOTHING) -> None:
        self.stderr.write(text)
        sys.exit(status)


def _ending(event: ThrottleEvent) -> dict[str, str]:
    return {"ended": exact(event.ended) if event.ended else "", "by": event.ended_by}
