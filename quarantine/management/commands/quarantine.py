"""`manage.py quarantine …`: every look and every action on the quarantines, from the shell."""

from __future__ import annotations

import argparse
from typing import Any

from accounts.account_actions import user_named
from base.actions.action import SingleAction, Target
from base.actions.options import add_inputs, given
from base.actions.perform import perform
from base.times import exact, since, until
from quarantine import greylisting
from quarantine.actions.exports import FORMATS, export
from quarantine.actions.listed import ALLOW_SENDER, BLOCK_SENDER, UNLIST_SENDER
from quarantine.actions.verbs import ACTIONS
from quarantine.filters import ITEM_FIELDS, SORTS, ItemFilter, count, page, search
from quarantine.models import AntispamSettings, Greylisted, Item, ItemKind, ItemState, ListedSender
from spool.actions import VERBS, Actor
from spool.message.header import block as header_block
from spool.shell.actions import act, add_action
from spool.shell.command import VerbCommand
from spool.shell.export_file import add_output, write_out
from spool.shell.output import NOTHING, USAGE, Ended, Output, add_filters, add_json, print_list

_LISTING: dict[str, SingleAction[Any]] = {"allow": ALLOW_SENDER, "block": BLOCK_SENDER, "unlist": UNLIST_SENDER}


class Command(VerbCommand):
    """Exit status: 0 done, 1 nothing matched or it was refused, 2 usage."""

    help = "Look at quarantined messages, and act on them."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        listing = verbs.add_parser("list", help="quarantined messages", description="List messages, newest first.")
        _add_filters(listing)
        listing.add_argument("--sort", choices=tuple(SORTS), default="-id", help="order; - turns it round")
        listing.add_argument("--limit", type=int, default=100, help="how many at most (100)")
        listing.set_defaults(run=_list)
        show = verbs.add_parser("show", help="one message", description="Show one message and why it was caught.")
        show.add_argument("file_name", help="its file name")
        show.set_defaults(run=_show)
        for verb in ACTIONS:
            acting = add_action(verbs, verb)
            _add_filters(acting)
            acting.set_defaults(run=_act)
        out = verbs.add_parser(
            "export", help="the rows of the list as a file", description="Write the rows of what matches to a file."
        )
        out.add_argument("--format", choices=FORMATS, default="csv", help="of the file (csv)")
        out.add_argument("--all", action="store_true", help="everything: no condition is needed")
        add_output(out)
        _add_filters(out)
        out.set_defaults(run=_export)
        grey = verbs.add_parser("greylist", help="what greylisting remembers", description="Show or forget it.")
        grey.add_argument("--forget", action="append", metavar="NETWORK", help="this network, as 192.0.2.0/24")
        grey.add_argument("--forget-all", action="store_true", help="everything")
        grey.add_argument("--limit", type=int, default=100, help="how many rows at most (100)")
        grey.set_defaults(run=_greylist)
        listed = verbs.add_parser(
            "senders",
            help="whom a user allows and blocks",
            description="List the senders that a user allows and blocks.",
        )
        listed.add_argument("user", metavar="USER", help="the user's address")
        listed.set_defaults(run=_senders)
        for name, action in _LISTING.items():
            below = verbs.add_parser(name, help=action.summary, description=action.summary)
            below.add_argument("user", metavar="USER", help="the user's address")
            add_inputs(below, action)
            below.set_defaults(run=_change_lists)
        for below in verbs.choices.values():
            add_json(below)


def _add_filters(parser: argparse.ArgumentParser) -> None:
    group = add_filters(parser, ITEM_FIELDS, "which quarantined messages")
    group.add_argument("--kind", default="", choices=ItemKind.values, help="which quarantine; both without it")


def _chosen(options: dict[str, Any]) -> ItemFilter:
    by_options = ItemFilter.from_options(options, kind=options["kind"])
    if not options["search"]:
        return by_options
    return ItemFilter.parse({**search(options["search"]), **by_options.texts()}, kind=by_options.kind)


def _list(options: dict[str, Any], output: Output) -> None:
    wanted, sort = _chosen(options), options["sort"]
    print_list(lambda after, size: page(wanted, sort=sort, after=after, size=size), _row, options["limit"], output)


