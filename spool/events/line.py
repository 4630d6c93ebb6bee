"""One event as one line: `key=value` pairs (logfmt) or JSON. Whatever a value holds, it stays one line of its length.

A value that is a word of printable ASCII stands bare; any other is quoted and escaped as in JSON, so that readers of
logfmt and of JSON agree. Nothing that a terminal would obey, or that would look like something else, gets through:
controls, U+0085, U+2028, marks that turn the direction of text, half characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final

Value = str | int | float

# A write of up to PIPE_BUF, 4096 bytes, to a pipe is never mixed with another process's; the rest is for the time.
LONGEST_LINE_BYTES: Final = 4000
LONGEST: Final = 255
# What may be longer, in characters.
LONGER: Final = {"from": 320, "to": 320, "orig_to": 320, "as": 320, "reply": 300, "why": 300, "what": 300, "text": 3000}
# Stands where a value was cut.
MARK: Final = "…"

# What mostly is no bare word.
_WORDED: Final = frozenset({"reply", "why", "tls", "text", "on", "outcome"})
_IS_BARE = re.compile(r"[!#-<>-\[\]-~]+").fullmatch
_json = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_HALVES = re.compile("[\ud800-\udfff]")


def as_text(fields: Mapping[str, Value]) -> str:
    """`fields` in their order, without those that are empty."""
    text = _as_text(fields, 0)
    shrink = 1
    while len(text) * 4 > LONGEST_LINE_BYTES and len(text.encode()) > LONGEST_LINE_BYTES:
        text = _as_text(fields, shrink)
        shrink += 1
    return text


def as_json(fields: Mapping[str, Value]) -> str:
    """The same as one JSON object, in ASCII alone."""
    text = _as_json(fields, 0)
    shrink = 1
    while len(text) > LONGEST_LINE_BYTES:
        text = _as_json(fields, shrink)
        shrink += 1
    return text


def shortened(value: str, longest: int) -> str:
    """`value`, or its beginning and MARK."""
    return value if len(value) <= longest else value[: longest - 1] + MARK


def escaped(value: str) -> str:
    """`value` as it may stand in one line, without quotes around it."""
    if value.isprintable():
        return value
    return "".join(c if c.isprintable() else _escape(c) for c in _whole(value))


def lines_of(text: str) -> Iterable[str]:
    """A traceback's lines, each fit for a line of a log: none can be taken for the beginning of another entry."""
    return ["\t" + shortened(escaped(line), LONGEST_LINE_BYTES // 4) for line in text.split("\n")]


def _as_json(fields: Mapping[str, Value], shrink: int) -> str:
    values: dict[str, Value] = {}
    for name, value in fields.items():
        if isinstance(value, str):
            if not value:
                continue
            usual = not shrink and len(value) <= LONGEST and value.isascii()
            values[name] = value if usual else _whole(shortened(value, _limit(name, shrink)))
        else:
            values[name] = _rounded(value)
    text = _json(values)
    # The one control that JSON lets stand.
    return text.replace("\x7f", "\\u007f") if "\x7f" in text else text


def _as_text(fields: Mapping[str, Value], shrink: int) -> str:
    """At every step of `shrink` values have half the room."""
    pairs: list[str] = []
    worded: list[tuple[int, str, str]] = []
    for name, value in fields.items():
        if isinstance(value, str):
            if not value:
                continue
            if name in _WORDED:
                worded.append((len(pairs) + len(worded), name, value))
            else:
                pairs.append(f"{name}={value}")
        else:
            pairs.append(f"{name}={value}" if value.__class__ is int else f"{name}={value:.2f}")
    text = " ".join(pairs)
    if shrink or not _are_bare(text, len(pairs)):
        return _carefully(fields, shrink)
    if not worded:
        return text
    for place, name, words in worded:
        pairs.insert(place, _pair(name, words, shrink))
    return " ".join(pairs)


def _carefully(fields: Mapping[str, Value], shrink: int) -> str:
    """The same with a look at every value."""
    return " ".join(
        [
            _pair(name, value if isinstance(value, str) else str(_rounded(value)), shrink)
            for name, value in fields.items()
            if value != ""
        ]
    )


def _are_bare(text: str, count: int) -> bool:
    """Whether the values of so many pairs, joined, are bare words of a usual length: most lines need no other look."""
    return (
        len(text) <= LONGEST + count
        and text.isascii()
        and text.isprintable()
        and text.count(" ") == count - 1
        and text.count("=") == count
        and '"' not in text
        and "\\" not in text
    )


def _pair(name: str, value: str, shrink: int) -> str:
    word = shortened(value, _limit(name, shrink))
    return f"{name}={word}" if _IS_BARE(word) else f"{name}={_quoted(word)}"


def _limit(name: str, shrink: int) -> int:
    return max(8, LONGER.get(name, LONGEST) >> shrink)


def _rounded(value: Value) -> Value:
    """Times to a hundredth of a second."""
    return round(value, 2) if isinstance(value, float) else value


def _quoted(value: str) -> str:
    text = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped(text)}"'


def _whole(value: str) -> str:
    """`value` without halves of characters, which stand for bytes that were no UTF-8."""
    return value if value.isascii() else _HALVES.sub("\ufffd", value)


def _escape(character: str) -> str:
    """As JSON has it: \\n, \\u0085, \\ud83d\\ude00."""
    return json.dumps(character)[1:-1].replace("\x7f", "\\u007f")
