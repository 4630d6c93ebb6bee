"""The mail log of an installation, as a program reads it that knows logfmt and nothing of Mailspool."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.waiting import wait_until

# What go-logfmt takes: bare words without quotes or equals signs, or JSON strings.
_PAIR = re.compile(r'([a-z_]+)=(?:("(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-f]{4})*")|([^\s"=\\]+))(?: |$)')
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d ")


def parse(line: str) -> dict[str, str]:
    """The pairs of a line of text, without its time. Raises ValueError for one that is not logfmt."""
    found: dict[str, str] = {}
    position = 0
    while position < len(line):
        pair = _PAIR.match(line, position)
        if pair is None:
            raise ValueError(f"not logfmt at {position}: {line!r}")
        name, quoted, bare = pair.groups()
        if name in found:
            raise ValueError(f"{name} comes twice: {line!r}")
        found[name] = json.loads(quoted) if quoted else bare
        position = pair.end()
    return found


class MailLog:
    """A log in a file of lines with their time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self, **wanted: object) -> list[dict[str, str]]:
        """Those in which each of `wanted` is so, oldest first; `from_` stands for from."""
        names = {name.rstrip("_"): str(value) for name, value in wanted.items()}
        return [event for event in self._all() if all(event.get(name) == value for name, value in names.items())]

    def wait_for(self, seconds: float = 30.0, **wanted: object) -> dict[str, str]:
        """The last of them, once there is one."""
        wait_until(lambda: self.events(**wanted), f"the mail log has {wanted}", seconds)
        return self.events(**wanted)[-1]

    def _all(self) -> list[dict[str, str]]:
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        lines = text.split("\n")[:-1]
        for line in lines:
            if not _TIME.match(line):
                raise ValueError(f"a line without its time: {line!r}")
        return [parse(_TIME.sub("", line, count=1)) for line in lines]
