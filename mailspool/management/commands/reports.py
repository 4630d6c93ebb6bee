"""`manage.py reports list|senders|tls|received`: what others report of our domains, from the shell."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

from django.utils import timezone

from accounts.models import Domain
from base.batches import batched
from mailspool.dns_records.names import our_domain
from mailspool.mail_reports import stored
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, Ended, Output

_MOST: Final = 1_000


class Command(VerbCommand):
    help = "What others report of our domains: mail in their names (DMARC), and TLS with this server (TLS-RPT)."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        listed = add_verb(verbs, "list", "The sums of each domain.", _list)
        senders = add_verb(verbs, "senders", "Which addresses sent in a domain's name; did it pass?", _senders)
        senders.add_argument("domain", metavar="DOMAIN")
        senders.add_argument("--failed", action="store_true", help="only those with mail that did not pass")
        failures = add_verb(verbs, "tls", "Whose TLS with this server failed, and why.", _failures)
        failures.add_argument("domain", metavar="DOMAIN")
        received = add_verb(verbs, "received", "The newest reports themselves; without a domain, of all.", _received)
        received.add_argument("domain", metavar="DOMAIN", nargs="?", default="")
        for verb in (listed, senders, failures, received):
            verb.add_argument("--days", type=int, default=7, help="how far back; 7 unless it is said")


def _list(options: dict[str, Any], output: Output) -> None:
    first = stored.since(options["days"], timezone.now())
    rows: list[dict[str, Any]] = []
    for names in batched(list(Domain.objects.order_by("name").values_list("name", flat=True)), 500):
        sums = stored.sums(names, first)
        for name in names:
            found = sums.get(name, stored.NOTHING)
            rows.append(
                {
                    "domain": name,
                    "dmarc reports": found.dmarc.reports,
                    "passed": found.dmarc.good,
                    "failed": found.dmarc.bad,
                    "tls reports": found.tls.reports,
                    "tls good": found.tls.good,
                    "tls failed": found.tls.bad,
                }
            )
    output.table(rows, nothing="Nothing was reported.")


def _senders(options: dict[str, Any], output: Output) -> None:
    found = stored.senders(_domain(options), _first(options), only_bad=options["failed"], most=_MOST)
    _table(
        output,
        [
            {
                "address": one.ip or "others",
                "messages": one.count,
                "passed": one.good,
                "dkim": one.dkim,
                "spf": one.spf,
                "quarantined": one.quarantined,
                "rejected": one.rejected,
                "signed by": one.dkim_domain,
                "envelope": one.spf_domain,
                "last": one.day,
            }
            for one in found
        ],
    )


def _failures(options: dict[str, Any], output: Output) -> None:
    _table(output, [asdict(one) for one in stored.failures(_domain(options), _first(options), _MOST)])


def _received(options: dict[str, Any], output: Output) -> None:
    domain = _domain(options) if options["domain"] else ""
    _table(
        output,
        [
            {
                "received": one.received,
                "kind": one.kind,
                "domain": one.domain,
                "reporter": one.reporter,
                "signed by": one.signed_by,
                "begins": one.begins,
                "good": one.good,
                "bad": one.bad,
            }
            for one in stored.received(domain, _first(options), _MOST)
        ],
    )


def _table(output: Output, rows: list[dict[str, Any]]) -> None:
    """Raises Ended when there is nothing."""
    output.table(rows, nothing="Nothing was reported.")
    if not rows:
        raise Ended(NOTHING)


def _first(options: dict[str, Any]) -> Any:
    return stored.since(options["days"], timezone.now())


def _domain(options: dict[str, Any]) -> str:
    domain = our_domain(options["domain"])
    if domain is None:
        raise Ended(NOTHING, f"{options['domain']} is no domain of this server.")
    return domain
