"""What the mail log says of messages that have become entries of the spool: accepted."""

from __future__ import annotations

from collections.abc import Sequence

from spool.envelope import Submission
from spool.events import mail_log
from spool.events.mail_log import Event, id_of


def accepted(submissions: Sequence[Submission], file_names: Sequence[str]) -> None:
    """Their rows are committed."""
    if mail_log.is_on():
        mail_log.write_all(map(acceptance, submissions, file_names))


def acceptance(submission: Submission, file_name: str) -> Event:
    """The line of one."""
    envelope = submission.envelope
    return Event(
        "accepted", id_of(file_name), origin=envelope.origin.value, session=envelope.session,
        parent=id_of(submission.parent), client=envelope.client_ip, port=envelope.port or "",
        ehlo=envelope.ehlo_name, tls=envelope.tls, login=envelope.auth_user,
        **{"from": envelope.sender or "<>"}, nrcpt=len(envelope.recipients), size=submission.size_bytes,
        msgid=submission.message_id,
    )  # fmt: skip
