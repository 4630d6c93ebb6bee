"""Checks of an administrator's own: regular expressions for a header or the text of a message."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import regex

from quarantine.engines.answers import EngineFailed
from quarantine.engines.examined import HEAD_BYTES, Examined
from quarantine.engines.texts import NOT_LOOKED_AT, read, read_at_once
from quarantine.models.check import compile_rule
from spool.message.structure import readable

# An expression that backtracks without end is stopped, and counts as no answer.
SEARCH_SECONDS: Final = 0.5
AT_ONCE_SECONDS: Final = 0.01
MOST_HEADERS: Final = 100


async def header_rule(examined: Examined, name: str, pattern: str) -> str:
    """What the expression matches in one of the headers of this name, or "". Raises EngineFailed."""
    return await _first(pattern, _values(examined, name))


async def text_rule(examined: Examined, pattern: str) -> str:
    """What it matches in the text parts, or "". Raises EngineFailed."""
    return await _first(pattern, [(await read(examined)).text])


def header_rule_at_once(examined: Examined, name: str, pattern: str) -> str | None:
    """The same, or None when it takes longer."""
    return _first_at_once(pattern, _values(examined, name))


def text_rule_at_once(examined: Examined, pattern: str) -> str | None:
    """The same, or None when it takes longer."""
    return _first_at_once(pattern, [read_at_once(examined).text]) if examined.is_small else None


def unread_headers(examined: Examined, name: str) -> str:
    """What of the fields of this name a header rule has not looked at, in a few words; "" for nothing."""
    reasons = []
    if (more := len(examined.fields.all(name.lower())) - MOST_HEADERS) > 0:
        reasons.append(f"{more} of its fields after the first {MOST_HEADERS}")
    if len(examined.head) >= HEAD_BYTES - 1:
        reasons.append(f"fields beyond {HEAD_BYTES // 1024} KB")
    return f"{NOT_LOOKED_AT}{', '.join(reasons)}" if reasons else ""


def _values(examined: Examined, name: str) -> list[str]:
    values = examined.fields.all(name.lower())[:MOST_HEADERS]
    return [readable(value.decode("utf-8", "surrogateescape")) for value in values]


def _first_at_once(pattern: str, texts: Sequence[str]) -> str | None:
    """Nearly all are done with at once; the others must not hold up the loop."""
    expression = compile_rule(pattern)
    try:
        found = (expression.search(text, timeout=AT_ONCE_SECONDS) for text in texts if text)
        return next((_quoted(one) for one in found if one), "")
    except TimeoutError:
        return None


async def _first(pattern: str, texts: Sequence[str]) -> str:
    expression = compile_rule(pattern)

    def search() -> str:
        ends = time.monotonic() + SEARCH_SECONDS
        for text in texts:
            found = expression.search(text, timeout=max(0.001, ends - time.monotonic()), concurrent=True)
            if found:
                return _quoted(found)
        return ""

    try:
        return await asyncio.to_thread(search)
    except TimeoutError as error:
        raise EngineFailed(f"the expression needs more than {SEARCH_SECONDS:g} s for this message") from error


def _quoted(found: regex.Match[str]) -> str:
    return f"“{found[0][:80]}”"
