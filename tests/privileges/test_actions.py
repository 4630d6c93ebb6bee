"""What pages, commands and jobs call: every function that acts for somebody asks who that is, before anything else.

The functions are looked for in all apps at each run: a new one is tried here, or the test says that it can't be.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from accounts.actions import SWITCH_OFF
from accounts.models import Domain, DomainUserDefaults, MailingList, Metric, Role, Status, User
from base.actions.action import Target
from spool.actions import VERBS, perform, preview
from spool.actions.actor import Actor, NotAllowed
from spool.actions.suppression_files import Line
from spool.filters import SpoolFilter
from throttling.actions.release import RELEASE
from throttling.models import ThrottleEvent
from throttling.subjects import Subject, SubjectKind

pytestmark = pytest.mark.django_db

APPS = ("accounts", "base", "security", "spool", "throttling", "quarantine", "mailspool")
# Modules that do something when they are imported, or need their own process.
NOT_IMPORTED = (".migrations", ".management", ".wsgi", ".processes", ".manual", ".supervisor")
# What does not ask itself, and why that is no harm.
OPEN = {
    "base.actions.registry.actions_for": "says what is offered; doing it asks",
    "base.actions.registry.is_offered": "says what is offered; doing it asks",
    "accounts.changes.record": "writes down what was done",
    "accounts.changes.write": "writes down what was done",
    "accounts.changes.save": "stores what its callers let somebody change: actions, and administrators' pages",
    "accounts.changes.remove": "removes what its callers let somebody remove: the same",
    "accounts.securing.record_status": "writes down what was done",
    "accounts.securing.record_password": "writes down what was done",
    "accounts.sign_in.factors.add": "stores what totp.enrol and passkeys.add have looked at, and writes it down",
    "accounts.history.record": "writes down what was done",
    "accounts.history.record_many": "writes down what was done",
    "spool.actions.audit.begin": "writes down what was done",
    "spool.actions.audit.note": "writes down what was done",
    "quarantine.console.actions.buttons_for": "shows to each what is theirs; spool.actions.perform asks",
    "quarantine.console.listed_views.done": "hands on what was posted; perform asks",
    "spool.console.actions.actions_for": "shows to each what is theirs; spool.actions.perform asks",
    "spool.console.actions.offered": "shows to each what is theirs; spool.actions.perform asks",
    "spool.console.actions.offer": "shows to each what is theirs; spool.actions.perform asks",
    "spool.console.jobs.shown": "shows to each what is theirs; spool.actions.cancel and undo ask",
    "spool.console.jobs.open_jobs": "shows to each what is theirs; tests/console/test_roles.py",
    "spool.actions.jobs.may_cancel": "says what cancel lets somebody do",
    "mailspool.menus.items.items_of": "shows to each what is offered; tests/doors asks for each action",
    "mailspool.menus.items.items_of_list": "shows to each what is theirs; spool.actions.perform asks",
    "accounts.connections.registry.listing": "shows to each what is within reach; tested beside it",
    "accounts.connections.registry.drop": "ends what is within reach; tested beside it",
    "accounts.connections.registry.drop_one": "ends what is within reach; tested beside it",
}
OTHERS = [
    Actor("reader@example.org", Role.READ_ONLY, "example.org"),
    Actor("help@example.org", Role.HELP_DESK, "example.org"),
    Actor("ann@example.org", Role.USER, "example.org"),
    Actor("dora@example.org", Role.DOMAIN_ADMINISTRATOR, "example.org"),
]


class Untouched:
    """An argument that must not even be looked at."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for before it was clear who asks")


