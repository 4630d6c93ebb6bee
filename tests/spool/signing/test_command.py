"""`manage.py dkim`, as an administrator types it."""

from __future__ import annotations

import json
from functools import partial

import pytest

from accounts import actions
from spool.models import DkimKey, KeyState
from tests.support.commands import Manage, manage_with

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("a_domain")]


@pytest.fixture
def a_domain() -> None:
    actions.add_domain("example.org")


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return partial(manage_with(capsys, monkeypatch, "spool"), "dkim")


def test_a_key_is_added_and_its_record_shown_as_a_line_of_a_zone_file(manage: Manage) -> None:
    added = manage("add", "Example.ORG", "--selector", "s1")
    key = DkimKey.objects.get()
    assert added.status == 0 and added.out.startswith("s1._domainkey.example.org. 3600 IN TXT (")
    strings = added.out.strip().partition("(")[2].rstrip(")").split('" "')
    assert "".join(strings).strip('"') == key.record and max(map(len, strings)) < 256
    assert manage("show").out == added.out
    assert json.loads(manage("list", "--json").out) == [
        {
            "key": "s1._domainkey.example.org",
            "algorithm": "rsa",
            "state": "prepared",
            "record": "not looked for yet",
            "value": key.record,
        }
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "far.test"], "far.test is no domain of this server: add it first."),
        (["add", "no domain"], "is not a valid domain name"),
        (["add", "example.org", "--selector", "a_b"], "'a_b' can't be a selector"),
        (["add", "example.org", "--selector", "a." * 40], "can't be a selector"),
        (["check", "s._domainkey.far.test"], "There is no key s._domainkey.far.test"),
    ],
)
def test_what_can_not_be_is_refused(words: list[str], said: str, manage: Manage) -> None:
    ran = manage(*words)
    assert ran.status == 1 and said in ran.err
    assert not DkimKey.objects.exists()


def test_a_selector_is_used_once(manage: Manage) -> None:
    assert manage("add", "example.org", "--selector", "s1").status == 0
    assert "has a key with the selector s1 already" in manage("add", "example.org", "--selector", "s1").err


def test_only_what_never_signed_or_is_revoked_is_removed(manage: Manage) -> None:
    manage("add", "example.org", "--selector", "s1", "--algorithm", "ed25519")
    name = "s1._domainkey.example.org"
    DkimKey.objects.update(state=KeyState.ACTIVE, active="2026-11-30T05:00Z")
    refused = manage("remove", name)
    assert refused.status == 1 and DkimKey.objects.exists()
    assert manage("retire", name).out == f"{name} signs no more.\n"
    assert DkimKey.objects.get().state == KeyState.RETIRING
    assert manage("remove", name).status == 1
    DkimKey.objects.update(state=KeyState.REVOKED)
    assert manage("show").out == ""
    assert manage("remove", name).status == 0
    assert not DkimKey.objects.exists()
