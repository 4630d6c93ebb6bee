"""Readers of what is asked for in the console and by commands: filters, searches, places in lists, patterns, rules."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from django.core.exceptions import TooManyFieldsSent, ValidationError
from django.http import QueryDict

from quarantine.engines import rules
from quarantine.engines.answers import EngineFailed
from quarantine.engines.examined import Examined
from quarantine.filters import ItemFilter
from quarantine.filters import count as count_items
from quarantine.filters import page as page_of_items
from quarantine.filters import search as search_items
from quarantine.models import addresses as server_addresses
from quarantine.models.check import compile_rule, parse_answers
from security.actions.many import networks_in
from security.addresses import BadNetwork, parse_address, parse_network, spell
from security.patterns import BadPattern, NameSet, Rule, SenderSet, normal_pattern
from spool.console import trace
from spool.filters import BadFilter, SpoolFilter, count, from_text, page
from spool.filters.trace import TraceFilter
from spool.filters.trace_terms import asked_by
from tests.fuzz.target import Target

_KINDS = ("spam", "virus")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def ask_query(data: bytes) -> None:
    """The query of a list's URL, in both languages."""
    try:
        query = QueryDict(data.decode("latin-1"))
    except TooManyFieldsSent:
        # Django answers 400.
        return
    sort, after = query.get("sort", "-id"), query.get("after", "")
    try:
        chosen = SpoolFilter.from_query(query)
        assert SpoolFilter.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen
        chosen.sentence().encode()
        page(chosen, sort=sort, after=after)
        count(chosen)
    except BadFilter as error:
        str(error).encode("utf-8", "surrogateescape")
    try:
        items = ItemFilter.from_query(query, kind=_KINDS[len(data) % 2])
        assert ItemFilter.from_json(json.loads(json.dumps(items.to_json()))) == items
        page_of_items(items, sort=sort, after=after)
        count_items(items)
    except BadFilter:
        return


def ask_search(data: bytes) -> None:
    """The search boxes of the lists and of the trace."""
    text = _text(data)
    try:
        page(from_text(text))
        page_of_items(ItemFilter.parse(search_items(text), kind="spam"))
    except BadFilter:
        pass
    # It comes from a URL: no half characters, no NUL that the page lets through.
    typed = data.decode("utf-8", "replace").replace("\0", "")
    try:
        named, conditions = asked_by(typed)
        trace.search(named, 30, "", TraceFilter.parse(conditions))
        trace.search(typed, 30, text[:40])
    except BadFilter:
        pass


def read_pattern(data: bytes) -> None:
    """Patterns of the lists, and what is held against them: a line each."""
    first, _, rest = _text(data).partition("\n")
    names = [name for name in rest.split("\n") if name][:20] or [first]
    for kind in ("address", "domain", "ehlo"):
        try:
            pattern = normal_pattern(first, kind)
        except BadPattern:
            continue
        assert normal_pattern(pattern, kind) == pattern
        if kind == "address":
            found = SenderSet([Rule(1, pattern)])
        else:
            found = NameSet([Rule(1, pattern)])  # type: ignore[assignment]
        for name in names:
            found.find(name.lower())
        if "*" not in pattern and "?" not in pattern and kind != "ehlo":
            assert found.find(pattern)
    for text in networks_in(rest)[:20]:
        try:
            network = parse_network(text)
        except BadNetwork:
            continue
        assert parse_network(spell(network)) == network
    parse_address(first)
    try:
        parse_answers(first)
    except ValidationError:
        pass
    for reader in (server_addresses.parse_servers, server_addresses.parse_command):
        try:
            reader(first)
        except ValidationError:
            continue


def run_rule(data: bytes) -> None:
    """A rule for a header: its expression in the first line, the message in the others."""
    pattern, _, content = data.partition(b"\n")
    text = pattern.decode("utf-8", "replace")
    try:
        compile_rule(text)
    except ValidationError:
        return
    examined = Examined(Path("none"), len(content), "", held=content)
    try:
        if rules.header_rule_at_once(examined, "subject", text) is None:
            asyncio.run(rules.header_rule(examined, "subject", text))
    except EngineFailed:
        return


TARGETS = (
    Target("query", ask_query, longest=4 * 1024),
    Target("search", ask_search, longest=8 * 1024),
    Target("pattern", read_pattern, longest=1024),
    Target("rule", run_rule, longest=64 * 1024),
)