# Somebody who is none of their business.
_DOMAIN = Domain(pk=10**9, name="other.test")
_USER = User(pk=10**9, email="eve@other.test", domain=_DOMAIN)
ARGUMENTS: dict[str, Any] = {
    "network": "198.51.100.7",
    "networks": ["198.51.100.7"],
    "pattern": "spam.example",
    "patterns": ["spam.example"],
    "expires_at": timezone.now(),
    "rows": Untouched(),
    "lines": [Line(2, "other.test", "eve@far.test", ("eve@far.test", "manual", "", "", ""))],
    "row": Untouched(),
    "blocks": Untouched(),
    "rules": Untouched(),
    "user": _USER,
    "users": [_USER],
    "domain": _DOMAIN,
    "status": Status.DISABLED,
    "password": "another-long-secret",
    "containment": SimpleNamespace(user=_USER, pk=10**9),
    "old_password": False,
    "file_names": ["1.eml"],
    "what": SpoolFilter(),
    "form": "csv",
    "job_id": 10**9,
    "folder": "x",
    "action": "delete",
    "event_id": 10**9,
    "item": Untouched(),
    "subject": Subject(SubjectKind.USER, "eve@other.test"),
    "metric": Metric.MESSAGES,
    "number": 5,
    "event": SimpleNamespace(domain="other.test", pk=10**9),
    "defaults": DomainUserDefaults(domain=_DOMAIN),
    "fields": ["mailbox_mb"],
    "text": "5",
    "kind": "virus",
    "selection": Untouched(),
    "path": Path("/nowhere"),
    "direction": "outbound",
}
_LIST = MailingList(pk=10**9, address="news@other.test", domain=_DOMAIN)
# Of functions whose arguments are others than those of their namesakes.
THEIR_OWN: dict[str, dict[str, Any]] = {
    "accounts.actions.add_domain": {"name": "other.test"},
    "accounts.actions.add_user": {"email": "eve@other.test"},
    "accounts.actions.add_alias": {"address": "sales@other.test", "targets": ["a@far.test"]},
    "accounts.actions.add_list": {"address": "news@other.test"},
    "accounts.actions.add_members": {"mailing_list": _LIST, "addresses": ["a@far.test"]},
    "accounts.actions.remove_members": {"mailing_list": _LIST, "addresses": ["a@far.test"]},
    "accounts.actions.set_enabled": {"row": _LIST, "is_enabled": False},
    **{f"accounts.actions.{name}": {"row": _USER} for name in ("save", "change", "remove", "delete")},
    "throttling.console.views.act_on": {
        "action": RELEASE,
        "event": ThrottleEvent(kind="user", name="eve@other.test", metric=Metric.MESSAGES),
        "typed": {},
    },
    **{
        f"base.actions.perform.{name}": {"action": SWITCH_OFF, "target": Target("list", (_LIST.address,), (_LIST,))}
        for name in ("perform", "preview")
    },
    "spool.alerts.response.mute": {"event": Untouched(), "until": timezone.now()},
    "accounts.sign_in.app_passwords.create": {"name": "Laptop"},
    **{f"accounts.sign_in.{name}": {"pk": 1} for name in ("app_passwords.end", "factors.remove")},
    "accounts.sign_in.passkeys.add": {"request": Untouched(), "answer": "{}", "name": "Laptop"},
    "accounts.sign_in.totp.enrol": {"secret": "A" * 32, "code": "000000", "name": "Phone"},
    "accounts.single_sign_on.unlink": {"pk": 1},
    "mailspool.first_run.ending.send_test": {"address": "ann@example.org"},
    "spool.alerts.outbox.test": {"rule": Untouched(), "now": timezone.now()},
    "spool.maintenance.doctor.mend_all": {"findings": Untouched()},
}
# Of arguments that may be left out, those without which there would be nothing to refuse.
ALSO = {"spool.actions.undo_event.undo": {"event_id"}}


def acting() -> Iterator[tuple[str, Callable[..., Any]]]:
    for app in APPS:
        for found in pkgutil.walk_packages(import_module(app).__path__, f"{app}."):
            if any(part in found.name for part in NOT_IMPORTED):
                continue
            for name, function in vars(import_module(found.name)).items():
                if not inspect.isfunction(function) or function.__module__ != found.name or name.startswith("_"):
                    continue
                if "actor" in inspect.signature(function).parameters:
                    yield f"{found.name}.{name}", function


ACTING = dict(acting())


def test_the_search_finds_the_actions_that_there_are() -> None:
    assert {"security.actions.networks.blacklist", "spool.actions.perform.perform"} <= set(ACTING)
    assert set(OPEN) <= set(ACTING) and set(ALSO) <= set(ACTING)


@pytest.mark.parametrize("actor", OTHERS, ids=lambda actor: actor.role.value)
@pytest.mark.parametrize("path", sorted(set(ACTING) - set(OPEN)))
def test_a_function_that_acts_refuses_who_may_not(path: str, actor: Actor) -> None:
    function = ACTING[path]
    parameters = inspect.signature(function).parameters
    needed = {
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and name != "actor"
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    } | ALSO.get(path, set())
    arguments = ARGUMENTS | THEIR_OWN.get(path, {})
    missing = needed - set(arguments)
    assert not missing, f"say what to call {path} with: {missing}"
    with pytest.raises(NotAllowed):
        function(actor=actor, **{name: arguments[name] for name in needed})


# What the help desk does with messages.
OF_HELP_DESK = {"force", "reset", "hold", "release", "quarantine-resend"}


@pytest.mark.parametrize("actor", OTHERS, ids=lambda actor: actor.role.value)
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_no_verb_of_the_spool_is_done_for_others(verb: str, actor: Actor) -> None:
    given = {"priority": "high", "to": "x@example.net", "next_hop": "usual", "folder": ""}
    if actor.role is Role.HELP_DESK and verb in OF_HELP_DESK:
        assert VERBS[verb].selects.of([10**9])
        assert preview(verb, [10**9], actor).count.number == 0
        return
    for what in (perform, preview):
        with pytest.raises(NotAllowed):
            what(verb, SpoolFilter(), actor, **given)
