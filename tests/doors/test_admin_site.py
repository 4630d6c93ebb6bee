"""Adding, changing and deleting on each page of the admin site, and the actions on many of its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model
from django.http import HttpRequest
from django.test import RequestFactory
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

import mailspool.urls  # noqa: F401 – the pages register themselves
from accounts import actions
from accounts.models import ListMember, User
from base.one_row import OneRow
from quarantine.models import Check, TrustedSender
from security import actions as security
from security.models import BlockReason, LoginBlock, Protocol
from spool.actions import Actor
from spool.models import AlertRule, DestinationRule, Route, SourceAddress, Suppression, UpdateServer
from tests.doors.conftest import ANN, PASSWORD, ROOT, browser
from tests.doors.record import nothing_changes_unrecorded
from tests.support.editing_pages import page_with
from tests.support.forms import form_with
from throttling.models import GuardPolicy

pytestmark = pytest.mark.alike

SYSTEM = Actor.system()


@dataclass(frozen=True)
class Recipe:
    """What is typed on the pages of one model."""

    add: dict[str, str] = field(default_factory=dict)
    change: dict[str, str] = field(default_factory=dict)
    row: Callable[[], Model] | None = None
    # What the record of the change says, besides who and when.
    said: str = ""


def _login_block() -> LoginBlock:
    now = timezone.now()
    return LoginBlock.objects.create(
        reason=BlockReason.PAIR,
        ip="203.0.113.9",
        account=ANN,
        failures=5,
        protocol=Protocol.WEB,
        since=now,
        until=now + timedelta(minutes=15),
    )


def _member() -> ListMember:
    return ListMember.objects.get(mailing_list=actions.add_list("news@example.org", ["a@far.test"]))


RECIPES: dict[str, Recipe] = {
    "accounts.Alias": Recipe(
        {"address": "info@example.org", "targets": ANN},
        {"targets": "b@far.test"},
        lambda: actions.add_alias("sales@example.org", ["a@far.test"]),
        "a@far.test → b@far.test",
    ),
    "accounts.Domain": Recipe(
        {"name": "example.net"},
        {"description": "Ours", "status": "receiving"},
        lambda: actions.add_domain("example.com"),
        "empty → Ours",
    ),
    "accounts.DomainDefaults": Recipe(change={"max_users": "20"}, said="0 → 20"),
    "accounts.UserDefaults": Recipe(change={"max_recipients": "20"}, said="0 → 20"),
    "accounts.ListMember": Recipe(row=_member),
    "accounts.MailingList": Recipe(
        {"address": "all@example.org", "new_members": ANN},
        {"new_members": "c@far.test", "description": "For all"},
        lambda: actions.add_list("team@example.org", [ANN]),
        "empty → For all",
    ),
    "accounts.SignInSettings": Recipe(
        change={"oidc_label": "Example ID", "secret": "not-for-the-record"}, said="Single sign-on → Example ID"
    ),
    "accounts.User": Recipe(
        {"email": "eve@example.org", "new_password": PASSWORD},
        {"forward_to": "x@far.test", "status": "disabled"},
        lambda: User.objects.get(email=ANN),
        "nobody → x@far.test",
    ),
    "quarantine.AntispamSettings": Recipe(change={"keep_days": "29"}, said="→ 29"),
    "quarantine.AntivirusSettings": Recipe(change={"keep_days": "99"}, said="→ 99"),
    "quarantine.Check": Recipe(
        {"name": "Subject", "kind": "header", "weight": "3", "where": "Subject", "pattern": "prize"},
        {"weight": "7"},
        lambda: Check.objects.create(name="x", kind="header", where="Subject", pattern="x", weight=5),
        "5.0 → 7",
    ),
    "spool.Suppression": Recipe(
        row=lambda: Suppression.objects.create(
            domain="example.org", address="dead@far.test", reason="bounce", since=timezone.now()
        )
    ),
    "quarantine.TrustedSender": Recipe(
        {"pattern": "bob@far.test"},
        {"description": "A customer"},
        lambda: TrustedSender.objects.create(pattern="ann@far.test"),
        "empty → A customer",
    ),
    "security.BlacklistEntry": Recipe(
        {"network": "198.51.100.7", "smtp": "on"},
        {"description": "Spam", "web": "on"},
        lambda: security.blacklist(SYSTEM, "203.0.113.7"),
        "Changed: SMTP, Web",
    ),
    "security.LoginBlock": Recipe(row=_login_block),
    "security.LoginRules": Recipe(change={"block_minutes": "99"}, said="15 → 99"),
    "security.SMTPBlock": Recipe(
        {"kind": "domain", "pattern": "spam.test"},
        {"direction": "both"},
        lambda: security.block_smtp(SYSTEM, "eve@spam.test"),
        "Changed: ",
    ),
    "security.WhitelistEntry": Recipe(
        {"network": "198.51.100.8", "smtp": "on"},
        {"description": "Ours", "spam_bypass": "on"},
        lambda: security.whitelist(SYSTEM, "203.0.113.8"),
        "no spam checks",
    ),
    "spool.AlertRule": Recipe(
        {"name": "Depth", "kind": "depth", "threshold": "10"},
        {"threshold": "20", "secret": "not-for-the-record"},
        lambda: AlertRule.objects.create(name="Old mail", kind="oldest", threshold=30),
        "30 → 20; secret: changed",
    ),
    "spool.Route": Recipe(
        {"domain": "far.test", "host": "mx.far.test"},
        {"port": "2525"},
        lambda: Route.objects.create(domain="near.test", host="mx.near.test"),
        "25 → 2,525",
    ),
    "spool.UpdateServer": Recipe(
        {
            "domain": "far.test",
            "host": "ns.far.test",
            "key_name": "k",
            "algorithm": "hmac-sha256",
            "secret": "c2VjcmV0",
        },
        {"port": "5353", "secret": "bm90LWZvci10aGUtcmVjb3Jk"},
        lambda: UpdateServer.objects.create(domain="near.test", host="ns.near.test", key_name="k", sealed_secret="x"),
        "53 → 5,353; secret: changed",
    ),
    "spool.DestinationRule": Recipe(
        {"scope": "domain", "name": "far.test", "rate_per_minute": "30"},
        {"rate_per_minute": "60", "by_error": "greylisting: 5, 10"},
        lambda: DestinationRule.objects.create(scope="domain", name="near.test", rate_per_minute=30),
        "30 → 60",
    ),
    "spool.SourceAddress": Recipe(
        {"address": "192.0.2.7", "weight": "2"},
        {"weight": "3", "senders": "far.test"},
        lambda: SourceAddress.objects.create(address="192.0.2.8", weight=2),
        "2 → 3",
    ),
    "spool.Settings": Recipe(change={"retry_intervals_minutes": "5, 10"}, said="→ 5, 10"),
    "throttling.GuardPolicy": Recipe(
        {"factor": "12", "domain": "example.org"},
        {"factor": "20", "exempt": ANN},
        lambda: GuardPolicy.objects.create(domain=actions.add_domain("example.com")),
        f"nobody → {ANN}",
    ),
    "throttling.ThrottleSettings": Recipe(change={"ip_messages_per_hour": "50"}, said="→ 50"),
}
MODELS = {model._meta.label: model for model in admin.site._registry}


def _request() -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = User.objects.get(email=ROOT)
    return request


def _url(model: type[Model], page: str, *arguments: Any) -> str:
    """ "" where the model has no such page."""
    try:
        return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)
    except NoReverseMatch:
        return ""


def _row(label: str) -> Model:
    model: Any = MODELS[label]
    if issubclass(model, OneRow):
        row: Model = model.load()
        return row
    make = RECIPES[label].row
    assert make is not None
    return make()


def _typed(values: dict[str, str]) -> dict[str, Any]:
    """Rows that are chosen by their name are sent by their number."""
    numbers: dict[str, Any] = {}
    if "exempt" in values:
        numbers["exempt"] = [User.objects.get(email=values["exempt"]).pk]
    if "domain" in values and "host" not in values:
        numbers["domain"] = actions.get_domain(values["domain"]).pk
    return {**values, **numbers}


@pytest.mark.parametrize("label", sorted(MODELS))
class TestEveryPage:
    def test_adding_is_written_down(self, label: str) -> None:
        model = MODELS[label]
        page = _url(model, "add")
        if not admin.site._registry[model].has_add_permission(_request()):
            assert not page or browser(ROOT).post(page, {}).status_code in (403, 404)
            return
        assert label in RECIPES and RECIPES[label].add, f"say what to type on the page that adds a {label}"
        typed, client = RECIPES[label].add, browser(ROOT)
        sent = form_with(client.get(page).content.decode(), next(iter(typed))) | _typed(typed)
        with nothing_changes_unrecorded(ROOT, "page", does=True) as records:
            answer = client.post(page, sent)
            assert answer.status_code == 302, answer.context["errors"]
        assert PASSWORD not in str([record.__dict__ for record in records])
        assert "Added" in records[0].outcome

    def test_changing_is_written_down_with_what_it_was(self, label: str) -> None:
        model_admin = admin.site._registry[MODELS[label]]
        if not model_admin.has_change_permission(_request()):
            return
        assert label in RECIPES, f"say what to type on the page of a {label}"
        typed = RECIPES[label].change
        if not typed:
            assert model_admin.list_display_links is None, f"say what to change on the page of a {label}"
            return
        client, page = browser(ROOT), page_with(_row(label), next(iter(typed)))
        sent = form_with(client.get(page).content.decode(), next(iter(typed))) | _typed(typed)
        with nothing_changes_unrecorded(ROOT, "page", does=True) as records:
            answer = client.post(page, sent)
            assert answer.status_code == 302, answer.context["errors"]
        said = [record.outcome for record in records]
        assert RECIPES[label].said in "; ".join(said)
        assert len(set(said)) == len(said), "written down twice"
        assert "not-for-the-record" not in str([record.__dict__ for record in records])

    def test_saving_what_is_as_it_was_is_nothing(self, label: str) -> None:
        typed = RECIPES[label].change if label in RECIPES else {}
        if not typed or label.startswith("security."):
            # The lists of Security are written down whenever somebody stores an entry.
            return
        client, page = browser(ROOT), page_with(_row(label), next(iter(typed)))
        sent = form_with(client.get(page).content.decode(), next(iter(typed)))
        with nothing_changes_unrecorded(ROOT, "page", does=False) as records:
            assert client.post(page, sent).status_code == 302
        assert records == []

    def test_deleting_is_written_down(self, label: str) -> None:
        model, model_admin = MODELS[label], admin.site._registry[MODELS[label]]
        page = _url(model, "delete", 1)
        if not model_admin.has_delete_permission(_request()):
            assert not page or browser(ROOT).post(page, {"post": "yes"}).status_code in (302, 403, 404)
            return
        assert label in RECIPES, f"say how a {label} is made"
        row = _row(label)
        with nothing_changes_unrecorded(ROOT, "page", does=True):
            assert browser(ROOT).post(_url(model, "delete", row.pk), {"post": "yes"}).status_code == 302
        assert not model._default_manager.filter(pk=row.pk).exists()

    def test_each_action_on_many_is_written_down(self, label: str) -> None:
        model, model_admin = MODELS[label], admin.site._registry[MODELS[label]]
        if issubclass(model, OneRow) or not _url(model, "changelist"):
            return
        for name in model_admin.get_actions(_request()):
            assert label in RECIPES, f"say how a {label} is made, for its action {name}"
            row = _row(label)
            if name == "enable":
                off = {"status": "disabled"} if hasattr(row, "status") else {"enabled": False}
                model._default_manager.filter(pk=row.pk).update(**off)
            with nothing_changes_unrecorded(ROOT, "page", does=True):
                chosen = {"action": name, ACTION_CHECKBOX_NAME: [row.pk], "post": "yes"}
                assert browser(ROOT).post(_url(model, "changelist"), chosen).status_code == 302
            model._default_manager.filter(pk=row.pk).delete()
            if label == "accounts.User":
                user = User(email=ANN, domain=actions.get_domain("example.org"))
                user.set_unusable_password()
                user.save()
            if label == "accounts.ListMember":
                actions.remove(actions.get_list("news@example.org"))
            if label == "throttling.GuardPolicy":
                actions.remove(actions.get_domain("example.com"))


def test_a_row_that_is_edited_in_its_list_is_written_down() -> None:
    member = _member()
    page = _url(ListMember, "changelist")
    sent = form_with(browser(ROOT).get(page).content.decode(), "form-0-enabled")
    del sent["form-0-enabled"]
    with nothing_changes_unrecorded(ROOT, "page", does=True) as records:
        assert browser(ROOT).post(page, {**sent, "_save": "Save"}).status_code == 302
    assert [(one.on, one.outcome) for one in records] == [("news@example.org", "Mail to a@far.test: not sent any more")]
    member.refresh_from_db()
    assert not member.enabled


def test_members_that_are_edited_on_the_page_of_their_list_are_written_down() -> None:
    member = _member()
    page = _url(type(member.mailing_list), "change", member.mailing_list.pk)
    sent = form_with(browser(ROOT).get(page).content.decode(), "members-0-address")
    with nothing_changes_unrecorded(ROOT, "page", does=True) as records:
        answer = browser(ROOT).post(page, {**sent, "members-0-DELETE": "on"})
        assert answer.status_code == 302
    assert [(one.on, one.outcome) for one in records] == [("news@example.org", "List members removed: a@far.test")]


def test_the_recipes_are_about_pages_that_there_are() -> None:
    assert set(RECIPES) <= set(MODELS)
    assert len(MODELS) > 25
