"""What programs say looks like the mail log, and can't be forged by what a sender writes."""

from __future__ import annotations

import json
import logging
import re
import sys

from spool.events.formats import LineFormatter
from spool.events.mail_log import Event
from tests.support.mail_log import parse

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


def _record(message: object, *arguments: object, exc_info: object = None) -> logging.LogRecord:
    return logging.LogRecord("spool.flow.rounds", logging.ERROR, "", 0, message, arguments, exc_info)  # type: ignore[arg-type]


def test_an_event_begins_with_the_time_where_nobody_else_gives_it() -> None:
    record = _record(Event.of("ended", "0abc", delay=1.5))
    assert re.fullmatch(f"{TIME} id=0abc event=ended delay=1.50", LineFormatter("text", timed=True).format(record))
    assert LineFormatter("text", timed=False).format(record) == "id=0abc event=ended delay=1.50"
    found = json.loads(LineFormatter("json", timed=False).format(record))
    assert re.fullmatch(TIME, found.pop("time"))
    assert found == {"id": "0abc", "event": "ended", "delay": 1.5}


def test_an_error_of_a_program_has_the_same_form() -> None:
    text = LineFormatter("text", timed=False).format(_record("%s could not be sent", "0abc.eml"))
    assert text == 'level=ERROR logger=spool.flow.rounds text="0abc.eml could not be sent"'


def test_what_a_sender_wrote_makes_no_line_of_its_own_in_an_error() -> None:
    try:
        raise ValueError("bad\nid=0abc event=ended\x1b[2J\u202e")
    except ValueError:
        record = _record("%s failed", "\r\nid=0abc event=ended", exc_info=sys.exc_info())
    first, *others = LineFormatter("text", timed=False).format(record).split("\n")
    assert parse(first)["text"] == "\r\nid=0abc event=ended failed"
    assert "ValueError" in others[-2]
    assert all(other.startswith("\t") and other[1:].isprintable() for other in others)
    found = json.loads(LineFormatter("json", timed=False).format(record))
    assert "event=ended" in found["traceback"]
