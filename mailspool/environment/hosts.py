"""The names by which the console may be reached (Django's ALLOWED_HOSTS)."""

from __future__ import annotations

from collections.abc import Iterable

from mailspool.environment.kinds import Wrong, host

_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")
_ANY_ADDRESS = ("0.0.0.0", "[::]")  # noqa: S104


def allowed(hostname: str, bound: Iterable[str], given: list[str]) -> list[str]:
    """This machine's own names and the addresses it listens on, whatever else is given: each once."""
    names: list[str] = []
    for name in (hostname, *bound):
        try:
            names.append(host(name))
        except Wrong:
            # The machine's name may be none that a browser could ask for.
            continue
    return list(dict.fromkeys([*_THIS_MACHINE, *(name for name in names if name not in _ANY_ADDRESS), *given]))
