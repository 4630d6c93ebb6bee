"""`manage.py spool list|show|doctor|stats`: the spool from the shell."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Count, Min, Sum
from django.utils import timezone
from django.utils.timesince import timesince
from rich.console import Console
from rich.table import Table

from spool import doctor
from spool.filters import BadFilter, SpoolFilter
from spool.headers import header_block
from spool.models import Attempt, Entry, Recipient, Status, Trace
from spool.store import path_of

NOTHING, USAGE = 1, 2


class Command(BaseCommand):
    """Exit status: 0 done, 1 nothing matched or something is wrong, 2 usage."""

    help = "List and look at what is in the spool, count it, and find what a crash has left."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        listing = verbs.add_parser("list", help="entries, oldest first")
        for name in ("sender", "recipient", "domain", "ip", "status", "subject", "older", "larger", "id"):
            listing.add_argument(f"--{name}", default="")
        listing.add_argument("--limit", type=int, default=100)
        show = verbs.add_parser("show", help="one message: envelope, recipients, attempts, header")
        show.add_argument("file_name")
        verbs.add_parser("stats", help="counts by status")
        verbs.add_parser("doctor", help="what is wrong with the spool").add_argument("--mend", action="store_true")
        for verb in verbs.choices.values():
            verb.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _list(self, options: dict[str, Any]) -> None:
        try:
            entries = SpoolFilter.from_options(options).apply(Entry.objects.order_by("id"))
        except BadFilter as error:
            self.stderr.write(str(error))
            sys.exit(USAGE)
        rows = [_row(entry) for entry in entries[: options["limit"] + 1]]
        more = len(rows) > options["limit"]
        self._table(rows[: options["limit"]], as_json=options["json"])
        if more and not options["json"]:
            self.stdout.write(f"More than {options['limit']} match; --limit shows more.")
        if not rows:
            sys.exit(NOTHING)

    def _show(self, options: dict[str, Any]) -> None:
        shown: dict[str, Any]
        name = options["file_name"]
        name = name if name.endswith(".eml") else f"{name}.eml"
        entry = Entry.objects.filter(file_name=name).first()
        attempts = [str(attempt) for attempt in Attempt.objects.filter(file_name=name).order_by("at")[:200]]
        traces = list(Trace.objects.filter(file_name=name).order_by("ended", "id")[:200])
        ended = [
            f"{trace.ended:%Y-%m-%d %H:%M:%S} {trace.recipient} {trace.outcome}: {trace.reply}"
            + (f" ({trace.host})" if trace.host else "")
            for trace in traces
        ]
        if entry is not None:
            recipients = Recipient.objects.filter(entry=entry).order_by("id")[:1000]
            shown = {
                **_row(entry), "Subject": entry.subject, "From IP": entry.client_ip, "Last error": entry.last_error,
                "recipients": [f"{r.address} {r.status} {r.last_reply}".strip() for r in recipients],
                "attempts": attempts, "ended": ended, "header": _header(entry),
            }  # fmt: skip
        elif traces:
            shown = {**_departed(traces), "attempts": attempts, "ended": ended}
        else:
            shown = {"note": f"There is no message {name} in the spool, and the trace does not know it."}
        if options["json"]:
            self.stdout.write(json.dumps(shown, indent=2))
        elif entry is None and not traces:
            self.stderr.write(shown["note"])
        else:
            for key, value in shown.items():
                self.stdout.write(f"{key}: " + ("\n  ".join(["", *value]) if isinstance(value, list) else str(value)))
        if entry is None and not traces:
            sys.exit(NOTHING)

    def _stats(self, options: dict[str, Any]) -> None:
        rows = [
            {
                "Status": Status(row["status"]).label, "Entries": row["entries"], "KB": (row["bytes"] or 0) // 1024,
                "Oldest": timesince(row["oldest"]),
            }
            for row in Entry.objects.values("status").order_by("status").annotate(
                entries=Count("id"), bytes=Sum("size_bytes"), oldest=Min("created")
            )
        ]  # fmt: skip
        self._table(rows, as_json=options["json"])
        if not options["json"]:
            due = Entry.objects.due(timezone.now()).count()
            self.stdout.write(f"{due} due now" if rows else "The spool is empty.")

    def _doctor(self, options: dict[str, Any]) -> None:
        findings = list(doctor.examine())
        if options["mend"]:
            for finding in findings:
                doctor.mend(finding)
        rows = [{"Kind": f.kind, "What": f.what, "Remedy": f.remedy} for f in findings]
        self._table(rows, as_json=options["json"])
        if findings and not options["mend"]:
            sys.exit(NOTHING)
        if not findings and not options["json"]:
            self.stdout.write("Nothing is wrong.")

    def _table(self, rows: list[dict[str, Any]], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(rows, indent=2))
        elif rows:
            table = Table(*rows[0], box=None, pad_edge=False)
            for row in rows:
                table.add_row(*(str(value) for value in row.values()))
            console = Console()
            # A pipe has no width: nothing may be cut there.
            Console(width=None if console.is_terminal else 250).print(table)


def _row(entry: Entry) -> dict[str, Any]:
    """The spec's columns."""
    return {
        "Filename": entry.file_name, "Spool Path": entry.subspool, "Sender": entry.sender or "<>",
        "Recipients": f"{entry.recipients_done} / {entry.recipients_total}",
        "Size": f"{max(1, round(entry.size_bytes / 1024))} KB", "Attempts": entry.attempts,
        "Time in Spool": timesince(entry.created), "Priority": entry.get_priority_display(),
        "Status": entry.get_status_display(),
        "Next Attempt": f"{entry.next_attempt:%Y-%m-%d %H:%M:%S} UTC" if entry.next_attempt else "",
    }  # fmt: skip


def _departed(traces: list[Trace]) -> dict[str, Any]:
    """What the trace knows of a message that has left the spool."""
    last = traces[-1]
    return {
        "note": "This message has left the spool; this is what the trace knows of it.", "Filename": last.file_name,
        "Sender": last.sender or "<>", "Subject": last.subject, "Message-ID": last.message_id,
        "Size": f"{max(1, round(last.size_bytes / 1024))} KB", "From IP": last.client_ip,
        "Came in": f"{last.created:%Y-%m-%d %H:%M:%S} UTC", "Left": f"{last.ended:%Y-%m-%d %H:%M:%S} UTC",
    }  # fmt: skip


def _header(entry: Entry) -> list[str]:
    try:
        with path_of(entry.subspool, entry.file_name).open("rb") as file:
            return header_block(file.read(64 * 1024)).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ["The message's file is missing."]
