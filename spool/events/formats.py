"""How records of logging become lines: those of the mail log, and what programs say, which look alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final

from spool.events.line import Value, as_json, as_text, lines_of
from spool.events.mail_log import Event

FORMS: Final = ("text", "json")


class LineFormatter(logging.Formatter):
    """`form` is one of FORMS. `timed` lines of text begin with the time; those of JSON have it in any case."""

    def __init__(self, form: str, *, timed: bool) -> None:
        super().__init__()
        self._json = form == "json"
        self._timed = timed

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback in text is further lines, which begin with a tab."""
        event: object = record.msg
        fields: Mapping[str, Value] = event.fields if isinstance(event, Event) else _program_event(record)
        traceback = self._traceback(record)
        if self._json:
            more = {"traceback": traceback[-2000:]} if traceback else {}
            return as_json({"time": _moment(record.created), **fields, **more})
        text = as_text(fields)
        if self._timed:
            text = f"{_moment(record.created)} {text}"
        return "\n".join([text, *lines_of(traceback)]) if traceback else text

    def _traceback(self, record: logging.LogRecord) -> str:
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        return "\n".join(filter(None, (record.exc_text, record.stack_info)))


def _program_event(record: logging.LogRecord) -> dict[str, Value]:
    return {"level": record.levelname, "logger": record.name, "text": record.getMessage()}


def _moment(seconds: float) -> str:
    """ISO 8601, to the millisecond, with the zone."""
    whole = int(seconds)
    date, zone = _second(whole)
    return f"{date}.{int((seconds - whole) * 1000):03}{zone}"


@lru_cache(4)
def _second(seconds: int) -> tuple[str, str]:
    text = datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
    return text[:19], text[19:]
