"""The arguments of MAIL and RCPT: a path and its ESMTP parameters (RFC 5321 4.1.2, RFC 3461). Text in, values out."""

from __future__ import annotations

from dataclasses import dataclass


class BadParameter(ValueError):
    """What the client sent is not valid, or not welcome now; `reply` says why. `is_fault`: see checks.Reply."""

    def __init__(self, reply: str, *, is_fault: bool = True) -> None:
        super().__init__(reply)
        self.reply = reply
        self.is_fault = is_fault


@dataclass(frozen=True, slots=True)
class PathAndParameters:
    """`address` is empty for the null path; parameter names are upper case, values as sent."""

    address: str
    parameters: dict[str, str]


def parse_path(keyword: str, argument: str | None) -> PathAndParameters:
    """`FROM:<path> [parameters]` or `TO:<path> [parameters]`. Raises BadParameter."""
    syntax = f"501 5.5.4 Syntax: {'MAIL' if keyword == 'FROM' else 'RCPT'} {keyword}:<address>"
    if argument is None or argument[: len(keyword) + 1].upper() != f"{keyword}:":
        raise BadParameter(syntax)
    rest = argument[len(keyword) + 1 :].strip()
    if rest.startswith("<"):
        end = _end_of_path(rest)
        if end < 0:
            raise BadParameter(syntax)
        address, rest = rest[1:end], rest[end + 1 :]
    else:
        address, _, rest = rest.partition(" ")
        if not address:
            raise BadParameter(syntax)
        rest = f" {rest}"
    if rest and not rest.startswith(" "):
        raise BadParameter(syntax)
    if address.startswith("@"):
        # A source route is to be ignored (RFC 5321 4.1.1.3).
        address = address.partition(":")[2]
        if not address:
            raise BadParameter(syntax)
    if any(character < " " or character == "\x7f" for character in address):
        raise BadParameter("501 5.1.3 The address has a control character")
    parameters: dict[str, str] = {}
    for word in rest.split():
        name, _, value = word.partition("=")
        if name.upper() in parameters:
            raise BadParameter(f"501 5.5.4 {name.upper()} is given twice")
        parameters[name.upper()] = value
    return PathAndParameters(address, parameters)


def _end_of_path(text: str) -> int:
    """Where the `>` is that closes a path whose local part may be quoted."""
    quoted = escaped = False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == ">" and not quoted:
            return position
    return -1
