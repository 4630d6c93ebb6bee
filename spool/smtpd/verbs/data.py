"""DATA and BDAT: the message itself, judged as a whole and handed to intake."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from aiosmtpd.smtp import syntax

from spool.files import store
from spool.flow.intake import IntakeError
from spool.message import header
from spool.message.envelope import Envelope, Submission
from spool.message.summary import summary_of
from spool.message.tls_wish import wish_in
from spool.monitoring import tally
from spool.smtpd import sender_rights
from spool.smtpd.received import Way, protocol_of, trace_header
from spool.smtpd.verbs.reader import CHUNK_BYTES, Body, read_data, refusal_for

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession


@syntax("DATA")
async def data(session: MailSession, argument: str | None) -> None:
    envelope = session.transaction
    if argument:
        await session.refuse("501 5.5.4 Syntax: DATA")
    elif envelope is None or session.chunks is not None:
        await session.refuse("503 5.5.1 Send MAIL and RCPT first, and no BDAT")
    elif not envelope.recipients:
        await session.refuse("554 5.5.1 No valid recipients")
    else:
        reply = await session.shared.checks.refusal("on_data", session)
        if reply:
            await session.refuse(str(reply))
            return
        await session.push("354 Send the message, end it with a dot on its own line")
        body = Body(session.size_limit, partial(_top, session, envelope))
        try:
            rest = await read_data(session.reader, body, session.renew_for_data)
        except BaseException:
            body.discard()
            raise
        session.push_back(rest)
        await _take(session, envelope, body)


@syntax("BDAT size [LAST]")
async def bdat(session: MailSession, argument: str | None) -> None:
    """RFC 3030 CHUNKING. Each chunk is read to its end whatever becomes of it, or the dialogue would be lost."""
    size, *more = (argument or "").upper().split() or [""]
    if not (size.isascii() and size.isdecimal() and len(size) <= 20) or more not in ([], ["LAST"]):
        # Where the chunk ends is not known: what follows can't be told from commands.
        await session.refuse("501 5.5.4 Syntax: BDAT size [LAST]; closing the connection")
        session.close()
        return
    envelope = session.transaction
    problem = ""
    if envelope is None or not envelope.recipients:
        problem = "503 5.5.1 Send MAIL and RCPT first"
    elif session.chunks is None:
        reply = await session.shared.checks.refusal("on_data", session)
        problem = str(reply) if reply else ""
    if envelope is None or problem:
        await _skip(session, int(size))
        # None of the chunks that follow may be taken for the beginning of the message.
        session.forget_transaction()
        await session.refuse(problem)
        return
    body = session.chunks = session.chunks or Body(session.size_limit, partial(_top, session, envelope))
    await _read_chunk(session, int(size), body)
    if more:
        await _take(session, envelope, body)
    else:
        await session.push(f"250 2.0.0 {size} octets received")


async def _read_chunk(session: MailSession, left: int, body: Body) -> None:
    while left:
        piece = await session.reader.read(min(left, CHUNK_BYTES))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(piece)
        session.renew_for_data(len(piece))
        await body.add(piece)


async def _skip(session: MailSession, left: int) -> None:
    """Read a chunk that nobody wants; Body sees to it that this has an end."""
    await _read_chunk(session, left, Body(0))


async def _take(session: MailSession, envelope: Envelope, body: Body) -> None:
    """Judge the whole message and hand it to intake; 250 only when it is durable."""
    session.transaction, session.chunks = None, None
    if not body.problem and body.size > len(body.head) and not header.is_whole(body.head):
        body.problem = "552 5.3.4 The header of the message is larger than 256 KB"
    if not body.problem and header.hops(header.block(body.head)) > session.shared.settings.max_hops:
        body.problem = "554 5.4.6 The message has come through too many servers: a mail loop"
    # From here on the client's leaving changes nothing: the message is whole.
    session.deciding = True
    try:
        reply = await _decide(session, envelope, body)
    finally:
        session.deciding = False
    if session.transport is None:
        return
    if not reply.startswith("250"):
        await session.refuse(reply, envelope=envelope)
        return
    session.renew()
    await session.push(reply)


async def _decide(session: MailSession, envelope: Envelope, body: Body) -> str:
    """Store the message; the reply that it gets."""
    content, spilled = None, None
    if not body.problem:
        body.problem = await sender_rights.header_reply(session, envelope, body.head)
    if not body.problem:
        refusal = await session.shared.checks.refusal("on_message", session, envelope, body.size)
        body.problem = str(refusal) if refusal else ""
    if not body.problem:
        try:
            content, spilled = await body.finish()
        except OSError as error:
            body.problem = refusal_for(error)
    if body.problem:
        body.discard()
        return body.problem
    subject, message_id = summary_of(body.head)
    # Some clients don't declare it; to the next host we do (RFC 6152).
    envelope.eight_bit = envelope.eight_bit or body.eight_bit
    # The field counts for nothing where the session asked for the opposite (RFC 8689 3).
    envelope.tls_wish = envelope.tls_wish or wish_in(body.head)
    submission = Submission(envelope, content, spilled, subject=subject, message_id=message_id)
    taken = False
    try:
        refusal = await session.shared.checks.refusal("on_content", session, submission)
        taken = refusal is None
    finally:
        # Refused, or the connection was dropped while a check thought about it.
        if spilled is not None and not taken:
            store.unlink(spilled)
    if refusal is not None:
        return str(refusal)
    try:
        await session.shared.uploads.store(submission)
        name = await session.shared.committer.submit(submission, session.shared.connections)
    except IntakeError as error:
        return error.reply
    session.messages += 1
    tally.add(tally.TAKEN)
    session.idle_commands = 0
    return f"250 2.0.0 Taken as {name}"


def _top(session: MailSession, envelope: Envelope, head: bytes) -> bytes:
    """What we put before the message that begins with `head`."""
    recipients = envelope.recipients
    protocol = protocol_of(
        extended=session.extended,
        utf8=envelope.smtputf8,
        encrypted=session.encrypted,
        authenticated=session.user is not None,
    )
    way = Way(
        session.ehlo_name,
        session.client_ip,
        session.hostname,
        protocol,
        recipients[0].original or recipients[0].address if len(recipients) == 1 else "",
    )
    return trace_header(way, head, complete=session.port.submission)
