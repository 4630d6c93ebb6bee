"""Authenticator apps and recovery codes: setting them up, signing in with them, guessing, losing them."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actor import NotAllowed
from accounts.models import FactorKind, RecoveryCode, SecondFactor, Status, User
from accounts.sign_in import factors, recovery_codes
from accounts.sign_in.errors import Refused
from base.audit.models import AuditEvent
from security.models import FailedLogin, LoginBlock, LoginRules
from spool.actions.actor import Actor
from spool.events import mail_log
from tests.sign_in.conftest import ANN, BOB, CHIEF, PASSWORD, ROOT, browser, is_in, log_in, set_up, text, the, with_app

SECOND = "/me/login/second-factor/"


class TestSettingUp:
    @pytest.mark.parametrize("email", [ANN, CHIEF, ROOT])
    def test_everybody_may_have_an_app_and_gets_recovery_codes_with_it(self, email: str) -> None:
        client = browser(email)
        _, codes = with_app(client)
        assert len(set(codes)) == 10
        own = text(client.get(reverse("portal:sign_in")))
        assert "Phone" in own and "10 of 10 are left" in own
        event = AuditEvent.objects.get(action="second factor")
        assert (event.actor, event.on) == (email, email) and "Authenticator app “Phone”" in event.outcome

    def test_nothing_of_it_is_kept_in_the_clear(self) -> None:
        client = browser()
        page = text(client.get(reverse("portal:add_app")))
        secret = page.partition("secret=")[2][:32]
        assert secret not in str(client.session.items())
        _, codes = with_app(client)
        kept = str([list(SecondFactor.objects.values_list()), list(RecoveryCode.objects.values_list())])
        assert not any(code in kept for code in codes)
        assert SecondFactor.objects.get().material.startswith("gAAAA"), "sealed"

    def test_a_wrong_code_sets_up_nothing_and_keeps_the_secret_on_the_page(self) -> None:
        client = browser()
        before = text(client.get(reverse("portal:add_app"))).partition("secret=")[2][:32]
        again = client.post(reverse("portal:add_app"), {"code": "000000", "name": ""})
        assert before in text(again) and "not the code" in text(again)
        assert not SecondFactor.objects.exists()

    def test_the_page_is_not_kept_by_any_cache(self) -> None:
        client = browser()
        assert client.get(reverse("portal:add_app"))["Cache-Control"] == "no-store"
        assert client.post(reverse("portal:renew_codes")).status_code == 302, "codes are for who has a second factor"

    def test_names_are_told_apart_and_bounded(self) -> None:
        client = browser()
        for _ in range(2):
            with_app(client)
        assert list(SecondFactor.objects.values_list("name", flat=True)) == ["Phone", "Phone 2"]


class TestSigningIn:
    @pytest.mark.parametrize("email", [ANN, CHIEF, ROOT])
    def test_the_password_alone_opens_nothing(self, email: str) -> None:
        app, _ = with_app(browser(email))
        client = Client()
        answer = log_in(client, email)
        assert answer["Location"] == SECOND
        assert not is_in(client)
        assert client.get("/admin/").status_code == 302
        assert client.post(SECOND, {"code": app.next()})["Location"] == "/me/"
        assert is_in(client)

    def test_the_page_that_was_asked_for_comes_after_it(self) -> None:
        app, _ = with_app(browser(ROOT))
        client = Client()
        client.post(f"{reverse('admin:login')}?next=/admin/accounts/user/", {"username": ROOT, "password": PASSWORD})
        assert client.post(SECOND, {"code": app.next()})["Location"] == "/admin/accounts/user/"

    def test_at_the_consoles_login_it_leads_to_the_console(self) -> None:
        app, _ = with_app(browser(ROOT))
        client = Client()
        client.post(reverse("admin:login"), {"username": ROOT, "password": PASSWORD})
        assert client.post(SECOND, {"code": app.next()})["Location"] == "/admin/"
        assert client.get("/admin/login/?next=/admin/login/")["Location"] == "/admin/"
        assert browser(ANN).get("/admin/login/?next=/admin/spool/")["Location"] == "/me/"

    def test_a_code_counts_once(self) -> None:
        app, _ = with_app(browser())
        code, first, second = app.next(), Client(), Client()
        log_in(first)
        log_in(second)
        assert first.post(SECOND, {"code": code}).status_code == 302
        assert second.post(SECOND, {"code": code}).status_code == 200
        assert not is_in(second)

    def test_codes_of_clocks_that_are_off_by_half_a_minute_are_taken_and_no_others(self) -> None:
        app, _ = with_app(browser())
        SecondFactor.objects.update(counter=0)
        for steps, taken in ((-3, False), (-2, False), (-1, True), (0, True), (1, True), (3, False)):
            client = Client()
            log_in(client)
            app.steps = steps
            assert (client.post(SECOND, {"code": app.code()}).status_code == 302) is taken, steps
            FailedLogin.objects.all().delete()

    def test_a_recovery_code_lets_in_once_however_it_is_typed(self) -> None:
        _, codes = with_app(browser())
        client = Client()
        log_in(client)
        assert client.post(SECOND, {"code": f" {codes[3].upper().replace('-', ' ')} "}).status_code == 302
        assert is_in(client)
        assert recovery_codes.left_of(the(ANN)) == 9
        other = Client()
        log_in(other)
        assert other.post(SECOND, {"code": codes[3]}).status_code == 200
        assert (
            AuditEvent.objects.get(action="recovery codes", parameters__left=9).outcome
            == "A recovery code was used; 9 are left"
        )

    def test_new_codes_make_the_old_ones_worthless(self) -> None:
        client = browser()
        _, codes = with_app(client)
        client.post(reverse("portal:renew_codes"))
        assert recovery_codes.left_of(the(ANN)) == 10
        other = Client()
        log_in(other)
        assert other.post(SECOND, {"code": codes[0]}).status_code == 200

    def test_anothers_code_is_a_wrong_one(self) -> None:
        with_app(browser(ANN))
        app, codes = with_app(browser(BOB))
        client = Client()
        log_in(client)
        for code in (app.next(), codes[0], "", "0" * 64, "12345", "１２３４５６"):
            assert client.post(SECOND, {"code": code}).status_code == 200
        assert not is_in(client)

    def test_it_waits_ten_minutes_and_not_longer(self) -> None:
        app, _ = with_app(browser())
        client = Client()
        log_in(client)
        with time_machine.travel(timezone.now() + timedelta(minutes=11), tick=True):
            assert client.post(SECOND, {"code": app.next()})["Location"] == reverse("portal:login")
        assert not is_in(client)

    @pytest.mark.parametrize("change", ["password", "status"])
    def test_what_was_lost_meanwhile_counts(self, change: str) -> None:
        app, _ = with_app(browser())
        client = Client()
        log_in(client)
        user = the(ANN)
        if change == "password":
            user.set_password("another-long-secret")
        user.status = Status.DISABLED if change == "status" else user.status
        user.save()
        assert client.post(SECOND, {"code": app.next()})["Location"] == reverse("portal:login")
        assert not is_in(client)

    def test_the_session_is_another_one_before_and_after(self) -> None:
        app, _ = with_app(browser())
        client = Client()
        keys = []
        log_in(client)
        keys.append(client.cookies[settings.SESSION_COOKIE_NAME].value)
        client.post(SECOND, {"code": app.next()})
        keys.append(client.cookies[settings.SESSION_COOKIE_NAME].value)
        assert keys[0] != keys[1]
        thief = Client()
        thief.cookies[settings.SESSION_COOKIE_NAME] = keys[0]
        assert not is_in(thief)
        assert client.session.get_expiry_age() > 3600

    def test_without_a_password_there_is_nothing_to_be_asked(self) -> None:
        client = Client()
        assert client.get(SECOND)["Location"] == reverse("portal:login")
        assert client.post("/me/login/second-factor/passkey/").status_code == 403


class TestGuessing:
    @pytest.fixture(autouse=True)
    def rules(self) -> None:
        LoginRules.objects.create(pk=1, pair_failures=3, ip_failures=60, account_failures=80)

    def test_wrong_codes_close_the_login_and_the_right_one_is_not_looked_at_then(self) -> None:
        app, _ = with_app(browser())
        client = Client()
        log_in(client)
        for code in ("000001", "000002"):
            assert client.post(SECOND, {"code": code}).status_code == 200
        assert client.post(SECOND, {"code": "000003"}).status_code == 429
        assert client.post(SECOND, {"code": app.next()}).status_code == 429
        assert not is_in(client)
        assert LoginBlock.objects.get().account == ANN
        assert log_in(Client()).status_code == 429

    def test_a_right_password_in_between_does_not_begin_the_count_anew(self) -> None:
        with_app(browser())
        for number in range(3):
            client = Client()
            assert log_in(client).status_code == 302
            client.post(SECOND, {"code": f"00000{number}"})
        assert log_in(Client()).status_code == 429

    def test_they_are_lines_of_the_mail_log(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lines: list[tuple[str, str, str]] = []
        monkeypatch.setattr(
            mail_log, "write", lambda event, **words: lines.append((event, words["result"], words["login"]))
        )
        app, _ = with_app(browser())
        client = Client()
        log_in(client)
        client.post(SECOND, {"code": "000001"})
        client.post(SECOND, {"code": app.next()})
        assert lines == [("login", "failed", ANN), ("login", "ok", ANN)]

    def test_nothing_tells_whether_there_is_an_account(self) -> None:
        with_app(browser())
        answers = [log_in(Client(), email, "a-wrong-password") for email in (ANN, BOB, "nobody@example.org")]
        pages = {
            text(answer).replace(email, "X")
            for answer, email in zip(answers, (ANN, BOB, "nobody@example.org"), strict=True)
        }
        assert {answer.status_code for answer in answers} == {200}
        assert len({page.partition("<form")[2].partition("csrfmiddlewaretoken")[0] for page in pages}) == 1
        assert all("Please enter a correct" in page for page in pages)


class TestRemoving:
    def test_the_last_takes_the_recovery_codes_along(self) -> None:
        client = browser()
        with_app(client)
        row = SecondFactor.objects.get()
        client.post(reverse("portal:remove_factor", args=[row.pk]))
        assert not SecondFactor.objects.exists() and not RecoveryCode.objects.exists()
        said = [event.outcome for event in AuditEvent.objects.filter(action="second factor")]
        assert any(text.startswith("Removed: Authenticator app") for text in said)

    def test_anothers_is_out_of_reach(self) -> None:
        with_app(browser(ANN))
        row = SecondFactor.objects.get()
        browser(BOB).post(reverse("portal:remove_factor", args=[row.pk]))
        assert SecondFactor.objects.exists()
        with pytest.raises(NotAllowed):
            factors.remove(Actor.of(the(BOB)), the(ANN), row.pk)
        with pytest.raises(Refused):
            factors.remove(Actor.of(the(BOB)), the(BOB), row.pk)

    def test_where_the_role_needs_one_the_last_stays(self) -> None:
        client = browser()
        with_app(client)
        set_up(second_factor_roles="user")
        answer = client.post(reverse("portal:remove_factor", args=[SecondFactor.objects.get().pk]), follow=True)
        assert "Your role needs a second factor" in text(answer)
        assert SecondFactor.objects.exists()

    @pytest.mark.parametrize(("who", "may"), [(ROOT, True), (CHIEF, True), (BOB, False)])
    def test_administrators_remove_what_was_lost(self, who: str, may: bool) -> None:
        with_app(browser(ANN))
        if not may:
            with pytest.raises(NotAllowed):
                factors.remove_all(Actor.of(the(who)), the(ANN))
            return
        factors.remove_all(Actor.of(the(who)), the(ANN))
        assert not SecondFactor.objects.exists() and not RecoveryCode.objects.exists()
        event = AuditEvent.objects.filter(action="second factor").latest("pk")
        assert (event.actor, event.on) == (who, ANN) and event.outcome.startswith("Removed all")
        assert log_in(Client())["Location"] == "/me/"

    def test_a_domains_administrator_does_not_reach_a_system_administrator(self) -> None:
        with_app(browser(ROOT))
        with pytest.raises(NotAllowed):
            factors.remove_all(Actor.of(the(CHIEF)), the(ROOT))

    def test_nobody_removes_all_of_their_own(self) -> None:
        with_app(browser(ROOT))
        with pytest.raises(Refused):
            factors.remove_all(Actor.of(the(ROOT)), the(ROOT))
        assert User.objects.get(email=ROOT).second_factors.get().kind == FactorKind.TOTP
