"""Passwords that were right a moment ago."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.contrib.auth import hashers

from accounts import directory, logins
from accounts.models import Domain, Status, User

PASSWORD = "correct-horse-battery-staple"


@pytest.fixture
def ann(db: None) -> Iterator[User]:
    logins.forget()
    directory.forget()
    domain = Domain.objects.create(name="example.org")
    yield User.objects.create_user("ann@example.org", PASSWORD, domain=domain)
    logins.forget()
    directory.forget()


@pytest.fixture
def argon2_runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that was really hashed to be compared."""
    runs: list[str] = []
    real = hashers.Argon2PasswordHasher.verify

    def verify(self: hashers.Argon2PasswordHasher, password: str, encoded: str) -> bool:
        runs.append(password)
        return bool(real(self, password, encoded))

    monkeypatch.setattr(hashers.Argon2PasswordHasher, "verify", verify)
    return runs


def test_the_second_login_costs_no_argon2(ann: User, argon2_runs: list[str]) -> None:
    for _ in range(5):
        found = directory.authenticate("ann@example.org", PASSWORD)
        assert found is not None
        assert found.address == "ann@example.org"
    assert argon2_runs == [PASSWORD]


def test_a_wrong_password_is_as_slow_the_second_time(ann: User, argon2_runs: list[str]) -> None:
    assert directory.authenticate("ann@example.org", PASSWORD)
    for _ in range(2):
        assert directory.authenticate("ann@example.org", "wrong") is None
    assert argon2_runs == [PASSWORD, "wrong", "wrong"]


def test_an_old_password_ends_at_once_when_it_is_changed(ann: User) -> None:
    assert directory.authenticate("ann@example.org", PASSWORD)
    # Not through save(): no signal, no new version of the directory.
    User.objects.filter(pk=ann.pk).update(password=hashers.make_password("another-long-password"))
    assert directory.authenticate("ann@example.org", PASSWORD) is None
    assert directory.authenticate("ann@example.org", "another-long-password")


@pytest.mark.parametrize("status", [Status.DISABLED, Status.RECEIVING])
def test_a_user_who_may_not_send_is_refused_at_once(ann: User, status: Status) -> None:
    assert directory.authenticate("ann@example.org", PASSWORD)
    User.objects.filter(pk=ann.pk).update(status=status)
    assert directory.authenticate("ann@example.org", PASSWORD) is None


def test_the_users_of_a_disabled_domain_are_refused_at_once(ann: User) -> None:
    assert directory.authenticate("ann@example.org", PASSWORD)
    Domain.objects.update(status=Status.DISABLED)
    assert directory.authenticate("ann@example.org", PASSWORD) is None


def test_two_users_with_one_password_are_not_mistaken_for_each_other(ann: User, argon2_runs: list[str]) -> None:
    User.objects.create_user("bob@example.org", PASSWORD, domain=ann.domain)
    assert directory.authenticate("ann@example.org", PASSWORD)
    found = directory.authenticate("bob@example.org", PASSWORD)
    assert found is not None
    assert found.address == "bob@example.org"
    assert len(argon2_runs) == 2


def test_a_login_is_checked_anew_after_a_while(
    ann: User, argon2_runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert logins.is_right(ann, PASSWORD)
    assert logins.is_right(ann, PASSWORD)
    assert len(argon2_runs) == 1
    later = time.monotonic() + logins.REMEMBERED_SECONDS + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert logins.is_right(ann, PASSWORD)
    assert len(argon2_runs) == 2


def test_the_memory_has_an_end(ann: User, monkeypatch: pytest.MonkeyPatch, argon2_runs: list[str]) -> None:
    monkeypatch.setattr(logins._right._members, "most", 1)
    bob = User.objects.create_user("bob@example.org", PASSWORD, domain=ann.domain)
    for user in (ann, bob, ann):
        assert logins.is_right(user, PASSWORD)
    assert len(argon2_runs) == 3
