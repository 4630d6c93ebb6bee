"""The conditions that there are, by the name that URL, command line and JSON share."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.addresses import InvalidAddress, normalise_domain
from base.texts import Text
from spool.filters.units import BadFilter, format_age, format_size, parse_age, parse_size
from spool.filters.wildcards import checked
from spool.models.entry import Direction, Priority, Status

__all__ = ["FIELDS", "BadFilter", "Field", "as_texts", "chosen_among", "of_options", "parse_all", "unknown"]

LONGEST = 320


@dataclass(frozen=True, slots=True)
class Field:
    """One condition. `name` is its option, query parameter and JSON key; `attribute` its place in SpoolFilter.

    `phrase` completes the sentence "messages …"; `metavar` shows how its value is written; `choices` are all it takes.
    """

    name: str
    attribute: str
    phrase: Text
    help: Text
    metavar: str
    parse: Callable[[str], Any]
    format: Callable[[Any], str] = str
    choices: tuple[str, ...] = ()


def _text(text: str) -> str:
    text = text.strip()
    if len(text) > LONGEST:
        raise BadFilter(_("A condition has at most %(most)s characters.") % {"most": LONGEST})
    if any(ord(letter) < 32 or 0xD800 <= ord(letter) < 0xE000 for letter in text):
        raise BadFilter(_("A condition is one line of text."))
    return text


def _whole_text(text: str) -> str:
    """With the spaces at its ends, for what is compared as a whole."""
    _text(text)
    return text


def _address(text: str) -> str:
    return checked(_text(text))


def _mailbox(text: str) -> str:
    text = _text(text)
    if "*" in text:
        raise BadFilter(_("%(text)s: a mailbox is one address, as in ann@example.org.") % {"text": repr(text[:80])})
    return text


def _domain(text: str) -> str:
    text = _text(text).lower().removeprefix("@")
    if not text:
        return ""
    try:
        return normalise_domain(text)
    except InvalidAddress as error:
        raise BadFilter(_("%(text)s is not a domain; write example.org.") % {"text": repr(text)}) from error


def _ip(text: str) -> str:
    text = _text(text)
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError as error:
        raise BadFilter(
            _("%(text)s is not an IP address; write 192.0.2.1 or 2001:db8::1.") % {"text": repr(text)}
        ) from error


def _file_name(text: str) -> str:
    text = _text(text).lower()
    return text if not text or text.endswith(".eml") else f"{text}.eml"


def _number(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit()) or len(text.strip()) > 9:
        raise BadFilter(_("%(text)s is not a number.") % {"text": repr(text)})
    return int(text)


def _one_of(what: str, values: dict[str, Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return values[text.strip().lower()]
        except KeyError as error:
            raise BadFilter(
                _("%(text)s is not a %(what)s; there are %(values)s.")
                % {"text": f"{text!r}", "what": what, "values": ", ".join(values)}
            ) from error

    return parse


def chosen_among(field: str, attribute: str, phrase: Text, help_text: Text, values: dict[str, Any]) -> Field:
    """A condition that takes one of `values`, by their names."""
    names = {value: name for name, value in values.items()}
    return Field(
        field,
        attribute,
        phrase,
        help_text,
        field.upper(),
        _one_of(field, values),
        lambda value: names[value],
        tuple(values),
    )


STATUSES = {status.value: status.value for status in Status}
DIRECTIONS = {"inbound": int(Direction.INBOUND), "outbound": int(Direction.OUTBOUND)}
PRIORITIES = {"low": int(Priority.LOW), "normal": int(Priority.NORMAL), "high": int(Priority.HIGH)}
_YES = {"yes": True, "no": False}

_ALL = (
    Field(
        "sender",
        "sender",
        "from {}",
        _lazy("sender's address; * stands for anything, <> for none"),
        "ADDRESS",
        _address,
    ),
    Field("sender-domain", "sender_domain", _lazy("from the domain {}"), "sender's domain", "DOMAIN", _domain),
    Field(
        "recipient",
        "recipient",
        "to {}",
        _lazy("a recipient's address, or that of an alias that leads there; * stands for anything"),
        "ADDRESS",
        _address,
    ),
    Field(
        "mailbox",
        "mailbox",
        _lazy("for the mailbox {}"),
        _lazy(
            "a recipient's own address, by whatever alias it was written to;"
            " Delete and Move then take them from this recipient alone"
        ),
        "ADDRESS",
        _mailbox,
    ),
    Field("domain", "domain", _lazy("to the domain {}"), _lazy("a recipient's domain"), "DOMAIN", _domain),
    Field("ip", "ip", _lazy("that came from {}"), _lazy("IP address of the client"), "IP", _ip),
    Field(
        "auth-user",
        "auth_user",
        _lazy("sent by the user {}"),
        _lazy("user who logged in to send it"),
        "ADDRESS",
        _address,
    ),
    Field("id", "file_name", _lazy("with the file name {}"), _lazy("file name"), "NAME", _file_name),
    Field("message-id", "message_id", _lazy("with the Message-ID {}"), "Message-ID", "ID", _text),
    Field("subject", "subject", _lazy("with “{}” in the subject"), _lazy("words that the subject has"), "TEXT", _text),
    Field(
        "exact-subject",
        "exact_subject",
        _lazy("with the subject “{}”"),
        _lazy("the whole subject"),
        "TEXT",
        _whole_text,
    ),
    chosen_among("status", "status", _lazy("with the status {}"), _lazy("status"), STATUSES),
    chosen_among("direction", "direction", _lazy("that are {}"), _lazy("inbound or outbound"), DIRECTIONS),
    chosen_among("priority", "priority", _lazy("with {} priority"), _lazy("priority"), PRIORITIES),
    Field(
        "older",
        "older_than",
        _lazy("in the spool for more than {}"),
        _lazy("longer in the spool than"),
        "AGE",
        parse_age,
        format_age,
    ),
    Field(
        "younger",
        "younger_than",
        _lazy("in the spool for less than {}"),
        _lazy("not as long in the spool as"),
        "AGE",
        parse_age,
        format_age,
    ),
    Field("larger", "larger_than", _lazy("larger than {}"), _lazy("larger than"), "SIZE", parse_size, format_size),
    Field("smaller", "smaller_than", _lazy("smaller than {}"), _lazy("smaller than"), "SIZE", parse_size, format_size),
    Field(
        "min-attempts",
        "min_attempts",
        _lazy("with at least {} attempts"),
        _lazy("at least as many attempts"),
        "N",
        _number,
    ),
    Field(
        "max-attempts",
        "max_attempts",
        _lazy("with at most {} attempts"),
        _lazy("at most as many attempts"),
        "N",
        _number,
    ),
    Field("error", "error", _lazy("whose last error has “{}”"), _lazy("text that the last error has"), "TEXT", _text),
    Field(
        "error-group",
        "error_group",
        _lazy("whose last error is “{}”"),
        _lazy("last error, cleaned of particulars"),
        "TEXT",
        _text,
    ),
    Field(
        "machine",
        "machine",
        _lazy("taken in by the machine {}"),
        _lazy("machine that took it in, where several share the mail"),
        "NAME",
        _text,
    ),
    chosen_among("hold", "hold", _lazy("on hold: {}"), _lazy("whether it is on hold"), _YES),
    Field(
        "next-within",
        "next_within",
        _lazy("with the next attempt within {}"),
        _lazy("next attempt comes within"),
        "AGE",
        parse_age,
        format_age,
    ),
)

FIELDS: dict[str, Field] = {field.name: field for field in _ALL}


def parse_all(fields: Mapping[str, Field], values: Mapping[str, str]) -> dict[str, Any]:
    """Values by attribute, from texts by name; empty texts are passed over. Raises BadFilter, for unknown names too."""
    if (missing := next((name for name in values if name not in fields), None)) is not None:
        raise unknown(_("condition"), missing, fields)
    return {fields[name].attribute: fields[name].parse(text) for name, text in values.items() if text.strip()}


def unknown(kind: str, name: str, known: Iterable[str], mark: str = "") -> BadFilter:
    """What is said of a name that does not exist: those that do, and which may have been meant.

    `kind` is what is named; `mark` stands behind each name.
    """
    names = sorted(known)
    near = get_close_matches(name.lower(), names, 1)
    listed = ", ".join(f"{one}{mark}" for one in names)
    values = {"kind": kind, "name": f"{name[:60]}{mark}", "near": f"{near[0]}{mark}" if near else "", "listed": listed}
    if near:
        return BadFilter(_("There is no %(kind)s %(name)s. Did you mean %(near)s? Available: %(listed)s.") % values)
    return BadFilter(_("There is no %(kind)s %(name)s. Available: %(listed)s.") % values)


def of_options(fields: Mapping[str, Field], options: Mapping[str, Any]) -> dict[str, str]:
    """Texts by field name, from a command's options."""
    return {name: str(options.get(name.replace("-", "_")) or "") for name in fields}


def as_texts(fields: Mapping[str, Field], chosen: object) -> dict[str, str]:
    """The reverse of `parse_all`: what `chosen` asks for, as people write it."""
    values = {field.name: (field, getattr(chosen, field.attribute)) for field in fields.values()}
    return {name: field.format(value) for name, (field, value) in values.items() if value not in ("", None)}
