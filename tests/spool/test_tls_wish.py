"""What a sender wants of TLS stays with the message, whatever becomes of that; and with what comes of it (RFC 8689)."""

from __future__ import annotations

import pytest

from spool.actions import Actor, perform, undo
from spool.dropfolder.dropped import read_message
from spool.flow import intake
from spool.message.tls_wish import TLSWish, wish_in
from spool.models import Entry, Trace
from spool.transfer import envelopes
from tests.spool.passing import ANN, FAR, Spool
from tests.support.messages import a_submission

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home")]
TO = f"someone@{FAR}"
SHELL = Actor.at_the_shell()


def a_message_that_requires_tls() -> Entry:
    submission = a_submission(ANN, TO)
    submission.envelope.auth_user = ANN
    submission.envelope.tls_wish = TLSWish.REQUIRED
    [name] = intake.accept([submission])
    return Entry.objects.get(file_name=name)


def test_deleted_and_put_back_exported_and_imported_it_is_kept() -> None:
    entry = a_message_that_requires_tls()
    event = perform("delete", [entry.pk], SHELL, background=False).event
    undo(SHELL, event_id=event.pk, background=False)
    assert Entry.objects.get().tls_wish == "required"
    columns = {**vars(entry), "created": entry.created.isoformat()}
    assert envelopes.read(envelopes.written(columns, [], {})).tls_wish is TLSWish.REQUIRED
    # Of a version that did not know it.
    assert envelopes.read({"sender": ANN, "recipients": [TO]}).tls_wish is TLSWish.USUAL


def test_what_can_not_go_on_comes_back_and_the_notice_is_protected_alike(spool: Spool) -> None:
    a_message_that_requires_tls()
    spool.work()
    trace = Trace.objects.get(recipient=TO)
    assert (trace.outcome, trace.reply) == (
        "bounced",
        f"nothing proves the mail hosts of {FAR}, as the sender requires (REQUIRETLS)",
    )
    [notice] = spool.mailbox()
    assert "Status: 5.7.30" in notice.as_string()
    # To a sender elsewhere it goes under the same condition, or not at all (RFC 8689 5).
    submission = a_submission(f"far-away@{FAR}", TO)
    submission.envelope.tls_wish = TLSWish.REQUIRED
    intake.accept([submission])
    spool.work()
    spool.work()
    assert "REQUIRETLS" in Trace.objects.get(recipient=f"far-away@{FAR}").reply
    assert spool.peer.taken == []


def test_the_field_counts_in_dropped_files_too() -> None:
    [name] = intake.accept([read_message(f"From: {ANN}\nTo: {TO}\nTLS-Required: No\n\nhi\n".encode()).submission])
    assert Entry.objects.get(file_name=name).tls_wish == "optional"


def test_a_field_that_is_far_down_in_a_body_is_none() -> None:
    assert wish_in(b"Subject: x\r\n\r\nTLS-Required: No\r\n") is TLSWish.USUAL
