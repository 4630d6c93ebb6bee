"""The lists of the console that are edited as forms, from the shell: it takes and refuses what the page does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accounts import actions
from accounts.models import User
from base.sealed import unseal
from quarantine.models import Check
from spool.models import AlertRule, AuditEvent, Route, UpdateServer
from tests.support.commands import manage_with
from throttling.models import GuardPolicy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alike]


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, redis: object, home: object) -> Any:
    rooms = {
        "routes": "spool",
        "alerts": "spool",
        "updateservers": "spool",
        "guard": "throttling",
        "checks": "quarantine",
    }

    def run(name: str, *words: str) -> Any:
        return manage_with(capsys, monkeypatch, rooms[name])(name, *words)

    return run


def test_what_is_not_said_stays(manage: Callable[..., Any]) -> None:
    set_up = manage("routes", "set", "Far.Test", "--host", "relay.test", "--port", "587", "--tls", "verify")
    assert (set_up.status, set_up.out.strip()) == (0, "far.test: stored.")
    assert manage("routes", "set", "far.test", "--description", "Their relay", "--no-enabled").status == 0
    route = Route.objects.get()
    assert (route.domain, route.host, route.port, route.tls) == ("far.test", "relay.test", 587, "verify")
    assert (route.description, route.enabled) == ("Their relay", False)
    again = manage("routes", "set", "far.test", "--description", "Their relay")
    assert "nothing was changed" in again.out
    assert AuditEvent.objects.filter(action__endswith="route").count() == 2


def test_a_secret_comes_from_a_file_and_is_shown_to_nobody(
    manage: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("correct horse\n")
    words = ("--host", "relay.test", "--tls", "verify", "--username", "us", "--password-file", str(tmp_path / "secret"))
    assert manage("routes", "set", "*", *words).status == 0
    assert unseal(Route.objects.get().sealed_password) == "correct horse"
    shown = manage("routes", "show", "*", "--json")
    assert json.loads(shown.out)["password"] == "set" and "horse" not in shown.out
    assert "horse" not in str(AuditEvent.objects.values_list("parameters", flat=True))
    kept = manage("routes", "set", "*", "--port", "465")
    assert kept.status == 0 and unseal(Route.objects.get().sealed_password) == "correct horse"
    none = manage("routes", "set", "*", "--password-file", str(tmp_path / "none"))
    assert none.status == 2 and "can't be read" in none.err


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("routes", "set", "far.test"), "host: This field is required."),
    (("routes", "set", "*", "--kind", "gateway", "--host", "x.test"), "open relay"),
    (("routes", "set", "far.test", "--host", "x.test", "--port", "70000"), "port: "),
    (("routes", "set", "far.test", "--host", "x.test", "--tls", "perhaps"), "invalid choice"),
    (("alerts", "set", "Ours", "--kind", "depth", "--threshold", "many"), "threshold: Enter a whole number."),
    (("alerts", "set", "Ours", "--kind", "depth", "--threshold", "5", "--mail-to", "nobody"), "mail_to: "),
    (("updateservers", "set", "far.test", "--host", "192.0.2.1", "--key-name", "k."), "secret: "),
    (("checks", "set", "Ours"), "kind: This field is required."),
    (("guard", "set", "nowhere.test"), "There is no domain nowhere.test."),
    (("guard", "set", "*", "--exempt", "nobody@example.org"), "There is no user nobody@example.org."),
    (("routes", "show", "nowhere.test"), "There is no route nowhere.test."),
    (("routes", "remove", "nowhere.test"), "There is no route nowhere.test."),
]


def test_what_the_page_refuses_is_refused(manage: Callable[..., Any]) -> None:
    GuardPolicy.objects.all().delete()
    for words, said in REFUSED:
        tried = manage(*words)
        assert tried.status != 0 and said in tried.err, words
    assert not any(model._default_manager.exists() for model in (Route, UpdateServer, GuardPolicy))
    assert not AlertRule.objects.filter(name="Ours").exists() and not Check.objects.filter(name="Ours").exists()


def test_the_policy_of_all_domains_and_whom_it_leaves_alone(manage: Callable[..., Any]) -> None:
    GuardPolicy.objects.all().delete()
    actions.add_domain("example.org")
    for name in ("ann", "bob"):
        User.objects.create(email=f"{name}@example.org", domain=actions.get_domain("example.org"))
    assert manage("guard", "set", "*", "--exempt", "ann@example.org", "bob@example.org").status == 0
    assert manage("guard", "set", "example.org", "--action", "hold", "--no-dry-run").status == 0
    assert manage("guard", "set", "*", "--exempt", "bob@example.org", "--factor", "20").status == 0
    listed = json.loads(manage("guard", "list", "--json").out)
    found = {row["domain"]: (row["exempt"], row["factor"], row["dry_run"]) for row in listed}
    assert found == {"*": (["bob@example.org"], 20, True), "example.org": ([], 10, False)}
    assert manage("guard", "remove", "*").status == 0
    assert [str(policy.domain) for policy in GuardPolicy.objects.all()] == ["example.org"]


def test_the_secret_of_a_new_webhook_is_told_once(manage: Callable[..., Any]) -> None:
    made = manage("alerts", "set", "Ours", "--kind", "depth", "--threshold", "5", "--webhook-url", "https://far.test/")
    secret = unseal(AlertRule.objects.get(name="Ours").sealed_secret)
    assert secret in made.out
    assert secret not in manage("alerts", "set", "Ours", "--threshold", "6").out
    assert secret not in manage("alerts", "show", "Ours").out
