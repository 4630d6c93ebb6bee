"""Where servers are, as settings write it: `host:port`, `[2001:db8::1]:port`, or the path of a unix socket."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9_.-]+)):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Either `path` of a unix socket, or `host` and `port`."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"


@lru_cache(100)
def parse_server(text: str) -> ServerAddress:
    """One address. Raises ValidationError."""
    if text.startswith("/"):
        if not text.isprintable() or len(text.encode()) > 100:
            raise ValidationError(_("%(text)s: a socket's path has at most 100 bytes.") % {"text": f"{text!r}"})
        return ServerAddress(path=text)
    found = _HOST_PORT.fullmatch(text)
    if found is None or not 0 < int(found[3]) < 65536:
        raise ValidationError(
            _("%(text)s is not host:port, as in 127.0.0.1:3310, nor the path of a socket.") % {"text": f"{text!r}"}
        )
    return ServerAddress(host=found[1] or found[2], port=int(found[3]))


def parse_servers(text: str) -> tuple[ServerAddress, ...]:
    """Addresses, one per line or separated by commas. Raises ValidationError."""
    return tuple(dict.fromkeys(parse_server(word) for word in text.replace(",", " ").split()))


def validate_servers(text: str) -> None:
    """Field validator."""
    parse_servers(text)


def parse_command(text: str) -> list[str]:
    """A command line, without a shell; `{file}` is where the message's path goes. Raises ValidationError."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValidationError(_("The command can't be read: %(error)s.") % {"error": error}) from error
    if not words:
        return []
    if not Path(words[0]).is_absolute():
        raise ValidationError(
            _("Give the program's whole path, as /usr/bin/clamscan: %(words)s is none.") % {"words": f"{words[0]!r}"}
        )
    if not any("{file}" in word for word in words[1:]):
        raise ValidationError(_("The command needs {file}, which becomes the path of the message."))
    return words


def validate_command(text: str) -> None:
    """Field validator."""
    words = parse_command(text)
    if words and not Path(words[0]).is_file():
        raise ValidationError(_("There is no program %(words)s.") % {"words": words[0]})
