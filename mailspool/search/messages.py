"""Messages that a text names, by file name or Message-ID, and where those of an address, domain or IP are listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from accounts.templatetags.reach import opens
from mailspool.search.results import Result
from quarantine.models import Item
from quarantine.models.item import ItemKind, ItemState
from spool.filters import FIELDS, BadFilter, SpoolFilter, count
from spool.filters.terms import understand
from spool.models import Entry, Trace

MOST: Final = 5
# So far a list's messages are counted.
_COUNTED: Final = 999
# By which of the spool's conditions the messages of a thing are found, each of them served by an index.
_LISTS: Final = {
    "sender": ("sender", "recipient", "auth-user"),
    "recipient": ("recipient", "sender", "auth-user"),
    "sender-domain": ("sender-domain", "domain"),
    "domain": ("domain", "sender-domain"),
    "ip": ("ip",),
}


@dataclass(frozen=True, slots=True)
class Meant:
    """What a text is: the field of the spool's search that it would be, and its value there."""

    field: str
    value: str

    @property
    def thing(self) -> tuple[str, str] | None:
        """Its kind and key where menus know it (base.actions.registry)."""
        kind = {"ip": "ip", "sender": "sender", "recipient": "sender", "domain": "domain", "sender-domain": "domain"}
        return (kind[self.field], self.value) if self.field in kind else None


def meant(text: str) -> Meant | None:
    """What the whole of a text is, if it is one thing and no words. Asks no table."""
    if " " in text or "*" in text:
        return None
    try:
        terms = understand(text, lambda name, value: name == "sender" and "." in value.rpartition("@")[2])
    except BadFilter:
        return None
    if len(terms) != 1 or terms[0].field not in (*_LISTS, "id", "message-id"):
        return None
    return Meant(terms[0].field, terms[0].value)


def matching(request: HttpRequest, text: str, thing: Meant | None) -> list[Result]:
    """The messages that are named, the lists of those that are meant, and the trace."""
    if not opens(request, "admin:spool_entry_changelist"):
        return []
    found: list[Result] = []
    if thing is not None and thing.field == "id":
        found = _by_file_name(f"{thing.value.lower().removesuffix('.eml')}.eml")
    elif "@" in text and " " not in text:
        found = _by_message_id(text.strip("<>"))
    if thing is not None:
        found += [result for name in _LISTS.get(thing.field, ()) if (result := _list(name, thing.value)) is not None]
        trace = f"{reverse('admin:spool_trace_changelist')}?{urlencode({'q': text})}"
        found.append(
            Result(
                (_("Message trace of %(text)s") % {"text": text}),
                "manage_search",
                _("what became of its messages"),
                trace,
            )
        )
    return found


def _list(name: str, value: str) -> Result | None:
    try:
        number = count(SpoolFilter.parse({name: value}), _COUNTED)
    except BadFilter:
        return None
    if not number.number:
        return None
    link = f"{reverse('admin:spool_entry_changelist')}?{urlencode({name: value})}"
    return Result(
        (_("Messages %(format)s") % {"format": FIELDS[name].phrase.format(value)}),
        "forward_to_inbox",
        (_("%(number)s in the spool") % {"number": number}),
        link,
    )


def _by_file_name(name: str) -> list[Result]:
    return _named({"file_name": [name]})


def _by_message_id(bare: str) -> list[Result]:
    return _named({"message_id": [bare, f"<{bare}>"]})


def _named(condition: dict[str, list[str]]) -> list[Result]:
    where = {f"{column}__in": values for column, values in condition.items()}
    found = [
        _message(entry, "forward_to_inbox", _("in the spool"), "admin:spool_entry_message")
        for entry in Entry.objects.filter(**where)[:MOST]
    ]
    for item in Item.objects.filter(state=ItemState.HELD, kind__in=ItemKind.values, **where)[:MOST]:
        found.append(
            _message(
                item,
                "report",
                (_("in %(lower)s quarantine") % {"lower": item.get_kind_display().lower()}),
                "admin:quarantine_item_message",
            )
        )
    if not found and (trace := Trace.objects.filter(**where).order_by("-ended").first()) is not None:
        found.append(
            _message(trace, "manage_search", f"{trace.get_outcome_display().lower()}", "admin:spool_entry_message")
        )
    return found


def _message(row: Entry | Item | Trace, icon: str, where: str, place: str) -> Result:
    subject = getattr(row, "subject", "") or row.file_name
    return Result(subject, icon, f"{row.sender or 'null sender'}, {where}", reverse(place, args=[row.file_name]))
