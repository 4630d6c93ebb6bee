"""Which mail is signed, by whom, and that it arrives so: real passes, a host that takes it, dkimpy as its verifier."""

from __future__ import annotations

import re
from collections.abc import Iterator

import dkim
import pytest
from django.utils import timezone

from accounts.models import Domain
from spool.flow import intake
from spool.models import DkimKey, KeyState
from spool.models.entry import Origin
from spool.models.recipient import Kind
from spool.signing import lifecycle, ring
from tests.spool.passing import ANN, FAR, HERE, Spool
from tests.support.messages import a_submission

BOB = f"bob@{FAR}"


@pytest.fixture(autouse=True)
def _no_key_is_kept() -> Iterator[None]:
    ring.forget()
    yield
    ring.forget()


def a_key(domain: str = HERE, algorithm: str = "rsa", state: KeyState = KeyState.ACTIVE) -> DkimKey:
    key = lifecycle.make(domain, algorithm, timezone.now())
    key.state, key.active = state, timezone.now()
    key.save()
    ring.forget()
    return key


def content(author: str = ANN, body: bytes = b"Hello\r\n..dots\r\n") -> bytes:
    return f"From: {author}\r\nTo: {BOB}\r\nSubject: Lunch\r\n\r\n".encode() + body


def take(spool: Spool, message: bytes, sender: str = ANN, user: str = ANN, origin: Origin = Origin.SMTP) -> None:
    submission = a_submission(sender, BOB, Kind.REMOTE, content=message)
    submission.envelope.auth_user, submission.envelope.origin = user, origin
    submission.envelope.client_ip = "192.0.2.9"
    submission.envelope.ours = None
    intake.accept([submission])
    spool.work()


def arrived(spool: Spool) -> bytes:
    [taken] = spool.peer.taken
    return taken.content


def signers(message: bytes) -> list[str]:
    header = message.partition(b"\r\n\r\n")[0]
    return [found.decode() for found in re.findall(rb"DKIM-Signature:[^=]*=1;[^\r]*\r\n\td=([^;]+);", header)]


def is_good(message: bytes, *keys: DkimKey) -> bool:
    records = {f"{key.name}.".encode(): key.record.encode() for key in keys}
    verifier = dkim.DKIM(message)
    return all(
        verifier.verify(idx=number, dnsfunc=lambda name, timeout=5: records[name]) for number in range(len(keys))
    )


@pytest.mark.parametrize(
    "body", [b"Hello\r\n..dots\r\n", b"", b"x" * 3_000_000 + b"\r\n\r\n"], ids=["small", "empty", "3 MB"]
)
def test_a_users_mail_arrives_signed_by_all_keys_of_the_domain(body: bytes, spool: Spool) -> None:
    keys = [a_key(algorithm="ed25519"), a_key()]
    take(spool, content(body=body))
    message = arrived(spool)
    assert signers(message) == [HERE, HERE]
    assert (
        b"a=rsa-sha256"
        in message.partition(
            b"DKIM-Signature",
        )[2][:60]
    )
    assert is_good(message, *reversed(keys))
    assert message.endswith(content(body=body))


@pytest.mark.parametrize("state", [KeyState.PREPARED, KeyState.PUBLISHED, KeyState.RETIRING, KeyState.REVOKED])
def test_only_active_keys_sign(state: KeyState, spool: Spool) -> None:
    a_key(state=state)
    take(spool, content())
    assert signers(arrived(spool)) == []


@pytest.mark.parametrize(
    ("author", "user", "ours"),
    [
        (ANN, "", False),
        (f"eve@{FAR}", ANN, False),
        (f"{ANN}, eve@{FAR}", ANN, False),
        (f"{ANN}\r\nFrom: eve@{FAR}", ANN, False),
        (f"Ann of eve@{FAR} <{ANN}>", ANN, False),
        (f'"eve@{FAR}" <{ANN}>', ANN, True),
        (f"{ANN.upper()}", ANN, True),
        (f"ann@sub.{HERE}", ANN, False),
    ],
    ids=["a stranger", "of elsewhere", "two authors", "two fields", "two addresses", "quoted", "case", "below it"],
)
def test_only_for_whom_it_is_from(author: str, user: str, ours: bool, spool: Spool) -> None:
    a_key()
    take(spool, content(author), user=user)
    assert signers(arrived(spool)) == ([HERE] if ours else [])


def test_what_the_host_itself_sends_is_signed_by_its_domain(spool: Spool, settings: object) -> None:
    settings.MAILSPOOL_HOSTNAME = "mail.host.test"  # type: ignore[attr-defined]
    key = a_key("host.test")
    take(spool, content("postmaster@mail.host.test"), sender="", user="", origin=Origin.DSN)
    assert signers(arrived(spool)) == ["host.test"]
    assert is_good(arrived(spool), key)


@pytest.mark.parametrize("chosen", [True, False])
def test_the_host_signs_for_domains_without_a_key_if_that_is_chosen(
    chosen: bool, spool: Spool, settings: object
) -> None:
    settings.MAILSPOOL_HOSTNAME = "mail.host.test"  # type: ignore[attr-defined]
    a_key("host.test")
    spool.settings(dkim_host_signs=chosen)
    take(spool, content())
    assert signers(arrived(spool)) == (["host.test"] if chosen else [])


def test_a_strangers_mail_is_signed_by_the_mailbox_that_forwards_it_not_in_the_strangers_name(spool: Spool) -> None:
    key = a_key()
    Domain.objects.create(name="other.test")
    a_key("other.test")
    submission = a_submission("eve@other.test", BOB, Kind.REMOTE, content=content("eve@other.test"))
    submission.envelope.origin, submission.envelope.ours = Origin.FORWARD, False
    submission.envelope.recipients[0].original = ANN
    intake.accept([submission])
    spool.work()
    assert signers(arrived(spool)) == [HERE]
    assert is_good(arrived(spool), key)


@pytest.mark.parametrize(
    ("author", "ours", "by"),
    [
        ("eve@stranger.test", False, [HERE]),
        ("ann@other.test", True, ["other.test", HERE]),
        (ANN, True, [HERE]),
    ],
    ids=["a stranger", "one of ours of another domain", "one of its domain"],
)
def test_a_list_answers_for_its_fields_and_a_domain_of_ours_for_its_author(
    author: str, ours: bool, by: list[str], spool: Spool
) -> None:
    Domain.objects.create(name="other.test")
    keys = {HERE: a_key(), "other.test": a_key("other.test")}
    message = b"List-Id: <news.here.test>\r\nList-Unsubscribe: <mailto:x@here.test>\r\n" + content(author)
    submission = a_submission(f"news-bounces@{HERE}", BOB, Kind.REMOTE, content=message)
    submission.envelope.origin, submission.envelope.ours = Origin.LIST, ours
    intake.accept([submission])
    spool.work()
    assert signers(arrived(spool)) == by
    assert is_good(arrived(spool), *(keys[name] for name in by))
    signed = re.sub(rb"\s", b"", arrived(spool).partition(b" h=")[2].partition(b";")[0]).split(b":")
    assert signed.count(b"list-id") == signed.count(b"list-unsubscribe") == 2
    assert b"list-unsubscribe-post" not in signed


def test_a_key_that_can_not_be_read_lets_mail_go_unsigned(spool: Spool, caplog: pytest.LogCaptureFixture) -> None:
    key = a_key()
    DkimKey.objects.filter(pk=key.pk).update(sealed_private_key="gAAAAAnonsense")
    take(spool, content())
    assert signers(arrived(spool)) == []
    assert f"mail of {HERE} is not signed with the key {key.selector}" in caplog.text
