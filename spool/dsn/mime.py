"""The parts of a bounce and the fields of a report, however broken: never raises, bounded in depth, parts and time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from spool.message import header
from spool.message.structure import body_in, structure_in

STATUS_TYPES: Final = ("message/delivery-status", "message/global-delivery-status")

_RETURNED_TYPES: Final = (
    "message/rfc822",
    "message/global",
    "message/partial",
    "message/global-headers",
    "text/rfc822-headers",
)
_MOST_PARTS: Final = 50
_FIELD = re.compile(r"([!-9;-~]{1,80})[ \t]*:[ \t]*")


@dataclass(frozen=True, slots=True)
class Part:
    """One leaf of a message: its type in lower case, and its body, decoded. What is inside a message/* is not split."""

    content_type: str
    body: bytes

    @property
    def is_message(self) -> bool:
        """Whether this is a message, or its header, as reports return it."""
        return self.content_type in _RETURNED_TYPES

    @property
    def text(self) -> str:
        """The body with LF line ends; bytes that are not UTF-8 are replaced."""
        return self.body.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


class Fields:
    """A header, or a group of fields of a report: by name in lower case, unfolded; of repeated ones the first."""

    def __init__(self, text: str) -> None:
        self._lines: dict[str, list[str]] = {}
        lines: list[str] = []
        for line in text.split("\n"):
            if line[:1] in (" ", "\t"):
                lines.append(line.strip())
                continue
            match = _FIELD.match(line)
            lines = [line[match.end() :].strip()] if match else []
            if match:
                self._lines.setdefault(match[1].lower(), lines)

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def __getitem__(self, name: str) -> str:
        """The value of the field `name`, given in lower case; "" when there is none."""
        return " ".join(self._lines.get(name, ()))

    def parameter(self, name: str, parameter: str) -> str:
        """A parameter of a MIME field, unquoted; "" when there is none."""
        match = re.search(rf';\s*{parameter}\s*=\s*(?:"([^"]*)"|([^\s;"]+))', self[name], re.IGNORECASE)
        return (match[1] or match[2] or "") if match else ""


def header_of(content: bytes) -> Fields:
    return Fields(header.block(content).decode("utf-8", "replace"))


def parts_of(content: bytes) -> Iterator[Part]:
    """The leaves of a message in their order; of a message without MIME, its body as text/plain."""
    for part in structure_in(content).parts[:_MOST_PARTS]:
        yield Part(part.content_type, body_in(content, part, len(content)))
