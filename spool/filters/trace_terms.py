"""The search box of the trace: whatever names a message, and conditions beside it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from django.db.models import Q
from django.utils.translation import gettext as _

from accounts.addresses import key_of
from spool.filters.fields import FIELDS
from spool.filters.terms import is_operator, understand, words_of
from spool.filters.trace import TRACE_FIELDS, TRACE_OPERATORS

_FILE_NAME = re.compile(r"[0-9a-hjkmnp-tv-z]{26}(?:\.eml)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Named:
    """What a text names: in a sentence, and by conditions of which one must hold, each served by an index.

    `here` is that of the message itself, where it is one; `address` what may be one of its addresses.
    """

    sentence: str = ""
    choices: list[Q] = field(default_factory=list)
    here: Q | None = None
    address: str = ""


def asked_by(text: str) -> tuple[str, dict[str, str]]:
    """What somebody typed: the one thing that is looked for wherever a message names it, and the other conditions.

    Raises BadFilter. Alone, whatever it is, an address is a sender's or a recipient's and an ID that of the message.
    """
    text = text.strip()[:320]
    words = words_of(text, TRACE_OPERATORS)
    named = [word for word in words if not is_operator(word) and _names_a_message(word)]
    if words and words == named[:1]:
        return named[0], {}
    rest = " ".join(word for word in words if word not in named[:1])
    terms = understand(rest, lambda name, value: name == "sender", TRACE_OPERATORS, {**FIELDS, **TRACE_FIELDS})
    return (named[0] if named else ""), {term.field: term.value for term in terms}


def _names_a_message(word: str) -> bool:
    try:
        return bool(ipaddress.ip_address(word.strip("[]")))
    except ValueError:
        return bool(_FILE_NAME.fullmatch(word)) or (
            "@" in word.strip("@") and not word.startswith("@") and "*" not in word
        )


def named_by(text: str) -> Named:
    """What is looked for wherever a message names it; nothing for an empty text."""
    text = text.strip()[:320]
    if not text:
        return Named()
    try:
        ip = str(ipaddress.ip_address(text.strip("[]")))
        return Named((_("Messages that came from %(ip)s.") % {"ip": ip}), [Q(client_ip=ip)], Q(client_ip=ip))
    except ValueError:
        pass
    if _FILE_NAME.fullmatch(text):
        name = text.lower() if text.lower().endswith(".eml") else f"{text.lower()}.eml"
        return Named(
            (_("The message with the file name %(name)s.") % {"name": name}), [Q(file_name=name)], Q(file_name=name)
        )
    bare = text.strip("<>")
    by_id = Q(message_id__in=[bare, f"<{bare}>"])
    looks_like_id = text.startswith("<") or re.search(r"\d{4,}.*@|\$.*@", text)
    sentence = (
        (_("The message with the Message-ID or address %(bare)s.") % {"bare": bare})
        if looks_like_id
        else (_("Messages from or to %(bare)s, or with that Message-ID.") % {"bare": bare})
    )
    key = key_of(bare)
    # Each has an index of its own; of most addresses the key is the address.
    columns = ("sender", "sender_key", "recipient", "recipient_key", "original")
    return Named(sentence, [by_id, *(Q((column, key)) for column in columns)], by_id, bare)


__all__ = ["Named", "asked_by", "named_by"]
