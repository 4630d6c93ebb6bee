"""What the mail log says of messages that have become entries of the spool: accepted."""

from __future__ import annotations

from collections.abc import Sequence

from spool.events import mail_log
from spool.events.mail_log import Event, id_of
from spool.message.envelope import Submission


def accepted(submissions: Sequence[Submission], file_names: Sequence[str]) -> None:
    """Their rows are committed."""
    if mail_log.is_on():
        mail_log.write_all(map(acceptance, submissions, file_names))


def acceptance(submission: Submission, file_name: str) -> Event:
    """The line of one."""
    envelope = submission.envelope
    # What anybody may write comes last: who looks for a word finds ours first.
    return Event(
        {
            "id": id_of(file_name),
            "event": "accepted",
            "from": envelope.sender or "<>",
            "size": submission.size_bytes,
            "nrcpt": len(envelope.recipients),
            "origin": envelope.origin.value,
            "release": envelope.release.isoformat(timespec="seconds") if envelope.release is not None else "",
            "parent": id_of(submission.parent),
            "session": envelope.session,
            "client": envelope.client_ip,
            "port": envelope.port or "",
            "login": envelope.auth_user,
            "tls": envelope.tls,
            "ehlo": envelope.ehlo_name,
            "msgid": submission.message_id,
        }
    )
