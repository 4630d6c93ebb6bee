"""SMTP replies of remote hosts: read with limits, for they are as hostile as any other input."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

LONGEST_LINE = 2048
MOST_LINES = 100
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})(?: |$)")


# What differs from message to message in the same reply: addresses, URLs, IPs, queue ids and other numbers, times.
_PARTICULAR = re.compile(
    r"https?://\S+|<[^<>\s]*>|[^\s<>()\[\],;:]+@[^\s<>()\[\],;:]+|\[[0-9A-Fa-f:.]+\]|\b\d{1,3}(?:\.\d{1,3}){3}\b"
    r"|\b(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[\w.-]{8,}|\b\d{2}:\d{2}:\d{2}\b|\b\d{4,}\b"
)
LONGEST_GROUP = 120
# How it begins what is said of mail that comes while its host rests.
WAITS_FOR_HOST = "waits until its host is tried again: "


def error_group(reply: str) -> str:
    """`reply` without what differs from message to message, so that equal errors can be counted together."""
    return " ".join(_PARTICULAR.sub("…", reply[:500]).split())[:LONGEST_GROUP]


def is_here(host: str) -> bool:
    """Whether what is told of a delivery by that host is said here: a mailbox, a list, or nobody was reached."""
    return not (set(".:") & set(host) or host in ("localhost", "lmtp"))


class BrokenReply(Exception):
    """What came is no SMTP reply (RFC 5321 4.2), or none came before the connection ended."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its code, and its lines without their codes.

    `ours` marks what we say in the host's place: its text is no reply, and names who speaks. `for_now` is of a refusal
    that is one for the moment, whatever its code says.
    """

    code: int
    lines: tuple[str, ...]
    ours: bool = False
    for_now: bool = False

    @property
    def text(self) -> str:
        if self.ours:
            return _ENHANCED.sub("", " ".join(self.lines))
        return f"{self.code} {' '.join(line for line in self.lines if line)}".strip()

    @property
    def enhanced(self) -> str:
        """RFC 3463's code, or the one that says no more than the reply's own class."""
        if self.for_now:
            return "4.5.3"
        found = _ENHANCED.match(self.lines[0]) if self.lines else None
        if found:
            return found[1]
        # 3xx where no more was to come is no success and no refusal.
        return f"{self.code // 100}.0.0" if self.code // 100 != 3 else "4.5.0"

    @property
    def good(self) -> bool:
        return 200 <= self.code < 300

    @property
    def too_many(self) -> bool:
        """Whether it refuses a recipient only because the message has enough of them (RFC 5321 4.5.3.1.10)."""
        return self.for_now or self.code == 452 and self.enhanced in ("4.5.3", "4.0.0")

    @property
    def permanent(self) -> bool:
        return self.code >= 500 and not self.for_now


async def read_reply(reader: asyncio.StreamReader) -> Reply:
    """The next reply. Raises BrokenReply, and OSError when the connection breaks."""
    lines: list[str] = []
    while True:
        try:
            raw = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            raise BrokenReply("the connection was closed by the other side") from error
        except (asyncio.LimitOverrunError, ValueError) as error:
            raise BrokenReply("the other side sent a line that never ends") from error
        code, mark = raw[:3], raw[3:4]
        if not code.isdigit() or not 200 <= int(code) <= 599 or mark not in (b" ", b"-", b"\r", b"\n"):
            raise BrokenReply(f"the other side sent no SMTP reply: {raw[:80]!r}")
        lines.append(raw[4:LONGEST_LINE].decode("utf-8", "replace").strip())
        if mark != b"-":
            return Reply(int(code), tuple(lines))
        if len(lines) >= MOST_LINES:
            raise BrokenReply("the other side sent a reply that never ends")
