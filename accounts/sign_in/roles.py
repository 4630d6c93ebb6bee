"""Which role a provider's claim stands for. Values in, a value out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ANY = "*"


def role_of(claims: Mapping[str, Any], path: str, roles: Mapping[str, str]) -> str | None:
    """The role of the first of `roles` that the claim has; None where none fits, and the role stays.

    The claim is a text, a list of them, or (`a.b`) inside another. A name with dots in it is looked for as it is first.
    """
    values = _values(claims, path)
    fitting = (role for value, role in roles.items() if value == ANY or value in values)
    return next(fitting, None) if path else None


def _values(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        return frozenset((found,))
    return frozenset(one for one in found if isinstance(one, str)) if isinstance(found, list | tuple) else frozenset()
