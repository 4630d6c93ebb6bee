"""Roles that need a second factor, and steps before which one proves anew who sits there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import SecondFactor
from accounts.sign_in import dangerous
from accounts.sign_in.session import recent_enough
from base.actions.registry import all_actions
from mailspool.portal.sign_in.gate import OPEN
from security.models import LoginRules
from tests.privileges.urls import places
from tests.sign_in.conftest import ANN, CHIEF, PASSWORD, ROOT, browser, is_in, log_in, set_up, text, the, with_app
from tests.support.forms import form_with

SET_UP = "/me/signing-in/"
# For who has no login at all, or has another way to say who asks.
FREE = ("me/login/", "quarantine/release/", "metrics", "readyz")
ROLES = {ANN: "user", CHIEF: "domain_admin", ROOT: "admin"}


class TestRequired:
    @pytest.mark.parametrize("email", [ANN, ROOT, pytest.param(CHIEF, marks=pytest.mark.long)])
    def test_who_has_none_is_led_to_it_and_can_do_nothing_else(self, email: str) -> None:
        set_up(second_factor_roles=ROLES[email])
        client = Client()
        log_in(client, email)
        reached = []
        for place in places():
            for method in ("get", "post"):
                answer = getattr(client, method)(place.path)
                led = answer.status_code == 302 and answer["Location"] == SET_UP
                is_free = place.name in OPEN or place.route.startswith(FREE)
                if not led and not is_free and answer.status_code not in (403, 404, 405):
                    reached.append(f"{method} {place} {answer.status_code}")
            if place.name in ("portal:logout", "admin:logout"):
                log_in(client, email)
        assert reached == []
        page = text(client.get(SET_UP))
        assert "Your role needs" in page
        with_app(client)
        assert is_in(client)

    def test_an_open_session_goes_on_until_the_next_login(self) -> None:
        client = Client()
        log_in(client)
        set_up(second_factor_roles="user")
        assert is_in(client)
        client.post(reverse("portal:logout"))
        log_in(client)
        assert not is_in(client)

    @pytest.mark.parametrize("email", ROLES)
    def test_other_roles_are_left_alone(self, email: str) -> None:
        set_up(second_factor_roles=", ".join(role for role in ROLES.values() if role != ROLES[email]))
        client = Client()
        log_in(client, email)
        assert is_in(client)

    def test_who_has_one_is_asked_as_ever(self) -> None:
        app, _ = with_app(browser())
        set_up(second_factor_roles="user")
        client = Client()
        log_in(client)
        client.post("/me/login/second-factor/", {"code": app.next()})
        assert is_in(client)

    def test_where_it_was_set_up_elsewhere_it_is_asked_for_and_the_password_is_not_enough(self) -> None:
        set_up(second_factor_roles="user")
        before = Client()
        log_in(before)
        app, _ = with_app(browser())
        asked = before.get("/me/")
        assert asked["Location"] == "/me/confirm/?next=%2Fme%2F"
        assert 'name="password"' not in text(before.get(asked["Location"]))
        assert before.post("/me/confirm/", {"password": PASSWORD, "next": "/me/"}).status_code == 200
        assert before.post("/me/confirm/", {"code": app.next(), "next": "/me/"})["Location"] == "/me/"
        assert is_in(before)

    def test_what_asks_for_json_is_told_so(self) -> None:
        set_up(second_factor_roles="user")
        client = Client()
        log_in(client)
        assert client.get("/me/", headers={"accept": "application/json"}).status_code == 403

    def test_an_administrator_in_the_users_place_is_not_asked_for_the_users(self) -> None:
        client = browser(ROOT)
        set_up(second_factor_roles="user")
        client.post(reverse("hijack:acquire"), {"user_pk": the(ANN).pk})
        assert is_in(client)

    def test_coming_back_from_a_users_place_it_is_still_known(self) -> None:
        client = browser(ROOT)
        with_app(client)
        set_up(second_factor_roles="admin")
        client.post(reverse("hijack:acquire"), {"user_pk": the(ANN).pk})
        client.post(reverse("hijack:release"))
        assert client.get("/admin/accounts/user/").status_code == 200

    @pytest.mark.parametrize("roles", ["", "user"])
    def test_no_page_asks_for_it_in_the_database(self, roles: str) -> None:
        client = browser()
        with_app(client)
        set_up(second_factor_roles=roles)
        with CaptureQueriesContext(connection) as asked:
            assert client.get("/me/settings/").status_code == 200
        assert not [query for query in asked if "secondfactor" in query["sql"]]


# Requests for each step of the table: the page by its name, arguments of its URL, what is sent.
def _post(name: str, *arguments: Any, **sent: Any) -> tuple[str, str, list[Any], dict[str, Any]]:
    return "post", name, list(arguments), sent


def _get(name: str, *arguments: Any) -> tuple[str, str, list[Any], dict[str, Any]]:
    return "get", name, list(arguments), {}


DANGEROUS = [
    _get("portal:add_app"),
    _post("portal:add_app"),
    _post("portal:passkey_to_add"),
    _post("portal:add_passkey"),
    _post("portal:remove_factor", 1),
    _post("portal:renew_codes"),
    _post("portal:add_app_password"),
    _post("portal:end_app_password", 1),
    _post("portal:unlink", 1),
    _get("admin:accounts_user_password", 1),
    _post("admin:accounts_user_password", 1),
    _post("admin:accounts_user_remove_factors", 1),
    _post("admin:accounts_user_contain", 1, do="reopen"),
    _post("admin:accounts_user_contain", 1, do="false-alarm"),
    _post("admin:accounts_signinsettings_change", 1),
    *(
        _post("settings_section", f"signin-{section}")
        for section in (
            "second-factor-and-passwords",
            "single-sign-on-openid-connect",
            "help-desk-and-read-only",
            "roles-from-the-provider",
        )
    ),
    _post("admin:accounts_user_delete", 1),
    _post("admin:accounts_domain_delete", 1),
    _post("admin:accounts_user_changelist", action="delete_selected", _selected_action=1),
    _post("admin:accounts_domain_changelist", action="delete_selected", _selected_action=1),
    _post("hijack:acquire", user_pk=1),
    _post("admin:security_whitelistentry_add", network="192.0.2.1", auth_bypass="on"),
    _post("admin:security_whitelistentry_change", 1, auth_bypass="on"),
    _get("admin:spool_entry_download", "x"),
    _get("admin:quarantine_item_download", "x"),
    *(
        _post(f"thing_{door}", kind, name, key=key)
        for door in ("dialog", "act")
        for kind, name, key in (
            ("user", "stop", ANN),
            ("user", "false-alarm", ANN),
            ("user", "uncontain", ANN),
            ("user", "password", ANN),
            ("dkim", "dkim-retire", "s._domainkey.example.org"),
            ("dkim", "dkim-remove", "s._domainkey.example.org"),
        )
    ),
    *(
        _post(f"admin:{room}_{door}", name, **sent)
        for door in ("dialog", "perform")
        for room, name, sent in (
            ("spool_entry", "redirect", {}),
            ("spool_entry", "resend", {}),
            ("spool_entry", "move", {}),
            ("spool_entry", "empty-trash", {}),
            ("spool_entry", "delete", {"all": "1"}),
            ("quarantine_item", "move", {}),
            ("quarantine_item", "delete", {"all": "1"}),
        )
    ),
]
OF_DOMAINS = [
    _post("portal:remove_user_factors", 1),
    _post("portal:remove_users", 1),
    _get("portal:act", "user", "password", 1),
    _post("portal:act", "user", "password", 1),
]
# What the same pages do without asking: what can be undone, and what is for the moment in which all burns.
HARMLESS = [
    _post("admin:accounts_user_contain", 1, do="contain"),
    _post("thing_dialog", "user", "contain", key=ANN),
    _post("thing_dialog", "user", "disable", key=ANN),
    _post("admin:spool_entry_dialog", "delete", ids="1"),
    _post("admin:spool_entry_dialog", "hold", all="1"),
    _post("admin:quarantine_item_dialog", "resend", ids="1"),
    _get("admin:accounts_user_delete", 1),
    _post("admin:security_whitelistentry_add", network="192.0.2.1", smtp="on"),
    _post("settings_section", "retention"),
]


def test_each_step_of_the_table_is_tried() -> None:
    tried = {row[1] for row in DANGEROUS + OF_DOMAINS}
    assert tried == set(dangerous.STEPS) <= {place.name for place in places()}
    names = {row[2][1] for row in DANGEROUS if row[1] == "thing_act"}
    assert names == dangerous.ACTIONS <= {action.name for action in all_actions()}
    of_lists = {row[2][0] for row in DANGEROUS if row[1].endswith("_perform")}
    assert of_lists == (dangerous.OF_MESSAGES | dangerous.OF_QUARANTINED | dangerous.OF_ALL) - {"purge"}


def is_asked(client: Client, row: tuple[str, str, list[Any], dict[str, Any]]) -> bool:
    method, name, arguments, sent = row
    answer = getattr(client, method)(reverse(name, args=arguments), sent)
    return bool(answer.status_code == 302 and answer["Location"].startswith("/me/confirm/?next="))


class TestRecent:
    @pytest.mark.parametrize(
        ("who", "row"), [*((ROOT, row) for row in DANGEROUS), *((CHIEF, row) for row in OF_DOMAINS)], ids=str
    )
    def test_dangerous_steps_ask_after_a_quarter_of_an_hour(self, who: str, row: Any) -> None:
        client, late = browser(who), browser(who)
        assert not is_asked(client, row)
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
            assert is_asked(late, row)

    @pytest.mark.parametrize("row", HARMLESS, ids=str)
    def test_the_rest_of_the_same_pages_does_not(self, row: Any) -> None:
        client = browser(ROOT)
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
            assert not is_asked(client, row)

    @pytest.mark.parametrize(
        "row", [*(row for row in DANGEROUS if row[1].startswith("portal")), OF_DOMAINS[1]], ids=str
    )
    def test_nobody_takes_them_in_anothers_place(self, row: Any) -> None:
        client, (method, name, arguments, sent) = browser(ROOT), row
        client.post(reverse("hijack:acquire"), {"user_pk": the(CHIEF).pk})
        assert getattr(client, method)(reverse(name, args=arguments), sent).status_code == 403

    def test_a_dialog_asks_in_its_place_and_leads_back_to_its_page(self) -> None:
        client, page = browser(ROOT), f"/admin/incident/user/{ANN}/"
        asked = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{page}?range=1d"}
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
            for door in ("thing_dialog", "thing_act"):
                answer = client.post(
                    reverse(door, args=["user", "stop"]), {"key": ANN, "p-account": "1"}, headers=asked
                )
                assert "prove that it is still you" in text(answer)
                assert f'name="next" value="{page}?range=1d"' in answer.content.decode()
            assert the(ANN).status == "enabled"
            answer = client.post(reverse("portal:confirm"), {"next": f"{page}?range=1d", "password": PASSWORD})
            assert answer["Location"] == f"{page}?range=1d"
            client.post(reverse("thing_act", args=["user", "stop"]), {"key": ANN, "p-account": "1"}, headers=asked)
        assert the(ANN).status != "enabled"

    @pytest.mark.parametrize(
        ("who", "page"), [(ROOT, "admin:accounts_user_change"), (CHIEF, "portal:edit_users")], ids=["console", "domain"]
    )
    def test_a_role_is_not_given_in_passing(self, who: str, page: str) -> None:
        client, path = browser(who), reverse(page, args=[the(ANN).pk])
        sent = form_with(client.get(path).content.decode(), "email") | {"role": "domain_admin"}
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
            assert "prove that it is still you</a>, then change the role" in text(client.post(path, sent))
        assert the(ANN).role == "user"
        assert client.post(path, sent).status_code == 302
        assert the(ANN).role == "domain_admin"

    @pytest.mark.parametrize(
        ("who", "page"), [(ROOT, "admin:accounts_user_change"), (CHIEF, "portal:edit_users")], ids=["console", "domain"]
    )
    def test_anothers_password_is_not_set_in_passing(self, who: str, page: str) -> None:
        client, path, before = browser(who), reverse(page, args=[the(ANN).pk]), the(ANN).password
        sent = form_with(client.get(path).content.decode(), "email") | {"new_password": "a-brand-new-horse"}
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
            assert "still you" in text(client.post(path, sent))
        assert the(ANN).password == before
        assert client.post(path, sent).status_code == 302
        assert the(ANN).password != before

    def test_the_password_proves_it_and_leads_back(self) -> None:
        client = browser()
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
            asked = client.get(reverse("portal:add_app"))["Location"]
            assert client.post(asked, {"password": "a-wrong-one"}).status_code == 200
            assert client.post(asked, {"password": PASSWORD})["Location"] == reverse("portal:add_app")
            assert client.get(reverse("portal:add_app")).status_code == 200

    def test_a_code_proves_it(self) -> None:
        client = browser()
        app, _ = with_app(client)
        row = SecondFactor.objects.get()
        with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=True):
            client.post("/me/confirm/", {"code": app.code(), "next": "/me/signing-in/"})
            client.post(reverse("portal:remove_factor", args=[row.pk]))
        assert not SecondFactor.objects.exists()

    @pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
    def test_it_leads_nowhere_else(self, elsewhere: str) -> None:
        answer = browser().post("/me/confirm/", {"password": PASSWORD, "next": elsewhere})
        assert answer["Location"] == "/me/"

    def test_guesses_are_counted(self) -> None:
        LoginRules.objects.create(pk=1, pair_failures=3, ip_failures=60, account_failures=80)
        client = browser()
        for number in range(2):
            assert client.post("/me/confirm/", {"password": f"guess {number}"}).status_code == 200
        assert client.post("/me/confirm/", {"password": "guess 3"}).status_code == 429
        assert client.post("/me/confirm/", {"password": PASSWORD}).status_code == 429

    def test_the_function_that_actions_ask(self) -> None:
        request = RequestFactory().get("/")
        request.session = browser().session
        assert recent_enough(request)
        with time_machine.travel(timezone.now() + timedelta(minutes=16)):
            assert not recent_enough(request)
        request.session["mailspool_proved"] = "nonsense"
        assert not recent_enough(request)
