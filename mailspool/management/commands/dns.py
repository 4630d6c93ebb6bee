"""`manage.py dns show|check|publish`: the DNS records of our domains and of this host, from the shell."""

from __future__ import annotations

from typing import Any

from accounts.models import Domain
from base.actions.action import Target
from base.actions.options import add_inputs, given
from base.actions.perform import perform, preview
from mailspool.dns_records import shown
from mailspool.dns_records.actions import CHECK_RECORDS, PUBLISH_RECORDS
from mailspool.dns_records.names import HOST, HOST_KEY, named
from spool.actions.actor import Actor
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, Ended, Output


class Command(VerbCommand):
    help = "The DNS records that our domains and this host need, and which of them are there."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        show = add_verb(verbs, "show", "What the last look found; without a domain, of all and of this host.", _show)
        show.add_argument("domain", metavar="DOMAIN", nargs="?", default="", help=f"a domain, or {HOST_KEY}")
        kind = show.add_mutually_exclusive_group()
        kind.add_argument("--zone", action="store_true", help="only what has to be added, as lines of a zone file")
        kind.add_argument("--octodns", action="store_true", help="the same for octoDNS")
        kind.add_argument("--wrong", action="store_true", help="only what is missing or wrong")
        check = add_verb(verbs, "check", CHECK_RECORDS.summary, _check)
        check.add_argument("domain", metavar="DOMAIN", help=f"a domain, or {HOST_KEY}")
        publish = add_verb(verbs, "publish", PUBLISH_RECORDS.summary, _publish)
        publish.add_argument("domain", metavar="DOMAIN", help=f"a domain, or {HOST_KEY}")
        add_inputs(publish, PUBLISH_RECORDS)
        publish.add_argument("--dry-run", action="store_true", help="only say what would be put there")


def _show(options: dict[str, Any], output: Output) -> None:
    domains = [_domain(options["domain"])] if options["domain"] else [HOST, *_all()]
    found = [(domain, one) for domain in domains for one in shown.records_of(domain)]
    if options["wrong"]:
        found = [(domain, one) for domain, one in found if one.is_bad]
    if options["zone"] or options["octodns"]:
        for domain in domains:
            records = [one for of, one in found if of == domain]
            text = shown.zone_file(records) if options["zone"] else shown.octodns(domain, records)
            for line in text.splitlines():
                output.line(line)
        return
    nothing = "Nothing is missing or wrong." if options["wrong"] else "Nothing was looked at yet: dns check does."
    output.table([_row(domain, one, output.as_json) for domain, one in found], nothing=nothing)


def _check(options: dict[str, Any], output: Output) -> None:
    domain = _domain(options["domain"])
    done = perform(CHECK_RECORDS, Actor.at_the_shell(), Target.of("dns", options["domain"].lower()))
    output.table([_row(domain, one, output.as_json) for one in done.result])
    if not done.good:
        raise Ended(NOTHING, done.sentence)


def _publish(options: dict[str, Any], output: Output) -> None:
    _domain(options["domain"])
    target, asked = Target.of("dns", options["domain"].lower()), given(PUBLISH_RECORDS, options)
    if options["dry_run"]:
        effect = preview(PUBLISH_RECORDS, Actor.at_the_shell(), target, asked).effect
        output.values({"effect": effect})
        output.line(effect)
        return
    done = perform(PUBLISH_RECORDS, Actor.at_the_shell(), target, asked)
    output.values({"published": done.result})
    output.line(done.sentence)
    if not done.good:
        raise Ended(NOTHING, done.sentence if output.as_json else "")


def _domain(key: str) -> str:
    domain = named(key)
    if domain is None:
        raise Ended(NOTHING, f"{key} is no domain of this server.")
    return domain


def _all() -> list[str]:
    return list(Domain.objects.order_by("name").values_list("name", flat=True))


def _row(domain: str, one: shown.Shown, whole: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"domain": domain or HOST_KEY, "record": one.purpose, "state": str(one.state)}
    row["name"] = one.name
    if whole:
        row |= {"type": one.kind, "wanted": one.wanted, "found": list(one.found), "checked": one.checked}
    return row | {"sentence": one.sentence}
