"""Settings by sections: what is saved, what comes back, what a search finds, and who changed what."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts.models import SignInSettings
from base.declared_settings import Setting, models_of_settings, of_model, stored
from mailspool.setting_pages.places import Place, place_named, places
from quarantine.models import AntispamSettings
from security.models import LoginRules
from spool.models import AuditEvent, Settings
from tests.support.commands import Manage, manage_with
from tests.support.forms import form_with

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home"), pytest.mark.alike]
RETRIES = "/admin/settings/retries-and-bounces/"
# Of each model a setting, and another value of it.
OTHER_VALUES = {
    "": ("max_hops", "40"),
    "antispam": ("keep_days", "29"),
    "antivirus": ("clamd_timeout_seconds", "61"),
    "loginrules": ("pair_failures", "11"),
    "signin": ("oidc_label", "Company login"),
    "throttle": ("ip_messages_per_hour", "50"),
}


def get(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def sent(client: Client, path: str, name: str) -> dict[str, Any]:
    """What a browser sends of a section that nobody has touched."""
    return form_with(client.get(path).content.decode(), name)


def post(client: Client, path: str, name: str, **typed: str) -> Any:
    return client.post(path, {**sent(client, path, name), **typed}, follow=True)


def place_of(setting: Setting) -> Place:
    return next(place for place in places() if place.model is setting.model and place.section == setting.section)


@pytest.mark.parametrize("model", models_of_settings())
def test_every_setting_stands_in_one_section(model: Any) -> None:
    names = [name for section in model.sections for name in section.names]
    columns = {field.name for field in model._meta.fields if field.editable and field.name != "id"}
    others = set(names) - columns
    assert len(names) == len(set(names)) and set(names) >= columns
    # What is no column is a field of the page's form; pages are known once addresses are.
    reverse("admin:index")
    assert others <= set(getattr(admin.site.get_model_admin(model).form, "declared_fields", {}))
    for setting in of_model(model):
        assert setting.label and setting.shown(setting.default)


def test_sections_have_addresses_of_their_own(administrator: Client) -> None:
    assert len({place.slug for place in places()}) == len(places())
    for place in places():
        shown = get(administrator, place.link)
        assert f'<h2 id="st-title">{place.section.title}</h2>' in shown
        for setting in place.settings:
            assert f'id="row-{setting.field.name}"' in shown and f">{setting.name}<" in shown
            assert f"Default: {setting.shown(setting.default)}" in shown
    assert administrator.get("/admin/settings/no-such/").status_code == 404
    assert administrator.get("/admin/spool/settings/")["Location"] == reverse("settings")


def test_the_old_form_of_all_settings_leads_on_and_saves_nothing(administrator: Client) -> None:
    row = Settings.load()
    old = reverse("admin:spool_settings_change", args=[row.pk])
    assert administrator.get(old)["Location"] == reverse("settings")
    shown = administrator.post(old, {"max_hops": "9", "retry_intervals_minutes": "5"}, follow=True)
    assert "Nothing was saved" in shown.content.decode() and shown.redirect_chain == [(reverse("settings"), 302)]
    assert Settings.load().max_hops == row.max_hops and not AuditEvent.objects.exists()


@pytest.mark.parametrize("model", models_of_settings())
def test_one_section_is_saved_and_recorded_before_and_after(administrator: Client, model: Any) -> None:
    model.load()
    name, value = OTHER_VALUES[model.__name__.removesuffix("Settings").lower()]
    setting = next(one for one in of_model(model) if one.field.name == name)
    page = place_of(setting).link
    before = {one.name: one.of(stored(model)) for one in of_model(model)}
    shown = html.unescape(post(administrator, page, name, **{name: value}).content.decode())
    after = {one.name: one.of(stored(model)) for one in of_model(model)}
    assert {one for one in after if before[one] != after[one]} == {setting.name}
    assert str(after[setting.name]) == value and f"Saved: {setting.label}." in shown
    event = AuditEvent.objects.get()
    assert event.parameters["changed"] == {name: [before[setting.name], after[setting.name]]}
    # It says so, and leads to the record.
    assert ">Changed</span>" in shown and "by admin@localhost" in shown
    [history] = re.findall(r'href="(/admin/audit/[^"]*changed=' + name + '[^"]*)"', shown)
    assert "admin@localhost" in get(administrator, history)
    other = history.replace(f"changed={name}", "changed=something_else")
    assert event.outcome not in get(administrator, other)


def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_lost(administrator: Client) -> None:
    answer = post(administrator, RETRIES, "postmaster", retry_intervals_minutes="soon", dns_failure_limit="7")
    shown = html.unescape(answer.content.decode())
    assert answer.status_code == 200 and "Not saved." in shown
    row = shown.split('id="row-retry_intervals_minutes"')[1].split('id="row-')[0]
    assert "'soon' is not a number of minutes" in row and 'value="soon"' in row
    assert 'value="7"' in shown.split('id="row-dns_failure_limit"')[1].split('id="row-')[0]
    assert not stored(Settings).pk or stored(Settings).dns_failure_limit == 0  # type: ignore[attr-defined]
    assert not AuditEvent.objects.exists()


def test_settings_of_other_sections_cannot_be_sent(administrator: Client) -> None:
    post(administrator, RETRIES, "postmaster", dns_failure_limit="7", max_hops="9", id="5")
    row = Settings.load()
    assert (row.dns_failure_limit, row.max_hops, Settings.objects.count()) == (7, 50, 1)


def test_what_is_wrong_elsewhere_is_no_reason_to_refuse(administrator: Client) -> None:
    Settings.load()
    Settings.objects.update(tls_certificate="/gone.pem", tls_key="/gone.pem")
    post(administrator, RETRIES, "postmaster", dns_failure_limit="7")
    assert Settings.load().dns_failure_limit == 7
    answer = post(administrator, "/admin/settings/tls-certificate/", "tls_key", tls_key="/other.pem")
    assert "Not saved." in answer.content.decode()


def test_defaults_are_filled_in_and_saved_with_what_was_typed(administrator: Client) -> None:
    Settings.load()
    Settings.objects.update(retry_intervals_minutes="5", dns_failure_limit=7)
    shown = get(administrator, RETRIES)
    assert 'value="default:dns_failure_limit"' in shown and 'value="default:postmaster"' not in shown
    answer = post(administrator, RETRIES, "postmaster", do="default:dns_failure_limit", postmaster="a@example.org")
    shown = answer.content.decode()
    assert "not saved yet" in shown and 'value="a@example.org"' in shown
    assert Settings.load().dns_failure_limit == 7 and not AuditEvent.objects.exists()
    administrator.post(RETRIES, {**form_with(shown, "postmaster"), "do": "save"})
    row = Settings.load()
    assert (row.dns_failure_limit, row.postmaster, row.retry_intervals_minutes) == (0, "a@example.org", "5")
    shown = post(administrator, RETRIES, "postmaster", do="defaults").content.decode()
    assert Settings.load().retry_intervals_minutes == "5"
    administrator.post(RETRIES, {**form_with(shown, "postmaster"), "do": "save"})
    row = Settings.load()
    assert not any(one.differs(row) for one in of_model(Settings) if one.section.title == "Retries and bounces")
    assert "5 → 15, 30, 60, 90" in AuditEvent.objects.order_by("-pk")[0].outcome
    assert administrator.post(RETRIES, {"do": "default:max_hops"}).status_code == 400


def test_switches_and_choices_have_their_defaults_back(administrator: Client) -> None:
    Settings.load()
    Settings.objects.update(honour_mta_sts=False, tls_policy="none")
    page = "/admin/settings/delivery-to-other-servers/"
    shown = post(administrator, page, "tls_policy", do="defaults").content.decode()
    administrator.post(page, {**form_with(shown, "tls_policy"), "do": "save"})
    row = Settings.load()
    assert row.honour_mta_sts and row.tls_policy == "opportunistic"


def test_two_who_change_the_same_are_told(administrator: Client) -> None:
    Settings.load()
    typed = {**sent(administrator, RETRIES, "postmaster"), "dns_failure_limit": "8"}
    post(administrator, RETRIES, "postmaster", dns_failure_limit="9")
    answer = administrator.post(RETRIES, typed)
    assert "Changed meanwhile by admin@localhost" in html.unescape(answer.content.decode())
    assert Settings.load().dns_failure_limit == 9


def test_a_search_looks_at_label_help_and_name(administrator: Client) -> None:
    url = reverse("settings")
    for text in ("bounce after dns", "Consecutive DNS", "dns_failure_limit", "dns failure limit"):
        shown = get(administrator, f"{url}?q={text}")
        assert f'href="{RETRIES}#id_dns_failure_limit"' in shown, text
    assert "antispam.keep_days" in get(administrator, f"{url}?q=antispam.keep")
    assert "No setting found" in get(administrator, f"{url}?q=<script>alert")
    assert "<script>alert" not in administrator.get(f"{url}?q=<script>alert").content.decode()
    part = administrator.get(f"{url}?q=dns", headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part and "dns_failure_limit" in part


def test_what_differs_from_its_default_is_listed(administrator: Client) -> None:
    url = reverse("settings")
    assert "All as shipped" in get(administrator, url)
    Settings.load()
    Settings.objects.update(max_hops=40)
    AntispamSettings.load()
    AntispamSettings.objects.update(keep_days=29)
    shown = get(administrator, url)
    assert "2 settings differ from the default" in shown
    assert "29 days" in shown and "default: 30 days" in shown
    found = get(administrator, f"{url}?q=keep&changed=1").split('id="st-main"')[1]
    assert "antispam.keep_days" in found and "antivirus.keep_days" not in found
    assert "1 changed" in get(administrator, RETRIES)


def test_pages_of_settings_ask_few_questions(administrator: Client, django_assert_max_num_queries: Any) -> None:
    for model in models_of_settings():
        model.load()
    for path in (reverse("settings"), f"{reverse('settings')}?q=a", RETRIES, "/admin/settings/antispam-inbound-mail/"):
        get(administrator, path)
        # One for each page of settings, one for the last changes, and those of any page's frame.
        with django_assert_max_num_queries(18):
            get(administrator, path)


def test_a_secret_is_never_shown_and_stays_when_left_empty(administrator: Client) -> None:
    page = "/admin/settings/signin-single-sign-on-openid-connect/"
    post(administrator, page, "oidc_issuer", secret="very-secret-indeed")
    sealed = SignInSettings.load().sealed_oidc_secret
    assert sealed and "very-secret-indeed" not in get(administrator, page)
    post(administrator, page, "oidc_issuer", oidc_label="Login")
    row = SignInSettings.load()
    assert (row.sealed_oidc_secret, row.oidc_label) == (sealed, "Login")
    assert "very-secret-indeed" not in json.dumps([event.parameters for event in AuditEvent.objects.all()])


def test_rules_of_logins_are_recorded_as_on_their_own_page(administrator: Client) -> None:
    page = "/admin/settings/loginrules-different-wrong-passwords/"
    LoginRules.load()
    post(administrator, page, "pair_failures", pair_failures="12")
    assert LoginRules.load().pair_failures == 12 and AuditEvent.objects.get().parameters["changed"] == {
        "pair_failures": [10, 12]
    }


class TestCommand:
    @pytest.fixture
    def manage(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
        return manage_with(capsys, monkeypatch, "spool")

    def test_it_lists_what_differs_and_sections(self, manage: Manage) -> None:
        assert manage("settings", "list", "--changed").out == ""
        manage("settings", "set", "max_hops=40", "antispam.keep_days=29")
        assert manage("settings", "list", "--changed").out.splitlines() == [
            "max_hops = 40 (default: 50)",
            "antispam.keep_days = 29 (default: 30)",
        ]
        assert manage("settings", "list", "--changed", "--json").json == {"max_hops": 40, "antispam.keep_days": 29}
        assert set(manage("settings", "list", "--section", "retention", "--json").json) == {
            "trace_days",
            "audit_days",
            "trash_days",
            "report_days",
        }
        assert "There is no section x." in manage("settings", "list", "--section", "x").err

    def test_it_resets_some_or_a_section(self, manage: Manage) -> None:
        manage("settings", "set", "max_hops=40", "antispam.keep_days=29", "trace_days=3", "trash_days=3")
        assert manage("settings", "reset", "max-hops", "antispam.keep_days").status == 0
        assert manage("settings", "reset", "--section", "Retention", "--json").json == {
            "trace_days": 30,
            "audit_days": 730,
            "trash_days": 7,
            "report_days": 90,
        }
        assert manage("settings", "list", "--changed").out == ""
        assert "3 → 30" in AuditEvent.objects.order_by("-pk")[0].outcome
        assert manage("settings", "reset").status == 2
        assert manage("settings", "reset", "colour").status == 1

    def test_the_audit_is_asked_for_changes_of_one(self, manage: Manage) -> None:
        manage("settings", "set", "max_hops", "40")
        manage("settings", "set", "trace_days", "3")
        [event] = manage("spool", "audit", "--changed", "max_hops", "--json").json
        assert "50 → 40" in event["Outcome"]


def test_an_address_names_one_section_only() -> None:
    place = place_named("antispam-greylisting")
    assert place is not None and place.model is AntispamSettings and place.section.title == "Greylisting"
