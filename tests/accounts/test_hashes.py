"""Passwords that were hashed on another server: which can be taken over, and what becomes of them at a login."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth import hashers
from django.db import OperationalError

from accounts import directory, logins
from accounts.models import Domain, Status, User
from accounts.passwords import schemes

PASSWORD = "correct horse ü"
# As Dovecot's `doveadm pw` wrote them, and PHP's password_hash the second.
HASHES = {
    "BLF-CRYPT": "$2y$05$CrExKd0xV7B49LA9TzsA2OctNtV9w/WSdReuQpbqjKcaHGlhCTDeS",
    "SHA512-CRYPT": "$6$k3A6KVcDDj9J4rI3$2TK7t06q6J7S7tPBYkiAQScffURU.r6hcW7dOeCJz9z9F7l4our1wRkxSTPsb10bfFqjar2q2472"
    "fH0wqBOGK1",
    "SHA256-CRYPT": "$5$39rUlislseAo0WEN$vhZHZOe24xnrCp2h8ti6a9QFsDS/D9LWm7vrXbAduMB",
    "ARGON2ID": "$argon2id$v=19$m=65536,t=3,p=1$/qkkv3GUhbRsWTdTfl0Jow$dKy4holZIYmQETL0yJlzmSurwpn8T+TnhvH8uEz8OAY",
    "ARGON2I": "$argon2i$v=19$m=32768,t=4,p=1$+vsBcK8XJLzirZRmn8LDCg$0LLBAxGNd/JkiMdZ7jEM+aZFpwwoyh0U/2frz97iuVo",
}


def _stored(text: str) -> str:
    stored = schemes.read(text)
    assert stored is not None
    return stored.text


@pytest.fixture
def user(db: None) -> Iterator[Callable[[str], User]]:
    """Makes a user with a value in the password column."""
    logins.forget()
    directory.forget()
    domain = Domain.objects.create(name="example.org")
    yield lambda stored: User.objects.create(email="ann@example.org", domain=domain, password=stored)
    logins.forget()
    directory.forget()


@pytest.mark.parametrize("scheme", HASHES)
def test_each_scheme_is_checked_and_comes_out_as_it_came_in(scheme: str) -> None:
    stored = _stored(f"{{{scheme}}}{HASHES[scheme]}")
    assert hashers.check_password(PASSWORD, stored)
    assert not hashers.check_password(PASSWORD + "x", stored)
    assert schemes.written(stored) == f"{{{scheme}}}{HASHES[scheme]}"
    assert _stored(HASHES[scheme]) == stored, "the scheme can be told from the hash"


@pytest.mark.parametrize("scheme", ["BLF-CRYPT", "SHA512-CRYPT", "SHA256-CRYPT"])
def test_what_crypt_reads_may_be_named_crypt(scheme: str) -> None:
    assert _stored(f"{{crypt}}{HASHES[scheme]}") == _stored(HASHES[scheme])


@pytest.mark.parametrize("scheme", [scheme for scheme in HASHES if "CRYPT" in scheme])
@pytest.mark.parametrize("password", ["a\0b", "x" * 100_000, "\ud800", "", "p" * 73])
def test_a_password_that_the_kind_can_not_have_is_a_wrong_one(scheme: str, password: str) -> None:
    assert not hashers.check_password(password, _stored(HASHES[scheme]))


def test_bcrypt_looks_at_72_bytes_as_it_does_everywhere() -> None:
    import bcrypt

    hashed = bcrypt.hashpw(b"p" * 72, bcrypt.gensalt(4)).decode()
    assert hashers.check_password("p" * 90, _stored(f"{{BLF-CRYPT}}{hashed}"))


@pytest.mark.parametrize("scheme", HASHES)
def test_the_first_login_hashes_it_by_argon2_and_the_next_still_works(scheme: str, user: Callable[[str], User]) -> None:
    ann = user(_stored(HASHES[scheme]))
    assert directory.authenticate("ann@example.org", PASSWORD) is not None
    ann.refresh_from_db()
    preferred = hashers.get_hasher()
    assert ann.password.startswith("argon2$argon2id$")
    assert not preferred.must_update(ann.password)
    logins.forget()
    assert directory.authenticate("ann@example.org", PASSWORD) is not None
    assert directory.authenticate("ann@example.org", "wrong") is None


def test_a_login_to_the_console_hashes_it_anew_too(user: Callable[[str], User]) -> None:
    ann = user(_stored(HASHES["SHA512-CRYPT"]))
    backend = "django.contrib.auth.backends.ModelBackend"
    from django.utils.module_loading import import_string

    assert import_string(backend)().authenticate(None, username="ann@example.org", password=PASSWORD) == ann
    ann.refresh_from_db()
    assert ann.password.startswith("argon2$")


def test_a_wrong_password_and_a_disabled_user_change_nothing(user: Callable[[str], User]) -> None:
    ann = user(_stored(HASHES["SHA512-CRYPT"]))
    before = ann.password
    assert directory.authenticate("ann@example.org", "wrong") is None
    User.objects.update(status=Status.RECEIVING)
    assert directory.authenticate("ann@example.org", PASSWORD) is None
    ann.refresh_from_db()
    assert ann.password == before


def test_a_password_that_is_changed_meanwhile_is_not_put_back(user: Callable[[str], User]) -> None:
    ann = user(_stored(HASHES["SHA512-CRYPT"]))
    User.objects.update(password=hashers.make_password("a newer password"))
    assert ann.check_password(PASSWORD), "it was read before the change"
    ann.refresh_from_db()
    assert hashers.check_password("a newer password", ann.password)


def test_a_database_that_takes_nothing_keeps_nobody_out(
    user: Callable[[str], User], monkeypatch: pytest.MonkeyPatch
) -> None:
    user(_stored(HASHES["SHA512-CRYPT"]))

    def full(*args: object, **kwargs: object) -> int:
        raise OperationalError("cannot execute UPDATE in a read-only transaction")

    monkeypatch.setattr("django.db.models.query.QuerySet.update", full)
    assert directory.authenticate("ann@example.org", PASSWORD) is not None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{SSHA512}abc", "scheme {SSHA512} can't be checked here"),
        ("{SSHA512.HEX}abc", "scheme {SSHA512.HEX}"),
        ("{CRYPT}$1$salt$hash", "what follows {CRYPT}"),
        ("{CRYPT}$y$j9T$salt$hash", "what follows {CRYPT}"),
        ("secret", "write {PLAIN} before"),
        (f"{{SHA512-CRYPT}}{HASHES['SHA256-CRYPT']}", "what follows {SHA512-CRYPT}"),
        (HASHES["SHA512-CRYPT"][:-1], "damaged"),
        ("$2y$99$CrExKd0xV7B49LA9TzsA2OctNtV9w/WSdReuQpbqjKcaHGlhCTDeS", "cost of 99"),
        ("$2y$15$CrExKd0xV7B49LA9TzsA2OctNtV9w/WSdReuQpbqjKcaHGlhCTDeS", "cost of 15"),
        (HASHES["SHA512-CRYPT"].replace("$6$", "$6$rounds=999999999$"), "999,999,999 rounds"),
        (HASHES["ARGON2ID"].replace("m=65536", "m=99999999"), "97,656 MB of memory 3 times"),
        (HASHES["ARGON2ID"].replace("t=3", "t=1000000000"), "MB of memory 1,000,000,000 times"),
        (HASHES["ARGON2ID"].replace("p=1", "p=0"), "damaged"),
        ("{PLAIN}", "in the clear is empty"),
        ("{" * 100_000, "write {PLAIN}"),
    ],
)
def test_what_can_not_be_checked_or_costs_too_much_is_refused_with_the_reason(text: str, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(schemes.BadHash) as refused:
        schemes.read(text)
    assert reason in str(refused.value)
    assert time.monotonic() - began < 5
    assert text[-20:] not in str(refused.value) or len(text) < 20


@pytest.mark.parametrize("text", schemes.LOCKED)
def test_a_locked_password_is_nobodys(text: str) -> None:
    assert schemes.read(text) is None


def test_a_password_in_the_clear_is_told_from_a_hash() -> None:
    assert schemes.read("{plain}correct {x}") == schemes.Stored("correct {x}", is_plain=True)


def test_the_longest_hash_fits_the_column() -> None:
    longest = f"$6$rounds={schemes.MOST_SHA2_ROUNDS}$" + "s" * 16 + "$" + "a" * 86
    assert len(_stored(longest)) <= User._meta.get_field("password").max_length
