"""Answers that nobody's passkey has signed. What one does sign is in tests/sign_in/browser."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import SecondFactor
from security.models import FailedLogin
from tests.sign_in.conftest import ANN, browser, is_in, text

RESPONSELESS = '{"id": "a", "rawId": "a", "type": "public-key", "response": {}}'


@pytest.mark.parametrize("answer", ["", "{}", "[]", "null", "x" * 100_000, RESPONSELESS])
def test_an_answer_that_is_none_is_wrong_and_counted(answer: str) -> None:
    client = Client()
    client.post(reverse("portal:login_passkey"))
    assert "was not accepted" in text(client.post(reverse("portal:login"), {"credential": answer}))
    assert not is_in(client) and FailedLogin.objects.count() == 1
    own = browser()
    own.post(reverse("portal:passkey_to_add"))
    own.post(reverse("portal:add_passkey"), {"credential": answer, "name": "x"})
    assert not SecondFactor.objects.exists()


def test_the_question_names_nobody() -> None:
    asked = [Client().post(reverse("portal:login_passkey")).json() for _ in range(2)]
    assert asked[0]["challenge"] != asked[1]["challenge"]
    assert all(not one.get("allowCredentials") and one["userVerification"] == "required" for one in asked)


def test_what_is_made_is_for_this_host_and_does_not_know_its_owners_address() -> None:
    asked = browser().post(reverse("portal:passkey_to_add")).json()
    assert asked["rp"]["id"] == "testserver"
    assert asked["user"]["name"] == ANN and ANN not in str(asked["user"]["id"])
