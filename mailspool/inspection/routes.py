"""Routes: passwords that go to hosts that don't prove who they are."""

from __future__ import annotations

from collections.abc import Iterator

from mailspool.inspection.findings import Finding, ok, warning
from spool.models import Route


def routes() -> Iterator[Finding]:
    """Whether the passwords of smart hosts are safe on the way."""
    enabled = list(Route.objects.filter(enabled=True))
    exposing = [route for route in enabled if route.exposes_password]
    for route in exposing:
        yield warning(
            "routes",
            f"{route.domain}: its password goes to {route.host} without a look at the certificate: whoever answers in"
            " its place reads it. If the host has a valid one, turn on “Send the password to a valid certificate only”"
            " in the route.",
        )
    if not exposing and any(route.username for route in enabled):
        yield ok("routes", "Passwords go to hosts with valid certificates only.")