def _show(options: dict[str, Any], output: Output) -> None:
    name = options["file_name"]
    name = name if name.endswith(".eml") else f"{name}.eml"
    item = Item.objects.filter(file_name=name, state=ItemState.HELD).first()
    if item is None:
        text = f"There is no message {name} in quarantine; `manage.py spool show {name}` may know what became of it."
        output.values({"note": text})
        raise Ended(NOTHING, "" if output.as_json else text)
    output.fields(
        {
            **_row(item),
            "Subject": item.subject,
            "Message-ID": item.message_id,
            "From IP": item.client_ip,
            "Logged in as": item.auth_user,
            "Direction": item.get_direction_display(),
            "Received": exact(item.created),
            "findings": [_finding(one) for one in item.findings],
            "recipients": [f"{one['address']} {one['status']} {one['last_reply']}".strip() for one in item.recipients],
            "header": _header(item),
        }
    )


def _act(options: dict[str, Any], output: Output) -> None:
    act(VERBS[f"quarantine-{options['verb']}"], _chosen(options), options, output)


def _export(options: dict[str, Any], output: Output) -> None:
    wanted = _chosen(options)
    if wanted.is_empty and not options["all"]:
        raise Ended(USAGE, "Say which messages, by a condition or by --all.")
    if not (found := count(wanted)).number and not found.more:
        raise Ended(NOTHING, "Nothing matches.")
    write_out(export(wanted, options["format"], Actor.at_the_shell()), options, output)


def _greylist(options: dict[str, Any], output: Output) -> None:
    if options["forget"] or options["forget_all"]:
        which = None if options["forget_all"] else options["forget"]
        rows = greylisting.forget(which, actor=Actor.at_the_shell())
        output.values({"forgotten": rows})
        output.line(f"{rows} rows are forgotten.")
        if not rows:
            raise Ended(NOTHING)
        return
    rows_shown = [
        {
            "Network": one.network,
            "Sender": one.sender or "<>",
            "Recipient": one.recipient,
            "First seen": exact(one.first_seen),
            "Came back": one.passed,
        }
        for one in Greylisted.objects.order_by("-id")[: max(1, options["limit"])]
    ]
    found = greylisting.standing(AntispamSettings.load())
    output.line(f"{found.waiting} have not come back yet, {found.passed} have; {found.proven} networks need not wait.")
    output.table(rows_shown, nothing="Nobody is greylisted.")
    if not rows_shown:
        raise Ended(NOTHING)


def _senders(options: dict[str, Any], output: Output) -> None:
    rows = ListedSender.objects.filter(user=_user(options).rows[0])
    output.table(
        [{"Sender": one.pattern, "Is": one.get_listing_display(), "Since": exact(one.created)} for one in rows],
        nothing="Nobody is listed.",
    )
    if not rows:
        raise Ended(NOTHING)


def _change_lists(options: dict[str, Any], output: Output) -> None:
    action = _LISTING[options["verb"]]
    said = perform(action, Actor.at_the_shell(), _user(options), given(action, options)).sentence
    output.values({"done": said})
    output.line(said)


def _user(options: dict[str, Any]) -> Target:
    found = user_named(options["user"])
    if found is None:
        raise Ended(NOTHING, f"There is no user {options['user']}.")
    return found


def _row(item: Item) -> dict[str, Any]:
    """The columns of the pages."""
    return {
        "File Name": item.file_name,
        "Quarantine": item.get_kind_display(),
        "Date": exact(item.at),
        "Sender": item.sender or "<>",
        "Recipients": f"{item.recipients_done} / {item.recipients_total}",
        "Size": f"{max(1, round(item.size_bytes / 1024))} KB",
        "Attempts": item.attempts,
        "Time in Spool": since(item.at),
        "Time of Removal": f"{exact(item.removal)} (in {until(item.removal)})",
        "Why": item.why,
    }


def _finding(one: dict[str, Any]) -> str:
    if "engine" in one:
        return f"{one['engine']}: {one['said']} {one['text']}".strip()
    return f"{one['check']}: {one['points']:g} {one['text']}".strip()


def _header(item: Item) -> list[str]:
    try:
        with item.source.open("rb") as file:
            return header_block(file.read(64 * 1024)).decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ["(the message file is missing)"]
