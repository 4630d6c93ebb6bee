"""The verb that tells what became of messages: trace."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any

from django.utils import timezone

from base.times import exact
from spool.filters.trace import DEFAULT_SORT, MOST_EXPORTED, SORTS, TRACE_FIELDS, TraceFilter, every
from spool.filters.trace_terms import asked_by, named_by
from spool.models.settings import current
from spool.shell.output import NOTHING, Ended, Output, add_filters, add_json
from spool.transfer.streamed import FORMATS, WRITERS
from spool.transfer.traces import COLUMNS, as_values


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "trace",
        help="what became of messages",
        description="List what became of each recipient of messages that have left the spool, newest first.",
    )
    add_filters(parser, TRACE_FIELDS, "which outcomes")
    parser.add_argument("--sort", choices=SORTS, default=DEFAULT_SORT, help="order; - turns it round")
    parser.add_argument("--limit", type=int, default=100, help="how many at most (100)")
    parser.add_argument(
        "--export", choices=tuple(FORMATS), help=f"print all columns in this form, {MOST_EXPORTED:,} rows at most"
    )
    add_json(parser)
    parser.set_defaults(run=_trace)


def _trace(options: dict[str, Any], output: Output) -> None:
    text, more = asked_by(options["search"])
    chosen = TraceFilter.parse({**more, **TraceFilter.from_options(options).texts()})
    since = timezone.now() - timedelta(days=current().trace_days)
    asked = {"sort": options["sort"], "choices": named_by(text).choices, "since": since}
    if options["export"]:
        for part in WRITERS[options["export"]](map(as_values, every(chosen, **asked)), COLUMNS):
            output.out.write(part)
        return
    limit = max(1, options["limit"])
    found = list(islice(every(chosen, limit + 1, **asked), limit + 1))
    if output.as_json:
        output.values([as_values(trace) for trace in found[:limit]])
    else:
        output.table(
            [
                {
                    "Ended": exact(trace.ended),
                    "Sender": trace.sender or "<>",
                    "Recipient": trace.recipient,
                    "Outcome": trace.get_outcome_display(),
                    "Last reply": trace.reply,
                    "Host": trace.host,
                    "Client IP": trace.client_ip,
                    "Filename": trace.file_name,
                    "Subject": trace.subject,
                }
                for trace in found[:limit]
            ]
        )
    if len(found) > limit:
        output.line(f"More than {limit} match; --limit shows more.")
    if not found:
        raise Ended(NOTHING, "" if output.as_json else "Nothing matches.")
