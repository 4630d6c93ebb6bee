"""What pages and commands call: every function that acts for somebody asks who that is, before anything else."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Role
from spool.actions import VERBS, perform, preview
from spool.actions.actor import Actor, NotAllowed
from spool.filters import SpoolFilter

pytestmark = pytest.mark.django_db

# Where functions are that act for an `actor`; what they do without asking, and why that is no harm.
MODULES = ("security.actions",)
OPEN: dict[str, str] = {}
OTHERS = [
    Actor("ann@example.org", Role.USER, "example.org"),
    Actor("dora@example.org", Role.DOMAIN_ADMINISTRATOR, "example.org"),
]


class Untouched:
    """An argument that must not even be looked at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for before it was clear who asks")


ARGUMENTS: dict[str, Any] = {
    "network": "198.51.100.7", "networks": ["198.51.100.7"], "pattern": "spam.example", "patterns": ["spam.example"],
    "expires_at": timezone.now(), "rows": Untouched(), "row": Untouched(), "blocks": Untouched(), "rules": Untouched(),
    "direction": "inbound",
}  # fmt: skip


def acting() -> Iterator[Callable[..., Any]]:
    for module in map(import_module, MODULES):
        for name in module.__all__:
            function = getattr(module, name)
            if inspect.isfunction(function) and "actor" in inspect.signature(function).parameters:
                yield function


@pytest.mark.parametrize("actor", OTHERS, ids=lambda actor: actor.role.value)
@pytest.mark.parametrize("function", list(acting()), ids=lambda function: function.__name__)
def test_a_function_that_acts_refuses_who_may_not(function: Callable[..., Any], actor: Actor) -> None:
    if function.__name__ in OPEN:
        return
    needed = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is inspect.Parameter.empty and name != "actor"
    ]
    missing = set(needed) - set(ARGUMENTS)
    assert not missing, f"say what to call {function.__name__} with: {missing}"
    with pytest.raises(NotAllowed):
        function(actor, **{name: ARGUMENTS[name] for name in needed})


@pytest.mark.parametrize("actor", OTHERS, ids=lambda actor: actor.role.value)
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_no_verb_of_the_spool_is_done_for_others(verb: str, actor: Actor) -> None:
    given = {"priority": "high", "to": "x@example.net", "next_hop": "usual", "folder": ""}
    for what in (perform, preview):
        with pytest.raises(NotAllowed):
            what(verb, SpoolFilter(), actor, **given)
