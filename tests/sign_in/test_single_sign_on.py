"""Signing in at an OpenID provider that really runs: tests.support.openid_provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from accounts import actions, single_sign_on
from accounts.models import ExternalIdentity, Role, SignInSettings, Status
from base.audit.models import AuditEvent
from base.sealed import seal
from security.models import FailedLogin, LoginRules
from tests.sign_in.conftest import ANN, BOB, PASSWORD, ROOT, browser, is_in, log_in, set_up, text, the, with_app
from tests.support.openid_provider import OpenIDProvider

BEGIN, BACK = "/me/login/provider/", "/me/login/provider/back/"


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIDProvider]:
    with OpenIDProvider() as running:
        yield running


@pytest.fixture(autouse=True)
def configured(provider: OpenIDProvider) -> SignInSettings:
    single_sign_on.forget()
    return set_up(
        oidc_issuer=provider.issuer,
        oidc_client_id="mailspool",
        sealed_oidc_secret=seal("a-client-secret"),
        oidc_label="Example ID",
    )


def sign_in(client: Client, provider: OpenIDProvider, subject: str, next_url: str = "") -> Any:
    """Press the button, say at the provider who that is, and come back."""
    answer = client.get(BEGIN, {"next": next_url})
    assert answer.status_code == 302, text(answer)
    return client.get(provider.authorize(answer["Location"], subject))


class TestTheButton:
    def test_it_is_there_only_when_there_is_a_provider(self) -> None:
        for page in (reverse("portal:login"), reverse("admin:login")):
            assert "Example ID" in text(Client().get(page))
        set_up(oidc_issuer="", oidc_client_id="")
        assert BEGIN not in text(Client().get(reverse("portal:login")))
        assert Client().get(BEGIN)["Location"] == reverse("portal:login")

    def test_what_the_provider_is_asked(self, provider: OpenIDProvider) -> None:
        asked = parse_qs(urlsplit(Client().get(BEGIN)["Location"]).query)
        assert asked["client_id"] == ["mailspool"] and asked["response_type"] == ["code"]
        assert asked["redirect_uri"] == [f"http://testserver{BACK}"]
        assert asked["code_challenge_method"] == ["S256"] and asked["nonce"] and asked["state"]
        assert asked["scope"] == ["openid email profile"]


class TestWhoThatIs:
    def test_an_account_by_its_verified_address_and_from_then_on_by_the_subject(self, provider: OpenIDProvider) -> None:
        provider.person("s1", email=ANN.upper(), email_verified=True)
        client = Client()
        assert sign_in(client, provider, "s1")["Location"] == "/me/"
        assert is_in(client)
        assert ExternalIdentity.objects.get().user == the(ANN)
        assert AuditEvent.objects.filter(action="single sign-on", actor=ANN).exists()
        provider.person("s1", email=BOB, email_verified=True)
        other = Client()
        sign_in(other, provider, "s1")
        assert ANN in text(other.get("/me/"))

    @pytest.mark.parametrize(
        "claims",
        [
            {"email": ANN, "email_verified": False},
            {"email": ANN},
            {"email_verified": True},
            {"email": ["ann@example.org"], "email_verified": True},
            {"email": "nobody@example.org", "email_verified": True},
            {"email": "off@example.org", "email_verified": True},
        ],
    )
    def test_nobody_else_and_all_are_told_the_same(self, provider: OpenIDProvider, claims: dict[str, Any]) -> None:
        actions.add_user("off@example.org", PASSWORD, status=Status.DISABLED)
        provider.person("s2", **claims)
        client = Client()
        answer = sign_in(client, provider, "s2")
        assert answer["Location"] == reverse("portal:login")
        assert "did not let you in" in text(client.get(answer["Location"]))
        assert not is_in(client) and not ExternalIdentity.objects.exists()
        assert FailedLogin.objects.count() == 1

    def test_a_second_factor_is_asked_for_unless_the_provider_counts_as_one(self, provider: OpenIDProvider) -> None:
        with_app(browser())
        provider.person("s3", email=ANN, email_verified=True)
        client = Client()
        assert sign_in(client, provider, "s3")["Location"] == "/me/login/second-factor/"
        assert not is_in(client)
        set_up(oidc_is_second_factor=True, second_factor_roles="user")
        assert sign_in(client, provider, "s3")["Location"] == "/me/"
        assert is_in(client)

    def test_the_page_that_was_asked_for_comes_after_it(self, provider: OpenIDProvider) -> None:
        provider.person("s4", email=ROOT, email_verified=True)
        assert sign_in(Client(), provider, "s4", "/admin/accounts/user/")["Location"] == "/admin/accounts/user/"
        assert sign_in(Client(), provider, "s4", "https://evil.example/")["Location"] == "/me/"

    def test_the_link_is_shown_and_removed(self, provider: OpenIDProvider) -> None:
        provider.person("s5", email=ANN, email_verified=True)
        client = Client()
        sign_in(client, provider, "s5")
        assert provider.issuer in text(client.get(reverse("portal:sign_in")))
        client.post(reverse("portal:unlink", args=[ExternalIdentity.objects.get().pk]))
        assert not ExternalIdentity.objects.exists()


class TestRoles:
    @pytest.mark.parametrize(
        ("claims", "role"),
        [
            ({"groups": ["staff", "mail-admins"]}, Role.SYSTEM_ADMINISTRATOR),
            ({"groups": "domain-admins"}, Role.DOMAIN_ADMINISTRATOR),
            ({"groups": ["staff"]}, Role.USER),
            ({}, Role.USER),
        ],
    )
    def test_the_claim_says_the_role_each_time(
        self, provider: OpenIDProvider, claims: dict[str, Any], role: Role
    ) -> None:
        set_up(
            oidc_role_claim="groups",
            oidc_roles="mail-admins = admin\ndomain-admins = domain_admin\n* = user",
        )
        for before in Role.values:
            user = the(ANN)
            actions.change(user, role=before)
            provider.person("s6", email=ANN, email_verified=True, **claims)
            sign_in(Client(), provider, "s6")
            assert the(ANN).role == role
        changed = AuditEvent.objects.filter(actor="mailspool", key=ANN, parameters__changed__has_key="role")
        assert changed.exists()

    def test_without_a_line_for_everybody_else_it_stays(self, provider: OpenIDProvider) -> None:
        set_up(oidc_role_claim="realm_access.roles", oidc_roles="mail-admins = admin")
        actions.change(the(ANN), role=Role.DOMAIN_ADMINISTRATOR)
        provider.person("s7", email=ANN, email_verified=True, realm_access={"roles": ["x"]})
        sign_in(Client(), provider, "s7")
        assert the(ANN).role == Role.DOMAIN_ADMINISTRATOR
        provider.person("s7", email=ANN, email_verified=True, realm_access={"roles": ["mail-admins"]})
        sign_in(Client(), provider, "s7")
        assert the(ANN).role == Role.SYSTEM_ADMINISTRATOR

    def test_the_last_system_administrator_stays_one(self, provider: OpenIDProvider) -> None:
        set_up(oidc_role_claim="groups", oidc_roles="* = user")
        provider.person("s8", email=ROOT, email_verified=True)
        sign_in(Client(), provider, "s8")
        assert the(ROOT).role == Role.SYSTEM_ADMINISTRATOR


class TestForgeries:
    def test_an_answer_to_a_question_that_was_not_asked_here(self, provider: OpenIDProvider) -> None:
        provider.person("s9", email=ANN, email_verified=True)
        begun = Client().get(BEGIN)["Location"]
        back = provider.authorize(begun, "s9")
        victim = Client()
        assert victim.get(back)["Location"] == reverse("portal:login")
        victim.get(BEGIN)
        assert victim.get(back)["Location"] == reverse("portal:login")
        assert not is_in(victim)

    def test_an_answer_counts_once(self, provider: OpenIDProvider) -> None:
        provider.person("s9", email=ANN, email_verified=True)
        client = Client()
        back = provider.authorize(client.get(BEGIN)["Location"], "s9")
        client.get(back)
        client.post(reverse("portal:logout"))
        assert client.get(back)["Location"] == reverse("portal:login")
        assert not is_in(client)

    @pytest.mark.parametrize("query", ["", "?code=x&state=y", "?error=access_denied", "?state=", "?code[]=1"])
    def test_nonsense(self, query: str) -> None:
        client = Client()
        client.get(BEGIN)
        assert client.get(BACK + query)["Location"] == reverse("portal:login")

    @pytest.mark.parametrize("forged", ["iss", "aud", "nonce", "exp", "signature"])
    def test_a_token_that_is_not_for_us(self, provider: OpenIDProvider, forged: str) -> None:
        provider.person("s10", email=ANN, email_verified=True)
        client = Client()
        with provider.forging(forged):
            answer = sign_in(client, provider, "s10")
        assert answer["Location"] == reverse("portal:login")
        assert not is_in(client) and not ExternalIdentity.objects.exists()

    def test_a_provider_that_calls_itself_otherwise_is_not_asked(self, provider: OpenIDProvider) -> None:
        set_up(oidc_issuer=provider.issuer.replace("127.0.0.1", "localhost"))
        with provider.named("https://other.example"):
            assert Client().get(BEGIN)["Location"] == reverse("portal:login")

    def test_a_provider_that_is_away_is_said_in_words(self) -> None:
        set_up(oidc_issuer="http://127.0.0.1:1/realm")
        client = Client()
        assert client.get(BEGIN, follow=True).status_code == 200

    def test_failures_close_the_login(self, provider: OpenIDProvider) -> None:
        LoginRules.objects.create(pk=1, pair_failures=3, ip_failures=60, account_failures=80)
        provider.person("s11", email=ANN, email_verified=False)
        client = Client()
        for _ in range(3):
            answer = sign_in(client, provider, "s11")
        assert answer.status_code == 429
        assert log_in(Client()).status_code == 429


class TestProvingAnew:
    def test_who_is_linked_may_prove_it_there_and_nobody_else_can(self, provider: OpenIDProvider) -> None:
        provider.person("ann", email=ANN, email_verified=True)
        provider.person("bob", email=BOB, email_verified=True)
        client = Client()
        sign_in(client, provider, "ann")
        page = "/me/confirm/?next=/me/signing-in/"
        assert "Example ID" in text(client.get(page))
        asked = client.get(BEGIN, {"next": "/me/signing-in/"})["Location"]
        assert "prompt=login" in asked
        assert client.get(provider.authorize(asked, "ann"))["Location"] == "/me/signing-in/"
        asked = client.get(BEGIN, {"next": "/me/signing-in/"})["Location"]
        assert client.get(provider.authorize(asked, "bob"))["Location"] == "/me/"
        assert ANN in text(client.get("/me/"))
