"""Application passwords: made, shown once, checked fast, ended singly; and mail programs that need one."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import containing, directory, logins, securing
from accounts.actor import NotAllowed
from accounts.models import AppPassword, Containment, Status, User
from accounts.sign_in import app_passwords
from accounts.sign_in.errors import Refused
from base.audit.models import AuditEvent
from spool.actions.actor import Actor
from tests.sign_in.conftest import ANN, BOB, CHIEF, PASSWORD, ROOT, browser, is_in, log_in, set_up, text, the, with_app


def a_password(email: str = ANN, name: str = "Laptop") -> str:
    user = the(email)
    return app_passwords.create(Actor.of(user), user, name)


def lets_in(password: str, email: str = ANN) -> bool:
    """Whether a mail program gets in, as the SMTP session asks."""
    is_known, found = directory.authenticate_quickly(email, password, "192.0.2.1")
    return (found if is_known else directory.authenticate(email, password)) is not None


class TestMaking:
    @pytest.mark.parametrize("email", [ANN, CHIEF, ROOT])
    def test_it_is_shown_once_and_nothing_of_it_is_kept_in_the_clear(self, email: str) -> None:
        client = browser(email)
        page = client.post(reverse("portal:add_app_password"), {"name": "  My   laptop "})
        [secret] = re.findall(r"(?:[a-z2-7]{4}-){5}[a-z2-7]{4}", text(page))
        assert page["Cache-Control"] == "no-store"
        row = AppPassword.objects.get()
        assert row.name == "My laptop" and secret[4:] not in str(vars(row))
        again = text(client.get(reverse("portal:sign_in")))
        assert "My laptop" in again and secret not in again
        event = AuditEvent.objects.get(action="application password")
        assert (event.actor, event.outcome) == (email, "Created “My laptop”")
        assert lets_in(secret, email)

    def test_only_for_oneself(self) -> None:
        for actor in (Actor.of(the(ROOT)), Actor.of(the(CHIEF)), Actor.of(the(ANN), impersonator=ROOT)):
            with pytest.raises(NotAllowed):
                app_passwords.create(actor, the(ANN), "Mine")

    def test_names_are_needed_and_told_apart(self) -> None:
        a_password()
        for name in ("", "   ", "laptop"):
            with pytest.raises(Refused):
                a_password(name=name)

    def test_there_is_a_most(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(app_passwords, "MOST", 2)
        a_password(name="1")
        a_password(name="2")
        with pytest.raises(Refused):
            a_password(name="3")


class TestUse:
    def test_it_lets_mail_programs_in_however_it_is_typed_and_opens_no_page(self) -> None:
        secret = a_password()
        for typed in (secret, secret.upper(), secret.replace("-", " "), secret.replace("-", ""), f" {secret} "):
            assert lets_in(typed)
        client = Client()
        assert log_in(client, ANN, secret).status_code == 200
        assert not is_in(client)
        assert lets_in(PASSWORD)

    def test_nothing_near_it_does(self) -> None:
        secret, other = a_password(), a_password(BOB)
        wrong = [
            other,
            secret[:-1],
            secret + "a",
            secret[:-1] + ("a" if secret[-1] != "a" else "b"),
            "",
            "\0",
            "x" * 10**6,
        ]
        for typed in wrong:
            assert not app_passwords.is_right(the(ANN), typed)
        assert not lets_in(other, ANN) and not lets_in(secret, "nobody@example.org")

    def test_when_and_from_where_it_was_last_used_is_written_now_and_then(self, django_assert_num_queries: Any) -> None:
        secret = a_password()
        lets_in(secret)
        row = AppPassword.objects.get()
        assert row.last_used is not None and row.last_ip == "192.0.2.1"
        with django_assert_num_queries(2):
            lets_in(secret)
        AppPassword.objects.update(last_used=timezone.now() - 2 * app_passwords.USED_PRECISION)
        lets_in(secret)
        assert AppPassword.objects.get().last_used > row.last_used

    def test_a_password_of_another_form_costs_no_query_more(self, django_assert_num_queries: Any) -> None:
        a_password()
        assert lets_in(PASSWORD)
        with django_assert_num_queries(1):
            assert lets_in(PASSWORD)

    def test_it_is_fast(self) -> None:
        secret = a_password()
        lets_in(secret)
        logins.forget()
        began = time.process_time()
        for _ in range(50):
            assert lets_in(secret)
        assert (time.process_time() - began) / 50 < 0.01

    def test_whoever_may_not_log_in_does_not_by_it(self) -> None:
        secret = a_password()
        for status in (Status.DISABLED, Status.RECEIVING):
            User.objects.filter(email=ANN).update(status=status)
            assert not lets_in(secret)


class TestEnding:
    def test_one_is_ended_and_the_others_go_on(self) -> None:
        first, second = a_password(name="Phone"), a_password(name="Laptop")
        browser().post(reverse("portal:end_app_password", args=[AppPassword.objects.get(name="Phone").pk]))
        assert not lets_in(first) and lets_in(second)
        assert AuditEvent.objects.latest("pk").outcome == "Ended “Phone”"

    def test_anothers_is_out_of_reach(self) -> None:
        secret = a_password()
        browser(BOB).post(reverse("portal:end_app_password", args=[AppPassword.objects.get().pk]))
        assert lets_in(secret)
        with pytest.raises(NotAllowed):
            app_passwords.end(Actor.of(the(BOB)), the(ANN), AppPassword.objects.get().pk)

    def test_they_stay_when_their_owner_changes_the_password_and_go_when_an_administrator_does(self) -> None:
        secret = a_password()
        securing.change_password(Actor.of(the(ANN)), the(ANN), "another-long-secret")
        assert lets_in(secret)
        done = securing.change_password(Actor.of(the(ROOT)), the(ANN), "yet-another-secret")
        assert "1 application password ended" in done.changed and not lets_in(secret)

    def test_containing_suspends_them_and_only_a_false_alarm_gives_them_back(self) -> None:
        secret = a_password()
        contained = containing.contain(Actor.of(the(ROOT)), the(ANN))
        User.objects.filter(email=ANN).update(status=Status.ENABLED)
        assert not lets_in(secret)
        assert any("suspended" in sentence for sentence in contained.said)
        assert "valid again" in containing.undo(Actor.of(the(ROOT)), Containment.objects.get(), old_password=True)
        assert lets_in(secret)
        containing.contain(Actor.of(the(ROOT)), the(ANN))
        containing.undo(Actor.of(the(ROOT)), Containment.objects.open().get(), old_password=False)
        assert not lets_in(secret)


class TestNeeded:
    def test_with_a_second_factor_the_own_password_can_be_refused(self) -> None:
        with_app(browser())
        secret = a_password()
        assert lets_in(PASSWORD)
        set_up(mail_by_password=False)
        assert not lets_in(PASSWORD) and not lets_in(PASSWORD)
        assert lets_in(secret)
        assert "not accepted from them" in text(browser().get(reverse("portal:sign_in")))

    def test_who_has_none_goes_on_by_the_password(self) -> None:
        set_up(mail_by_password=False)
        assert lets_in(PASSWORD)
