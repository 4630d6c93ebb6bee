"""Verbs that look: list, show, stats, jobs, doctor; audit has a module of its own."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Min, Sum
from django.utils import timezone

from base.times import exact, since
from spool.actions.actor import Actor
from spool.filters import SORTS, SpoolFilter, from_text, page
from spool.maintenance import doctor
from spool.message.header import block as header_block
from spool.models import (
    Attempt,
    BulkJob,
    Entry,
    Outcome,
    Recipient,
    Status,
    Trace,
    TrafficKind,
    TrafficState,
    Trashed,
    TrashedRecipient,
)
from spool.places.contents import source_of
from spool.shell import audit, trace
from spool.shell.output import NOTHING, Ended, Output, add_filters, add_json, print_list
from spool.traffic.figures import tops, whole


def add_parsers(verbs: Any) -> None:
    listing = verbs.add_parser("list", help="entries", description="List entries, oldest first.")
    add_filters(listing)
    listing.add_argument("--sort", choices=tuple(SORTS), default="id", help="order; - turns it round")
    listing.add_argument("--limit", type=int, default=100, help="how many at most (100)")
    listing.set_defaults(run=_list)
    show = verbs.add_parser(
        "show", help="one message", description="Show one message: envelope, session, recipients, attempts, header."
    )
    show.add_argument("file_name", help="its file name")
    show.set_defaults(run=_show)
    stats = verbs.add_parser(
        "stats",
        help="counts by status, or of traffic",
        description="Count entries and their size by status; or deliveries.",
    )
    stats.add_argument("--traffic", action="store_true", help="deliveries instead: in all, and who has most")
    stats.add_argument("--limit", type=int, default=10, help="with --traffic: rows of each table (10)")
    stats.set_defaults(run=_stats)
    audit.add_parser(verbs)
    trace.add_parser(verbs)
    jobs = verbs.add_parser(
        "jobs", help="large actions and how far they are", description="List bulk jobs, newest first."
    )
    jobs.add_argument("--limit", type=int, default=20, help="how many at most (20)")
    jobs.add_argument("--cancel", type=int, metavar="JOB", help="stop this one after the chunk in hand")
    jobs.set_defaults(run=_jobs)
    mending = verbs.add_parser(
        "doctor", help="what is wrong with the spool", description="Find what a crash has left behind, and mend it."
    )
    mending.add_argument("--mend", action="store_true", help="do what the remedies say; no message is deleted")
    mending.set_defaults(run=_doctor)
    for parser in (listing, show, stats, jobs, mending):
        add_json(parser)


def chosen(options: dict[str, Any]) -> SpoolFilter:
    """The filter that the options mean. Raises BadFilter."""
    by_options = SpoolFilter.from_options(options)
    if not options.get("search"):
        return by_options
    return SpoolFilter.parse({**from_text(options["search"]).texts(), **by_options.texts()})


def _list(options: dict[str, Any], output: Output) -> None:
    wanted, sort = chosen(options), options["sort"]
    print_list(lambda after, size: page(wanted, sort=sort, after=after, size=size), _row, options["limit"], output)


def _show(options: dict[str, Any], output: Output) -> None:
    name = options["file_name"]
    name = name if name.endswith(".eml") else f"{name}.eml"
    entry = Entry.objects.filter(file_name=name).first()
    attempts = [str(attempt) for attempt in Attempt.objects.filter(file_name=name).order_by("at")[:200]]
    traces = list(Trace.objects.filter(file_name=name).order_by("ended", "id")[:200])
    if entry is None:
        kept = TrashedRecipient.objects.filter(entry__file_name=name, status=Outcome.PENDING).order_by("id")
        traces += [recipient.as_trace() for recipient in kept.select_related("entry")[:200]]
    ended = [
        f"{exact(trace.ended)} {trace.recipient}{_written_to(trace)} {trace.outcome}: {trace.reply}"
        + (f" ({trace.host})" if trace.host else "")
        for trace in traces
    ]
    if entry is not None:
        recipients = Recipient.objects.filter(entry=entry).order_by("id")[:1000]
        shown: dict[str, Any] = {
            **_row(entry),
            "Subject": entry.subject,
            "Message-ID": entry.message_id,
            **_session(entry),
            **({"Machine": entry.machine} if entry.machine else {}),
            "Last error": entry.last_error,
            **_on_hold(entry),
            **({"Next hop": entry.next_hop} if entry.next_hop else {}),
            "recipients": [f"{r.address} {r.status} {r.last_reply}".strip() for r in recipients],
            "attempts": attempts,
            "ended": ended,
            "header": _header(entry),
        }
    elif traces:
        shown = {**_departed(traces), "attempts": attempts, "ended": ended}
    else:
        text = f"There is no message {name} in the spool, and the trace does not know it."
        output.values({"note": text})
        raise Ended(NOTHING, "" if output.as_json else text)
    output.fields(shown)


def _stats(options: dict[str, Any], output: Output) -> None:
    if options["traffic"]:
        _traffic(options, output)
        return
    by_status = (
        Entry.objects.values("status")
        .order_by("status")
        .annotate(entries=Count("id"), bytes=Sum("size_bytes"), oldest=Min("created"))
    )
    # In the order in which a message goes through them.
    rows = [
        {
            "Status": Status(row["status"]).label,
            "Entries": row["entries"],
            "KB": (row["bytes"] or 0) // 1024,
            "Oldest": since(row["oldest"]),
        }
        for row in sorted(by_status, key=lambda row: Status.values.index(row["status"]))
    ]
    output.table(rows)
    due = Entry.objects.due(timezone.now()).count()
    output.line(f"{due} due now" if rows else "The spool is empty.")


def _traffic(options: dict[str, Any], output: Output) -> None:
    now, state = timezone.now(), TrafficState.objects.first()
    sums = whole([TrafficKind.LOCAL, TrafficKind.REMOTE], now)
    found = [row for rows in tops(_TABLES, now, max(1, options["limit"])).values() for row in rows]
    output.table(
        [
            {
                "Table": "Message Activity" if row.kind in sums else row.kind.label,
                "Which": row.kind.label if row.kind in sums else row.key or "<>",
                "5 minutes": row.five_minutes,
                "1 hour": row.hour,
                "24 hours": row.day,
                "Since installation": row.total,
                "Rising": "yes" if row.kind not in sums and row.rises else "",
            }
            for row in [*sums.values(), *found]
        ]
    )
    output.line(f"Counted until {exact(state.rolled)}." if state else "Nothing is counted yet.")


_TABLES = (
    TrafficKind.OUTBOUND_SENDER,
    TrafficKind.OUTBOUND_IP,
    TrafficKind.INBOUND_RECIPIENT,
    TrafficKind.INBOUND_SENDER,
    TrafficKind.INBOUND_IP,
    TrafficKind.INBOUND_DOMAIN,
)


def _jobs(options: dict[str, Any], output: Output) -> None:
    if options["cancel"] is not None:
        from spool.actions import cancel

        if not cancel(options["cancel"], Actor.at_the_shell()):
            raise Ended(NOTHING, f"There is no job {options['cancel']} that has not ended.")
        output.line(f"Job {options['cancel']} stops after the chunk in hand.")
    rows = [
        {
            "Job": job.id,
            "Made": exact(job.created),
            "Who": job.actor,
            "Action": job.action,
            "State": job.get_state_display(),
            "Done": job.done,
            "Of": job.total,
            "Left alone": job.busy + job.skipped,
            "Why": job.error or job.problem,
        }
        for job in BulkJob.objects.all()[: options["limit"]]
    ]
    output.table(rows)
    if not rows:
        output.line("There are no jobs.")
        raise Ended(NOTHING)


def _doctor(options: dict[str, Any], output: Output) -> None:
    findings = list(doctor.examine())
    if options["mend"]:
        doctor.mend_all(Actor.at_the_shell(), findings)
    output.table([{"Kind": f.kind, "What": f.what, "Remedy": f.remedy} for f in findings])
    if findings and not options["mend"]:
        raise Ended(NOTHING)
    if not findings:
        output.line("Nothing is wrong.")


def _row(entry: Entry) -> dict[str, Any]:
    """The spec's columns."""
    return {
        "Filename": entry.file_name,
        "Spool Path": entry.subspool,
        "Sender": entry.sender or "<>",
        "Recipients": f"{entry.recipients_done} / {entry.recipients_total}",
        "Size": f"{max(1, round(entry.size_bytes / 1024))} KB",
        "Attempts": entry.attempts,
        "Time in Spool": since(entry.created),
        "Priority": entry.get_priority_display(),
        "Status": "On hold" if entry.hold else entry.get_status_display(),
        "Next Attempt": exact(entry.next_attempt) if entry.next_attempt else "",
    }


