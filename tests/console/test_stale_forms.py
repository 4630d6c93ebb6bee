"""Two who edit the same thing: neither undoes what the other did, and who would is told."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db.models import BooleanField, Field, ForeignKey, IntegerField, Model
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts import actions, changes, containing
from accounts.actor import Actor
from accounts.forms.comparing import Comparing
from accounts.models import (
    Alias,
    Domain,
    DomainDefaults,
    DomainUserDefaults,
    MailingList,
    Role,
    SignInSettings,
    Status,
    User,
    UserDefaults,
)
from quarantine.models import AntispamSettings, AntivirusSettings, Check, TrustedSender
from security.models import BlacklistEntry, LoginRules, SMTPBlock, WhitelistEntry
from spool.models import AlertRule, AuditEvent, Route, Settings
from spool.models.destination_rule import DestinationRule
from spool.models.source_address import SourceAddress
from spool.models.update_server import UpdateServer
from tests.support.editing_pages import page_with, pages_of
from tests.support.forms import as_sent
from throttling.models import GuardPolicy, ThrottleSettings

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
CHIEF = Actor("chief@example.org", Role.SYSTEM_ADMINISTRATOR)
# A row of each kind that has a form.
ROWS: dict[type[Model], Callable[[], Model]] = {
    User: lambda: User.objects.get(email="ann@example.org"),
    Domain: Domain.objects.get,
    Alias: lambda: actions.add_alias("sales@example.org", ["ann@example.org"]),
    MailingList: lambda: actions.add_list("news@example.org", ["x@example.net"], owner="ann@example.org"),
    DomainDefaults: DomainDefaults.load,
    UserDefaults: UserDefaults.load,
    Settings: Settings.load,
    Route: lambda: Route.objects.create(
        domain="far.test", host="mx.far.test", sealed_password="x", username="u", tls="verify"
    ),
    DestinationRule: lambda: DestinationRule.objects.create(
        scope="domain", name="far.test", connections=3, suspended_reason="moving"
    ),
    SourceAddress: lambda: SourceAddress.objects.create(address="192.0.2.7", ehlo_name="out.example.org"),
    UpdateServer: lambda: UpdateServer.objects.create(
        domain="far.test", host="ns.far.test", key_name="updates", sealed_secret="x"
    ),
    AlertRule: lambda: AlertRule.objects.create(name="Many waiting", kind="sender", threshold=5),
    AntispamSettings: lambda: (
        # What its owner asks for can be followed only where it is asked about.
        Check.objects.create(name="DMARC", kind="dmarc") and AntispamSettings.load()
    ),
    AntivirusSettings: AntivirusSettings.load,
    Check: lambda: Check.objects.create(name="SPF", kind="spf"),
    TrustedSender: lambda: TrustedSender.objects.create(pattern="x@example.net"),
    BlacklistEntry: lambda: BlacklistEntry.objects.create(
        network="198.51.100.0/24", smtp=True, expires_at=timezone.now() + timedelta(days=3), created_by="x"
    ),
    WhitelistEntry: lambda: WhitelistEntry.objects.create(network="203.0.113.7", smtp=True, created_by="x"),
    SMTPBlock: lambda: SMTPBlock.objects.create(
        pattern="spam.test", kind="domain", direction="inbound", created_by="x"
    ),
    LoginRules: LoginRules.load,
    SignInSettings: SignInSettings.load,
    GuardPolicy: lambda: GuardPolicy.objects.create(domain=Domain.objects.get()),
    ThrottleSettings: ThrottleSettings.load,
}


def a_user(email: str, **fields: Any) -> User:
    user = User(email=email, domain=Domain.objects.get(name="example.org"), **fields)
    user.set_unusable_password()
    user.save()
    return user


@pytest.fixture
def ann() -> User:
    return User.objects.get(email="ann@example.org")


@pytest.fixture(autouse=True)
def people() -> None:
    actions.add_domain("example.org")
    a_user("ann@example.org", name="Ann", forward_to="one@example.net\ntwo@example.net")
    a_user("chief@example.org", role=Role.SYSTEM_ADMINISTRATOR)
    a_user("head@example.org", role=Role.DOMAIN_ADMINISTRATOR)


def browser(email: str) -> Client:
    client = Client()
    client.force_login(User.objects.get(email=email), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def root() -> Client:
    return browser("chief@example.org")


def url_of(row: Model) -> str:
    [page] = pages_of(row)
    return page


def shown(client: Client, row: Model, page: str = "") -> dict[str, list[str]]:
    """What a browser sends of the form of a row that nobody has touched."""
    return as_sent(client.get(page or url_of(row)).content.decode())


def values(row: Model) -> dict[str, Any]:
    return type(row)._default_manager.filter(pk=row.pk).values().get()  # type: ignore[no-any-return]


def text(answer: Any) -> str:
    return " ".join(html.unescape(answer.content.decode()).split())


def test_every_editing_form_of_the_console_is_looked_at_here(root: Client) -> None:
    admin.autodiscover()
    request = RequestFactory().get("/")
    request.user = User.objects.get(email="chief@example.org")
    edited = {model for model, one in admin.site._registry.items() if one.has_change_permission(request)}
    apps = ("accounts", "spool", "security", "throttling", "quarantine")
    ours = {model for model in edited if model._meta.app_label in apps}
    # Members are ticked on the page of their list.
    assert {model.__name__ for model in ours - set(ROWS)} <= {"ListMember"}
    assert all(issubclass(admin.site._registry[model].form, Comparing) for model in ours)


@pytest.mark.parametrize("model", ROWS, ids=lambda model: model.__name__)
def test_a_form_that_is_saved_as_it_was_shown_undoes_nothing(root: Client, model: type[Model]) -> None:
    row = ROWS[model]()
    pages = {page: shown(root, row, page) for page in pages_of(row)}
    said = {name for sent in pages.values() for name in sent}
    asked = [field for field in row._meta.concrete_fields if f"initial-{field.name}" in said]
    made_up = {field.attname: _other(field, getattr(row, field.attname)) for field in asked}
    others = {name: value for name, value in made_up.items() if value is not None}
    assert others, "there is something that somebody else may change"
    model._default_manager.filter(pk=row.pk).update(**others)
    before = values(row)
    for page, sent in pages.items():
        answer = root.post(page, sent)
        assert answer.status_code == 302, answer.context and answer.context["errors"]
    assert values(row) == before


@pytest.mark.parametrize("model", ROWS, ids=lambda model: model.__name__)
def test_a_form_that_comes_back_untouched_writes_nothing(root: Client, model: type[Model]) -> None:
    row = ROWS[model]()
    before = values(row)
    for page in pages_of(row):
        assert root.post(page, shown(root, row, page)).status_code == 302
    assert values(row) == before


def _other(field: Field[Any, Any], value: Any) -> Any:
    """Another value, as far as one is easily made up that fits the rest of the row."""
    if isinstance(field, ForeignKey) or field.unique or field.name in _LEFT:
        return None
    if isinstance(field, BooleanField):
        return not value
    if field.choices:
        return next((one for one, _ in field.flatchoices if one not in (value, "")), None)
    if isinstance(field, IntegerField):
        return value - 1 if (value or 0) > 1 else (value or 0) + 1
    return "other" if field.name in ("description", "name", "subject_prefix") else None


# What has to fit other fields, or is about whoever saves.
_LEFT = ("local_store", "kind", "web", "smtp", "tls", "learns", "oversize", "role", "digest")


def test_a_form_that_was_open_does_not_open_a_contained_account_again(root: Client, ann: User) -> None:
    sent = shown(root, ann)
    containing.contain(Actor("other@example.org", Role.SYSTEM_ADMINISTRATOR), ann)
    password = User.objects.get(pk=ann.pk).password
    answer = root.post(url_of(ann), {**sent, "name": "Ann Example"}, follow=True)
    ann.refresh_from_db()
    assert (ann.status, ann.name, ann.password) == (Status.RECEIVING, "Ann Example", password)
    assert "Somebody else has changed these meanwhile, and they stay as changed: Status" in text(answer)


def test_two_who_change_the_same_field_are_told_who_was_first_and_lose_nothing(root: Client, ann: User) -> None:
    sent = shown(root, ann)
    before = changes.stored(ann)
    actions.change(ann, mailbox_mb=500, name="Anna")
    changes.record(Actor("other@example.org", Role.SYSTEM_ADMINISTRATOR), before, ann)
    typed = {**sent, "mailbox_mb": "200", "forward_to": "three@example.net"}
    answer = root.post(url_of(ann), typed)
    assert answer.status_code == 200
    said = text(answer)
    assert "Changed meanwhile by other@example.org (" in said and "from “0” to “500”" in said
    again = as_sent(answer.content.decode())
    assert (again["mailbox_mb"], again["forward_to"], again["name"]) == (["200"], ["three@example.net"], ["Anna"])
    ann.refresh_from_db()
    assert (ann.mailbox_mb, ann.forward_to) == (500, "one@example.net\ntwo@example.net"), "nothing was written"
    # Whoever saves again means it.
    assert root.post(url_of(ann), again).status_code == 302
    ann.refresh_from_db()
    assert (ann.mailbox_mb, ann.forward_to, ann.name) == (200, "three@example.net", "Anna")


def test_a_password_that_was_typed_beside_a_conflict_is_asked_for_again(root: Client, ann: User) -> None:
    sent = shown(root, ann)
    actions.change(ann, mailbox_mb=500)
    answer = root.post(url_of(ann), {**sent, "mailbox_mb": "200", "new_password": "another-horse-battery"})
    assert "A password is never shown: type it again." in text(answer)
    assert "another-horse-battery" not in text(answer)


def test_two_who_want_the_same_do_not_hear_of_each_other(root: Client, ann: User) -> None:
    sent = shown(root, ann)
    actions.change(ann, mailbox_mb=500)
    assert root.post(url_of(ann), {**sent, "mailbox_mb": "500"}).status_code == 302


def test_a_row_that_was_removed_meanwhile_does_not_come_back(root: Client) -> None:
    row = ROWS[Route]()
    sent = shown(root, row)
    Route.objects.all().delete()
    root.post(url_of(row), {**sent, "description": "x"})
    assert not Route.objects.exists()


def test_what_an_alias_stands_for_is_compared_as_well(root: Client) -> None:
    alias = ROWS[Alias]()
    assert isinstance(alias, Alias)
    sent = shown(root, alias)
    actions.change(alias, targets=["new@example.net"])
    root.post(url_of(alias), {**sent, "description": "x"})
    alias.refresh_from_db()
    assert alias.description == "x"
    assert list(alias.targets.values_list("address", flat=True)) == ["new@example.net"]
    answer = root.post(url_of(alias), {**sent, "targets": "mine@example.net"})
    assert "Changed meanwhile" in text(answer)
    assert list(alias.targets.values_list("address", flat=True)) == ["new@example.net"]


def test_a_password_that_is_set_in_an_open_form_changes_nothing_else(root: Client, ann: User) -> None:
    sent = shown(root, ann)
    User.objects.filter(pk=ann.pk).update(status=Status.DISABLED, role=Role.DOMAIN_ADMINISTRATOR)
    root.post(url_of(ann), {**sent, "new_password": "another-horse-battery"})
    ann.refresh_from_db()
    assert ann.check_password("another-horse-battery")
    assert (ann.status, ann.role) == (Status.DISABLED, Role.DOMAIN_ADMINISTRATOR)


def test_defaults_within_a_domain_are_compared_as_well(root: Client) -> None:
    domain = Domain.objects.get()
    row = DomainUserDefaults.objects.create(domain=domain, mailbox_mb=10)
    sent = shown(root, domain)
    DomainUserDefaults.objects.update(mailbox_mb=20)
    assert root.post(url_of(domain), {**sent, "description": "x"}).status_code == 302
    row.refresh_from_db()
    assert row.mailbox_mb == 20
    [name] = [name for name in sent if name.endswith("-0-mailbox_mb") and not name.startswith("initial-")]
    answer = root.post(url_of(domain), {**sent, name: "30"})
    assert "Changed meanwhile" in text(answer)


def test_a_list_that_is_edited_in_place_compares_each_row(root: Client, django_assert_max_num_queries: Any) -> None:
    row = actions.add_list("news@example.org", [f"m{number:02}@example.net" for number in range(40)])
    first, second, third = row.members.order_by("address")[:3]
    url = f"{reverse('admin:accounts_listmember_changelist')}?mailing_list__id__exact={row.pk}"
    sent = as_sent(root.get(url).content.decode())
    type(first)._default_manager.filter(pk__in=[first.pk, third.pk]).update(enabled=False)
    boxes = {sent[name][0]: name.replace("-id", "-enabled") for name in sent if re.fullmatch(r"form-\d+-id", name)}
    del sent[boxes[str(second.pk)]]
    # Kept for good once it was asked for.
    ContentType.objects.get_for_model(type(first))
    # One for each row is Django's own, which looks whether it is there.
    with django_assert_max_num_queries(40 + 15):
        assert root.post(url, {**sent, "_save": "Save"}).status_code == 302
    assert set(row.members.filter(enabled=False).values_list("pk", flat=True)) == {first.pk, second.pk, third.pk}


def test_members_on_the_page_of_a_list_compare_too(root: Client) -> None:
    row = actions.add_list("news@example.org", ["a@example.net", "b@example.net"])
    sent = shown(root, row)
    row.members.filter(address="a@example.net").update(enabled=False)
    [box] = [name for name in sent if sent[name] == ["b@example.net"] and not name.startswith("initial-")]
    assert root.post(url_of(row), {**sent, box: "c@example.net"}).status_code == 302
    found = dict(row.members.values_list("address", "enabled"))
    assert found == {"a@example.net": False, "c@example.net": True}


class TestUserSite:
    def test_a_domain_administrators_open_form_undoes_nothing(self, ann: User) -> None:
        head, url = browser("head@example.org"), reverse("portal:edit_users", args=[ann.pk])
        sent = as_sent(head.get(url).content.decode())
        containing.contain(CHIEF, ann)
        actions.change(ann, forward_to="")
        assert head.post(url, {**sent, "name": "Annie"}).status_code == 302
        ann.refresh_from_db()
        assert (ann.status, ann.forward_to, ann.name) == (Status.RECEIVING, "", "Annie")
        answer = head.post(url, {**sent, "forward_to": "mine@example.net"})
        assert "Changed meanwhile" in text(answer) and "mine@example.net" in text(answer)

    @pytest.mark.parametrize(
        ("name", "field", "typed", "meanwhile"),
        [
            ("settings", "name", "Annie", "Anna"),
            ("forwarding", "forward_to", "mine@example.net", "theirs@example.net"),
            ("spam", "spam_low", "junk", "delete"),
        ],
    )
    def test_the_own_pages_tell_what_was_changed_meanwhile(
        self, ann: User, name: str, field: str, typed: str, meanwhile: str
    ) -> None:
        own, url = browser(ann.email), reverse(f"portal:{name}")
        sent = as_sent(own.get(url).content.decode())
        before = changes.stored(ann)
        actions.change(ann, **{field: meanwhile})
        changes.record(CHIEF, before, ann)
        answer = own.post(url, {**sent, field: typed})
        assert "Changed meanwhile by chief@example.org" in text(answer)
        assert values(ann)[field] == meanwhile
        assert own.post(url, as_sent(answer.content.decode())).status_code == 302
        assert values(ann)[field] == typed

    def test_lists_aliases_and_defaults_of_a_domain(self) -> None:
        head = browser("head@example.org")
        row = actions.add_list("news@example.org")
        url = reverse("portal:edit_lists", args=[row.pk])
        sent = as_sent(head.get(url).content.decode())
        actions.change(row, subject_prefix="[n]")
        assert head.post(url, {**sent, "new_members": "a@example.net"}).status_code == 302
        assert (values(row)["subject_prefix"], row.members.count()) == ("[n]", 1)
        alias = actions.add_alias("sales@example.org", ["ann@example.org"])
        url = reverse("portal:edit_aliases", args=[alias.pk])
        sent = as_sent(head.get(url).content.decode())
        actions.change(alias, targets=["new@example.net"])
        assert head.post(url, {**sent, "description": "x"}).status_code == 302
        assert list(alias.targets.values_list("address", flat=True)) == ["new@example.net"]


def test_a_command_writes_what_it_was_told_and_nothing_else(ann: User) -> None:
    stale = actions.get_user(ann.email)
    actions.change(actions.get_user(ann.email), mailbox_mb=500)
    actions.change(stale, name="Annie")
    assert (values(ann)["mailbox_mb"], values(ann)["name"]) == (500, "Annie")


def test_a_setting_that_was_changed_by_a_command_is_told_with_who_did(root: Client) -> None:
    page = page_with(Settings.load(), "max_hops")
    sent = as_sent(root.get(page).content.decode())
    call_command("settings", "set", "max_hops", "60")
    answer = root.post(page, {**sent, "max_hops": "40"})
    assert "Changed meanwhile by" in text(answer) and "(shell)" in text(answer)
    assert "from “50” to “60”" in text(answer)
    assert "50 → 60" in AuditEvent.objects.get(action="settings").outcome
