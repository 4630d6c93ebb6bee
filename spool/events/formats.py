"""How records of logging become lines: those of the mail log, and what programs say, which look alike."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
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
        # The time of many lines is the same but for its last digits.
        self._second, self._date, self._zone = -1, "", ""

    def format(self, record: logging.LogRecord) -> str:
        """One line; a traceback in text is further lines, which begin with a tab."""
        event: object = record.msg
        if isinstance(event, Event):
            return self.line(event)
        traceback = self._traceback(record)
        more = {"traceback": traceback[-2000:]} if traceback and self._json else {}
        text = self._line(record.created, {**_program_event(record), **more})
        return text if self._json or not traceback else "\n".join([text, *lines_of(traceback)])

    def line(self, event: Event) -> str:
        """An event's."""
        return self._line(event.at, event.fields)

    def _line(self, at: float, fields: Mapping[str, Value]) -> str:
        if self._json:
            return as_json({"time": self._moment(at), **fields})
        return f"{self._moment(at)} {as_text(fields)}" if self._timed else as_text(fields)

    def _moment(self, seconds: float) -> str:
        """ISO 8601, to the millisecond, with the zone."""
        whole = int(seconds)
        if whole != self._second:
            text = datetime.fromtimestamp(whole).astimezone().isoformat(timespec="seconds")
            self._second, self._date, self._zone = whole, text[:19], text[19:]
        return f"{self._date}.{int((seconds - whole) * 1000):03}{self._zone}"

    def _traceback(self, record: logging.LogRecord) -> str:
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        return "\n".join(filter(None, (record.exc_text, record.stack_info)))


def _program_event(record: logging.LogRecord) -> dict[str, Value]:
    return {"level": record.levelname, "logger": record.name, "text": record.getMessage()}
