"""Passkeys as Chromium's own authenticator makes and signs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import CDPSession, Page, expect

from accounts.models import FactorKind, SecondFactor, Status, User
from base.audit.models import AuditEvent
from tests.sign_in.conftest import ANN, BOB, PASSWORD, is_in, log_in, text, the

pytestmark = pytest.mark.alike


class Authenticator:
    """A passkey's device in Chromium (the protocol's domain WebAuthn)."""

    def __init__(self, page: Page) -> None:
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        answer = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.id: str = answer["authenticatorId"]

    def credentials(self) -> list[dict[str, Any]]:
        answer = self._session.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        found: list[dict[str, Any]] = answer["credentials"]
        return found

    def rewind(self) -> None:
        """Have it count anew, as a copy does."""
        [credential] = self.credentials()
        self._session.send("WebAuthn.clearCredentials", {"authenticatorId": self.id})
        self._session.send(
            "WebAuthn.addCredential", {"authenticatorId": self.id, "credential": {**credential, "signCount": 0}}
        )

    def verifies(self, whether: bool) -> None:
        parameters = {"authenticatorId": self.id, "isUserVerified": whether}
        self._session.send("WebAuthn.setUserVerified", parameters)


class Laptop:
    """A browser of somebody, with a passkey's device."""

    def __init__(self, page: Page, base: str) -> None:
        self.page, self.base, self.device = page, base, Authenticator(page)

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def log_in(self, email: str = ANN) -> None:
        self.open("/me/login/")
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in", exact=True).click()

    def log_out(self) -> None:
        self.page.get_by_role("button", name="Log out").click()

    def add_passkey(self) -> None:
        self.open("/me/signing-in/")
        self.page.get_by_label("Name of the passkey").fill("Laptop")
        self.page.get_by_role("button", name="Add a passkey").click()
        expect(self.page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
        self.page.get_by_role("link", name="I have kept them").click()


@pytest.mark.django_db(transaction=True)
class TestInABrowser:
    @pytest.fixture
    def laptop(self, transactional_db: None, people: None, live_server: Any, page: Page) -> Iterator[Laptop]:
        said: list[str] = []
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.on("console", lambda line: said.append(line.text) if "Content Security Policy" in line.text else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        yield Laptop(page, live_server.url.replace("127.0.0.1", "localhost"))
        assert said == []

    def test_it_is_added_and_signs_in_without_a_name_or_password(self, laptop: Laptop) -> None:
        laptop.log_in()
        laptop.add_passkey()
        factor = SecondFactor.objects.get()
        assert (factor.kind, factor.name, factor.user) == (FactorKind.PASSKEY, "Laptop", the(ANN))
        said = [event.outcome for event in AuditEvent.objects.filter(actor=ANN)]
        assert any("Passkey “Laptop”" in text for text in said)
        laptop.log_out()
        laptop.page.get_by_role("button", name="Log in with a passkey").click()
        expect(laptop.page.locator(".me-who")).to_have_text(ANN)
        assert SecondFactor.objects.get().last_used is not None

        # The same as a second factor.
        laptop.log_out()
        laptop.log_in()
        laptop.page.get_by_role("button", name="Use a passkey").click()
        expect(laptop.page.locator(".me-who")).to_have_text(ANN)

        # The same, to prove anew who that is.
        laptop.open("/me/confirm/?next=/me/signing-in/")
        laptop.page.get_by_role("button", name="Use a passkey").click()
        expect(laptop.page.get_by_role("heading", name="Signing in")).to_be_visible()

        # A second one of the same device is not taken.
        laptop.page.get_by_role("button", name="Add a passkey").click()
        expect(laptop.page.get_by_role("alert")).to_have_text("This passkey is known already.")

        # A copy is behind.
        laptop.log_out()
        laptop.device.rewind()
        laptop.page.get_by_role("button", name="Log in with a passkey").click()
        expect(laptop.page.get_by_role("alert")).to_contain_text("was not accepted")

        # Whoever is disabled is out.
        User.objects.filter(email=ANN).update(status=Status.DISABLED)
        SecondFactor.objects.update(counter=0)
        laptop.page.get_by_role("button", name="Log in with a passkey").click()
        expect(laptop.page.get_by_role("alert")).to_contain_text("was not accepted")

    def test_one_that_verifies_nobody_is_a_second_factor_alone_and_one_that_was_removed_is_none(
        self, laptop: Laptop
    ) -> None:
        laptop.log_in()
        laptop.add_passkey()
        laptop.log_out()
        laptop.device.verifies(False)
        laptop.page.get_by_role("button", name="Log in with a passkey").click()
        expect(laptop.page.get_by_text("No passkey was used.")).to_be_visible()
        laptop.log_in()
        laptop.page.get_by_role("button", name="Use a passkey").click()
        expect(laptop.page.locator(".me-who")).to_have_text(ANN)
        laptop.open("/me/signing-in/").get_by_role("button", name="Remove Laptop").click()
        expect(laptop.page.get_by_text("is removed.")).to_be_visible()
        laptop.log_out()
        laptop.device.verifies(True)
        laptop.page.get_by_role("button", name="Log in with a passkey").click()
        expect(laptop.page.get_by_role("alert")).to_contain_text("was not accepted")

    def test_what_was_signed_counts_once_and_for_its_owner_alone(self, laptop: Laptop) -> None:
        laptop.log_in()
        laptop.add_passkey()
        laptop.log_out()
        sent: list[str] = []
        laptop.page.on("request", lambda request: sent.append(request.post_data or ""))
        laptop.page.get_by_role("button", name="Log in with a passkey").click()
        expect(laptop.page.locator(".me-who")).to_have_text(ANN)
        [form] = [body for body in sent if "credential=" in body]
        credential = parse_qs(form)["credential"][0]
        assert json.loads(credential)["type"] == "public-key"
        thief = Client()
        thief.post(reverse("portal:login_passkey"))
        assert "was not accepted" in text(thief.post(reverse("portal:login"), {"credential": credential}))
        other = Client()
        log_in(other, BOB)
        assert is_in(other)
        other.post("/me/confirm/passkey/")
        assert other.post("/me/confirm/", {"credential": credential}).status_code == 200
