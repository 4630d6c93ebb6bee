"""`manage.py suppression list|add|remove|import|export`: addresses that mail of a domain is not sent to any more."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from accounts.addresses import InvalidAddress, normalise_domain
from base.actions.action import Target
from base.actions.options import add_inputs, given
from base.actions.perform import perform
from spool.actions import suppression
from spool.actions.actor import Actor
from spool.actions.suppression_files import Unreadable, cells, csv_lines, read, summary, take
from spool.models.suppression import Suppression, SuppressionReason
from spool.shell.command import VerbCommand, add_verb
from spool.shell.output import NOTHING, Ended, Output
from spool.suppression import in_order


class Command(VerbCommand):
    help = "Addresses that bounced for good or complained, which mail of a domain is not sent to any more."

    def add_arguments(self, parser: Any) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for name, help, run in (
            ("list", "Who is suppressed, for which domain, since when and why.", _list),
            ("export", "The same as CSV, as `import` takes it.", _export),
        ):
            verb = add_verb(verbs, name, help, run)
            verb.add_argument("domain", metavar="DOMAIN", nargs="?", default="", help="only for this domain's mail")
            verb.add_argument("--address", default="", help="only addresses with this text")
            verb.add_argument("--reason", choices=SuppressionReason.values, default="", help="only for this reason")
        add = add_verb(verbs, "add", suppression.SUPPRESS.summary, _add)
        add.add_argument("domain", metavar="DOMAIN")
        add_inputs(add, suppression.SUPPRESS)
        remove = add_verb(verbs, "remove", suppression.UNSUPPRESS.summary, _remove)
        remove.add_argument("keys", metavar="DOMAIN:ADDRESS", nargs="+", help="as example.org:bob@far.example")
        taken = add_verb(verbs, "import", "Puts the addresses of a CSV file with a heading on the lists.", _import)
        taken.add_argument("file", metavar="FILE", help="columns address and, if there, the others; - is stdin")
        taken.add_argument("--domain", default="", help="for this domain's mail, where the file has no such column")
        taken.add_argument("--dry-run", action="store_true", help="only say what would become of each line")


def _rows(options: dict[str, Any]) -> QuerySet[Suppression]:
    rows = Suppression.objects.all()
    if options["domain"]:
        rows = rows.filter(domain=_domain(options["domain"]))
    if options["address"]:
        rows = rows.filter(address__icontains=options["address"])
    return rows.filter(reason=options["reason"]) if options["reason"] else rows


def _list(options: dict[str, Any], output: Output) -> None:
    rows = [cells(row) for row in in_order(_rows(options))]
    output.table(rows, nothing="Nobody is suppressed.")


def _export(options: dict[str, Any], output: Output) -> None:
    if output.as_json:
        _list(options, output)
        return
    sys.stdout.writelines(csv_lines(in_order(_rows(options))))


def _add(options: dict[str, Any], output: Output) -> None:
    values = given(suppression.SUPPRESS, options)
    if not values.get("addresses"):
        values["addresses"] = sys.stdin.read()
    _tell(perform(suppression.SUPPRESS, Actor.at_the_shell(), _target(options["domain"]), values), output)


def _remove(options: dict[str, Any], output: Output) -> None:
    target = Target.of("suppressed", *(key.lower() for key in options["keys"]))
    _tell(perform(suppression.UNSUPPRESS, Actor.at_the_shell(), target), output)


def _import(options: dict[str, Any], output: Output) -> None:
    try:
        text = sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text("utf-8-sig")
        lines = read(text, timezone.now(), options["domain"])
    except (OSError, UnicodeDecodeError, Unreadable) as error:
        raise Ended(NOTHING, f"{options['file']} can't be read: {error}") from error
    if options["dry_run"]:
        shown = [
            {"line": one.number, "domain": one.domain, "address": one.address, "result": one.said} for one in lines
        ]
        output.table(shown, nothing="It has no line but its heading.")
        output.line(f"{summary(lines)}.")
        return
    said = take(Actor.at_the_shell(), lines)
    wrong = [one for one in lines if one.problem]
    output.values({"said": said, "left_out": [{"line": one.number, "why": one.problem} for one in wrong]})
    for sentence in said or ["Nothing to add."]:
        output.line(sentence)
    for one in wrong:
        sys.stderr.write(f"Line {one.number}: {one.address}: {one.said}\n")
    if wrong and not said:
        raise Ended(NOTHING)


def _tell(done: Any, output: Output) -> None:
    output.values({"changed": done.result, "said": done.sentence})
    output.line(done.sentence)


def _target(domain: str) -> Target:
    return Target.of("domain", _domain(domain))


def _domain(text: str) -> str:
    """Raises Ended."""
    try:
        return normalise_domain(text)
    except InvalidAddress as error:
        raise Ended(NOTHING, str(error)) from error
