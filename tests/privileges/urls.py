"""Every URL of the URLconf, with something in the place of each argument; found anew in each run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern, RoutePattern

# In the place of arguments; which object is meant is for the view to look for, after it has looked at who asks.
ARGUMENTS = {"int": "1", "str": "x", "slug": "x", "path": "1", "uuid": "6f1d6a3e-0c1c-4d4e-9d3f-0a5f6a7b8c9d"}


@dataclass(frozen=True)
class Place:
    """One URL. `name` has its namespaces; `route` is as it stands in the URLconf."""

    path: str
    route: str
    name: str
    view: Any

    def __str__(self) -> str:
        return self.route or "/"

    def path_with(self, text: str) -> str:
        """Its path with that in the place of each argument that may be any text."""
        return re.sub(r"(?<=/)x(?=/|$)", text, self.path)


def places() -> Iterator[Place]:
    """All of them."""
    yield from _below(get_resolver().url_patterns, "", "/", "")


def _below(patterns: list[Any], route: str, path: str, namespace: str) -> Iterator[Place]:
    for pattern in patterns:
        there, shown = f"{route}{pattern.pattern}", path + _filled(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _below(pattern.url_patterns, there, shown, inner)
        else:
            assert isinstance(pattern, URLPattern)
            yield Place(shown, there, f"{namespace}{pattern.name or ''}", pattern.callback)


def _filled(pattern: Any) -> str:
    if isinstance(pattern, RoutePattern):
        return re.sub(r"<(?:(\w+):)?(\w+)>", lambda found: ARGUMENTS[found[1] or "str"], str(pattern))
    assert isinstance(pattern, RegexPattern)
    return _of_regex(str(pattern))


def _of_regex(text: str) -> str:
    """A text that the regular expressions of Django's own URLs match."""
    text = re.sub(r"\(\?P<\w+>(\w+)(?:\|\w+)*\)", r"\1", text.removeprefix("^"))
    text = re.sub(r"\(\?P<\w+>[^)]*\)\??", "x", text)
    return text.replace("/?", "/").replace("$", "").replace("\\.", ".").replace("\\", "")