def _session(came: Entry | Trace) -> dict[str, Any]:
    """The SMTP session that a message came in by."""
    return {
        "From IP": came.client_ip,
        "EHLO name": came.ehlo_name,
        "Port": came.port or "",
        "TLS": came.tls,
        "Authenticated user": came.auth_user,
    }


def _on_hold(entry: Entry) -> dict[str, Any]:
    if not entry.hold:
        return {}
    until = f" until {exact(entry.hold_until)}" if entry.hold_until else ""
    return {"On hold": f"{entry.hold_reason}{until}"}


def _written_to(trace: Trace) -> str:
    return f" (for {trace.original})" if trace.original else ""


def _departed(traces: list[Trace]) -> dict[str, Any]:
    """What the trace knows of a message that has left the spool."""
    last = traces[-1]
    kept = Trashed.objects.filter(file_name=last.file_name).first()
    note = "This message has left the spool; this is what the trace knows of it."
    if kept is not None:
        note = f"This message was {kept.get_state_display().lower()}; `spool undo {kept.event_id}` puts it back."
    return {
        "note": note,
        "Filename": last.file_name,
        "Sender": last.sender or "<>",
        "Subject": last.subject,
        "Message-ID": last.message_id,
        "Size": f"{max(1, round(last.size_bytes / 1024))} KB",
        **_session(last),
        "Received": exact(last.created),
        "Left": exact(last.ended),
    }


def _header(entry: Entry) -> list[str]:
    try:
        with source_of(entry).open("rb") as file:
            return header_block(file.read(64 * 1024)).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ["The message's file is missing."]


__all__ = ["add_parsers", "chosen"]
