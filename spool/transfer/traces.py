"""What of an outcome is written into files (spool.transfer.streamed), and read by programs."""

from __future__ import annotations

from typing import Any, Final

from spool.models import Trace

COLUMNS: Final = (
    *("ended", "created", "file_name", "sender", "recipient", "original", "outcome", "reply", "host", "auth_user"),
    *("client_ip", "ehlo_name", "tls", "port", "subject", "message_id", "size_bytes", "attempts"),
)


def as_values(trace: Trace) -> dict[str, Any]:
    """An outcome for programs, by the names of its columns; times in ISO 8601."""
    values = {name: getattr(trace, name) for name in COLUMNS}
    return {**values, "ended": trace.ended.isoformat(), "created": trace.created.isoformat()}
