"""For the audit: from where a request comes, and which page or command something is done by (base.audit.origin)."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from django.core.management import get_commands, load_command_class
from django.http import HttpRequest, HttpResponse

from accounts.connections.web import client_ip
from base.audit import origin


class RequestOrigin:
    """Middleware behind the one that knows the client's address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with origin.coming(client_ip(request), lambda: _page(request)):
            return self._get_response(request)


def _page(request: HttpRequest) -> str:
    """The page by its name: its address may hold a secret."""
    match = request.resolver_match
    return match.view_name if match is not None else ""


def command(words: Sequence[str]) -> str:
    """The words of a command line that name a command and its verb, and none that says what to do it to."""
    names = get_commands()
    if not words or words[0] not in names:
        return ""
    named = [words[0]]
    room = names[words[0]]
    found = load_command_class(room, words[0]) if isinstance(room, str) else room
    parser: argparse.ArgumentParser | None = found.create_parser("manage.py", words[0])
    for word in words[1:]:
        parser = _below(parser, word) if parser is not None else None
        if parser is None:
            break
        named.append(word)
    return " ".join(named)


def _below(parser: argparse.ArgumentParser, verb: str) -> argparse.ArgumentParser | None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and verb in action.choices:
            return action.choices[verb]  # type: ignore[no-any-return]
    return None
