"""Each page that is no list or form of the admin site: what it changes is written down; what looks changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions
from accounts.models import Alias, AppPassword, Domain, MailingList, SecondFactor, User
from spool.models import AlertRule, SavedView
from tests.doors.conftest import ANN, CHIEF, PASSWORD, ROOT, browser
from tests.doors.record import nothing_changes_unrecorded
from tests.privileges.urls import places
from tests.support.failed_jobs import fail
from tests.support.forms import UNLIMITED

pytestmark = pytest.mark.alike

# Of the admin site's own pages; tests/doors/test_admin_site.py goes through them.
OF_MODELS = ("_changelist", "_add", "_change", "_delete", "_history")
# Their records are tested beside the one function that all of these doors call, or they need more than a row.
ELSEWHERE = {
    "admin:spool_entry_perform": "spool.actions.perform writes down each verb",
    "admin:quarantine_item_perform": "spool.actions.perform writes down each verb",
    "admin:spool_entry_undo": "tests/spool/actions/test_jobs.py",
    "admin:spool_entry_cancel_job": "what was cancelled is written into the record of the action",
    "admin:quarantine_item_download": "tests/quarantine/test_pages.py",
    "admin:spool_entry_download": "hands out a copy; it changes nothing",
    "admin:throttling_throttleevent_act": "tests/throttling/test_actions.py",
    "admin:throttling_guardevent_undo": "tests/throttling/test_guard.py",
    "admin:security_blacklistentry_import": "tests/security/test_pages.py",
    "admin:spool_suppression_import": "tests/console/test_suppressed.py",
    "admin:spool_entry_save_layout": "how a list looks to one person; tests/console/test_spool_pages.py",
    "portal:quarantine_item": "tests/console/test_portal_mail.py",
    "portal:domain_quarantine_item": "tests/console/test_portal_mail.py",
    "unsubscribe": "tests/accounts/test_unsubscribing.py",
    "quarantine_release": "tests/quarantine/test_digest.py",
    "thing_act": "tests/doors/test_actions.py goes through each action, by this page too",
    "attention_acknowledge": "tests/console/test_attention.py",
    "attention_mute": "tests/console/test_attention.py",
    "portal:recall": "spool.actions.perform writes down each verb",
    "portal:throttled_act": "tests/throttling/test_portal.py",
    "portal:password": "tests/console/test_portal.py",
    "portal:login": "logins have a history of their own",
    "portal:logout": "logins have a history of their own",
    "portal:login_passkey": "logins have a history of their own",
    "portal:second_factor": "logins have a history of their own",
    "portal:second_factor_passkey": "logins have a history of their own",
    "portal:add_passkey": "tests/sign_in/test_passkeys.py",
    "portal:provider": "leads elsewhere",
    "portal:provider_back": "tests/sign_in/test_single_sign_on.py",
    "portal:unlink": "tests/sign_in/test_single_sign_on.py",
    "admin:login": "logins have a history of their own",
    "admin:logout": "logins have a history of their own",
}


def _user(email: str = ANN) -> User:
    return User.objects.get(email=email)


def _domain_defaults(client: Client) -> Any:
    typed = {"do": "save", "mailbox_mb": 7, "max_message_kb": 0, "max_recipients": 0, **UNLIMITED}
    return client.post(reverse("portal:defaults"), typed)


def _alert_test(client: Client) -> Any:
    rule = AlertRule.objects.create(name="Depth", kind="depth", threshold=5)
    return client.post(reverse("admin:spool_alertrule_test", args=[rule.pk]))


def _save_view(client: Client) -> Any:
    return client.post(reverse("admin:spool_entry_save_view"), {"page": "admin:spool_entry_changelist", "name": "Mine"})


def _forget_view(client: Client) -> Any:
    view = SavedView.objects.create(user=_user(ROOT), page="admin:spool_entry_changelist", name="Mine", query="")
    return client.post(reverse("admin:spool_entry_forget_view", args=[view.pk]))


def _propagate(name: str, field: str) -> Callable[[Client], Any]:
    def post(client: Client) -> Any:
        User.objects.update(mailbox_mb=3)
        Domain.objects.update(max_users=99)
        typed = {"fields_chosen": [field], "scope": "all", "confirmed": "1"}
        return client.post(reverse(f"admin:accounts_{name}_propagate"), typed)

    return post


def _contain(client: Client) -> Any:
    return client.post(reverse("admin:accounts_user_contain", args=[_user().pk]), {"do": "contain"})


def _export_audit(client: Client) -> Any:
    return client.post(reverse("admin:audit_auditevent_export"), {"format": "csv"})


def _managing(client: Client) -> Any:
    return client.post(reverse("hijack:acquire"), {"user_pk": _user().pk})


def _factor() -> SecondFactor:
    return SecondFactor.objects.create(user=_user(), kind="totp", name="Phone", created=timezone.now())


def _add_app(client: Client) -> Any:
    page = client.get(reverse("portal:add_app")).content.decode()
    code = pyotp.TOTP(page.partition("secret=")[2][:32]).now()
    return client.post(reverse("portal:add_app"), {"code": code, "name": "Phone"})


def _renew_codes(client: Client) -> Any:
    _factor()
    return client.post(reverse("portal:renew_codes"))


def _end_app_password(client: Client) -> Any:
    row = AppPassword.objects.create(user=_user(), name="PC", selector="abcd", created=timezone.now())
    return client.post(reverse("portal:end_app_password", args=[row.pk]))


def _alias() -> Alias:
    return actions.add_alias("sales@example.org", ["a@far.test"])


def _list() -> MailingList:
    return actions.add_list("news@example.org", ["a@far.test"])


def _forget_job(client: Client) -> Any:
    fail("one")
    return client.post(reverse("jobs_act"), {"do": "forget", "job": ["one"], "sure": "1"})


def _list_sender(client: Client, name: str) -> Any:
    return client.post(reverse(name, args=[_user().pk]), {"do": "block", "sender": "far.test"})


def _save_a_setting(client: Client) -> Any:
    page = reverse("settings_section", args=["retention"])
    return client.post(page, {"do": "save", "trace_days": 31, "audit_days": 730, "trash_days": 7, "report_days": 90})


_A_USER = {
    "name": "Eve",
    "role": "user",
    "forward_to": "",
    "mailbox_mb": 0,
    "max_message_kb": 0,
    "max_recipients": 0,
    **UNLIMITED,
}
_A_LIST = {"posting": "anyone", "rewrite_from": "dmarc", "unsubscribe": "owner", "enabled": "on", **UNLIMITED}
# By the name of the page: who goes there, and what is done.
DOES: dict[str, tuple[str, Callable[[Client], Any]]] = {
    "admin:accounts_domaindefaults_propagate": (ROOT, _propagate("domaindefaults", "max_users")),
    "admin:accounts_userdefaults_propagate": (ROOT, _propagate("userdefaults", "mailbox_mb")),
    "admin:accounts_user_contain": (ROOT, _contain),
    "admin:audit_auditevent_export": (ROOT, _export_audit),
    "admin:spool_trace_export": (
        ROOT,
        lambda client: client.post(reverse("admin:spool_trace_export"), {"format": "csv"}),
    ),
    "admin:accounts_user_drop_connections": (
        ROOT,
        lambda client: client.post(reverse("admin:accounts_user_drop_connections"), {"user": ANN}),
    ),
    "admin:accounts_user_password": (
        ROOT,
        lambda client: client.post(reverse("admin:accounts_user_password", args=[_user().pk]), {"password": PASSWORD}),
    ),
    "admin:accounts_user_status": (
        ROOT,
        lambda client: client.post(reverse("admin:accounts_user_status", args=[_user().pk]), {"status": "disabled"}),
    ),
    "admin:quarantine_antispamsettings_scan_again": (
        ROOT,
        lambda client: client.post(reverse("admin:quarantine_antispamsettings_scan_again")),
    ),
    "admin:quarantine_antivirussettings_scan_again": (
        ROOT,
        lambda client: client.post(reverse("admin:quarantine_antivirussettings_scan_again")),
    ),
    "admin:spool_alertrule_test": (ROOT, _alert_test),
    "admin:spool_entry_save_view": (ROOT, _save_view),
    "admin:spool_entry_forget_view": (ROOT, _forget_view),
    "admin:accounts_user_remove_factors": (
        ROOT,
        lambda client: client.post(reverse("admin:accounts_user_remove_factors", args=[_factor().user.pk])),
    ),
    "dns_check": (ROOT, lambda client: client.post(reverse("dns_check", args=["host"]))),
    "first_run_dismiss": (ROOT, lambda client: client.post(reverse("first_run_dismiss"))),
    "first_run_test": (ROOT, lambda client: client.post(reverse("first_run_test"), {"to": ANN})),
    "hijack:acquire": (ROOT, _managing),
    "jobs_act": (ROOT, _forget_job),
    "settings_section": (ROOT, _save_a_setting),
    "portal:add_app": (ANN, _add_app),
    "portal:add_app_password": (ANN, lambda client: client.post(reverse("portal:add_app_password"), {"name": "PC"})),
    "portal:end_app_password": (ANN, _end_app_password),
    "portal:end_connection": (ANN, lambda client: client.post(reverse("portal:end_connection"), {"id": "x"})),
    "portal:remove_factor": (
        ANN,
        lambda client: client.post(reverse("portal:remove_factor", args=[_factor().pk])),
    ),
    "portal:remove_user_factors": (
        CHIEF,
        lambda client: client.post(reverse("portal:remove_user_factors", args=[_factor().user.pk])),
    ),
    "portal:renew_codes": (ANN, _renew_codes),
    "portal:add_aliases": (
        CHIEF,
        lambda client: client.post(reverse("portal:add_aliases"), {"address": "info", "targets": ANN, "enabled": "on"}),
    ),
    "portal:add_lists": (
        CHIEF,
        lambda client: client.post(reverse("portal:add_lists"), {"address": "all", "new_members": ANN, **_A_LIST}),
    ),
    "portal:add_users": (
        CHIEF,
        lambda client: client.post(
            reverse("portal:add_users"), {"email": "eve", "new_password": PASSWORD, "status": "enabled", **_A_USER}
        ),
    ),
    "portal:defaults": (CHIEF, _domain_defaults),
    "portal:drop": (ANN, lambda client: client.post(reverse("portal:drop"))),
    "portal:edit_aliases": (
        CHIEF,
        lambda client: client.post(
            reverse("portal:edit_aliases", args=[_alias().pk]),
            {"address": "sales@example.org", "targets": "b@far.test", "enabled": "on"},
        ),
    ),
    "portal:edit_lists": (
        CHIEF,
        lambda client: client.post(
            reverse("portal:edit_lists", args=[_list().pk]),
            {"address": "news@example.org", "new_members": ANN, "old_members": "a@far.test", **_A_LIST},
        ),
    ),
    "portal:edit_users": (
        CHIEF,
        lambda client: client.post(
            reverse("portal:edit_users", args=[_user().pk]), {"email": ANN, "status": "disabled", **_A_USER}
        ),
    ),
    "portal:forwarding": (
        ANN,
        lambda client: client.post(reverse("portal:forwarding"), {"forward_to": "x@far.test"}),
    ),
    "portal:remove_aliases": (
        CHIEF,
        lambda client: client.post(reverse("portal:remove_aliases", args=[_alias().pk])),
    ),
    "portal:remove_lists": (CHIEF, lambda client: client.post(reverse("portal:remove_lists", args=[_list().pk]))),
    "portal:remove_users": (CHIEF, lambda client: client.post(reverse("portal:remove_users", args=[_user().pk]))),
    "listed_senders": (ROOT, lambda client: _list_sender(client, "listed_senders")),
    "portal:user_senders": (CHIEF, lambda client: _list_sender(client, "portal:user_senders")),
    "portal:listed_senders": (
        ANN,
        lambda client: client.post(reverse("portal:listed_senders"), {"do": "allow", "sender": "x@far.test"}),
    ),
    "portal:suppressed": (
        CHIEF,
        lambda client: client.post(reverse("portal:suppressed"), {"do": "add", "addresses": "dead@far.test"}),
    ),
    "portal:settings": (ANN, lambda client: client.post(reverse("portal:settings"), {"name": "Ann"})),
    "portal:spam": (ANN, lambda client: client.post(reverse("portal:spam"), {"spam_medium": "delete"})),
}
PLACES = sorted((place for place in places() if not place.name.endswith(OF_MODELS)), key=str)
NAMES = {place.name for place in PLACES}


def test_the_lists_are_about_pages_that_there_are() -> None:
    assert set(DOES) | set(ELSEWHERE) <= NAMES | {"hijack:release"}
    assert not set(DOES) & set(ELSEWHERE)


@pytest.mark.parametrize("name", sorted(DOES))
def test_what_a_page_changes_is_written_down(name: str) -> None:
    who, do = DOES[name]
    client = browser(who)
    with nothing_changes_unrecorded(who, "page", does=True) as records:
        assert do(client).status_code in (200, 302)
    assert PASSWORD not in str([record.__dict__ for record in records])


@pytest.mark.long
def test_every_other_page_changes_nothing_however_it_is_asked() -> None:
    client, tried = browser(ROOT), 0
    client.raise_request_exception = False
    for place in PLACES:
        if place.name in DOES or place.name in ELSEWHERE or place.path == "/hijack/end/":
            continue
        for ask in (client.get, client.post):
            tried += 1
            with nothing_changes_unrecorded(ROOT, "page", does=False) as records:
                ask(place.path)
            assert records == [], f"{place} ({place.name}): say in DOES what to do there"
    assert tried > 100
