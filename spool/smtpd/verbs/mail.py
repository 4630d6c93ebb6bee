"""MAIL and RCPT: who may send, to whom, and with which parameters."""

from __future__ import annotations

from collections.abc import Set
from typing import TYPE_CHECKING

from aiosmtpd.smtp import syntax
from django.utils import timezone

from accounts import directory
from accounts.addresses import InvalidAddress, split_address
from spool import addressing
from spool.dsn.xtext import parse_envid, parse_notify, parse_orcpt, parse_ret
from spool.message.envelope import Envelope, EnvelopeRecipient
from spool.message.tls_wish import TLSWish
from spool.models.recipient import Kind
from spool.sender_rewriting import is_rewritten
from spool.smtpd import sender_rights
from spool.smtpd.database import asked
from spool.smtpd.verbs import future_release
from spool.smtpd.verbs.parameters import BadParameter, PathAndParameters, parse_path

if TYPE_CHECKING:
    from spool.smtpd.session import MailSession

_MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8", "AUTH"})
# RFC 3461, for those who may relay: a stranger's wish for notices would have us send mail to whomever they name. To
# strangers the extension is not offered, and its parameters are unknown (RFC 5321 4.1.1.11); a server that hands mail
# over then reports for itself (RFC 3461 5.2.2).
_DSN_OF_MAIL = frozenset({"RET", "ENVID"})
# RFC 8689: offered under TLS only.
_REQUIRETLS = frozenset({"REQUIRETLS"})
_DSN_OF_RCPT = frozenset({"NOTIFY", "ORCPT"})


@syntax("MAIL FROM:<address> [parameters]")
async def mail(session: MailSession, argument: str | None) -> None:
    if not session.ehlo_name:
        await session.refuse("503 5.5.1 Send EHLO first")
    elif session.transaction is not None:
        await session.refuse("503 5.5.1 MAIL was given already; RSET starts anew")
    elif session.port.submission and not session.encrypted:
        await session.refuse("530 5.7.0 Use STARTTLS first")
    elif session.port.submission and session.user is None:
        await session.refuse("530 5.7.0 Log in first")
    else:
        try:
            session.begin_transaction(await _begin(session, parse_path("FROM", argument)))
        except BadParameter as error:
            await session.refuse(error.reply)
        else:
            await session.push("250 2.1.0 Sender accepted")


async def _begin(session: MailSession, path: PathAndParameters) -> Envelope:
    """A new envelope, when the sender may send. Raises BadParameter."""
    parameters = path.parameters
    is_one_of_us = session.is_one_of_us
    longest = session.longest_hold
    known = _MAIL_PARAMETERS | _DSN_OF_MAIL if is_one_of_us else _MAIL_PARAMETERS
    if longest:
        known |= future_release.PARAMETERS
    if session.encrypted:
        known |= _REQUIRETLS
    _check_known(path, known)
    sender = path.address
    utf8 = "SMTPUTF8" in parameters
    if parameters.get("SMTPUTF8"):
        raise BadParameter("501 5.5.4 SMTPUTF8 takes no value")
    if sender:
        sender = _checked(sender, utf8, "553 5.1.7")
    if parameters.get("REQUIRETLS"):
        raise BadParameter("501 5.5.4 REQUIRETLS takes no value")
    _check_size(session, parameters.get("SIZE"))
    body = parameters.get("BODY", "7BIT").upper()
    if body not in ("7BIT", "8BITMIME"):
        raise BadParameter("501 5.5.4 BODY is 7BIT or 8BITMIME")
    reply = await session.shared.checks.refusal("on_mail", session, sender)
    if reply:
        raise BadParameter(str(reply))
    if refusal := await sender_rights.envelope_reply(session, sender):
        raise BadParameter(refusal)
    user = session.user
    try:
        ret = parse_ret(parameters["RET"]) if "RET" in parameters else ""
        envid = parse_envid(parameters["ENVID"]) if "ENVID" in parameters else ""
    except ValueError as error:
        raise BadParameter(f"501 5.5.4 {error}") from error
    return Envelope(
        sender,
        auth_user=user.address if user else "",
        client_ip=session.client_ip,
        ehlo_name=session.ehlo_name,
        ret=ret,
        envid=envid,
        smtputf8=utf8,
        eight_bit=body == "8BITMIME",
        tls=session.tls_in_use,
        port=session.port.number,
        session=session.log_id,
        ours=is_one_of_us,
        tls_wish=TLSWish.REQUIRED if "REQUIRETLS" in parameters else TLSWish.USUAL,
        release=future_release.release_of(parameters, longest, timezone.now()) if longest else None,
    )


def _check_known(path: PathAndParameters, known: Set[str]) -> None:
    """Raises BadParameter."""
    if unknown := path.parameters.keys() - known:
        raise BadParameter(f"555 5.5.4 The parameter {min(unknown)} is not known")


def _check_size(session: MailSession, announced: str | None) -> None:
    """RFC 1870. Raises BadParameter."""
    if announced is None:
        return
    if not (announced.isascii() and announced.isdecimal() and len(announced) <= 20):
        raise BadParameter("501 5.5.4 SIZE is a number of bytes")
    if int(announced) > session.size_limit:
        raise BadParameter(f"552 5.3.4 The message is larger than the limit of {session.size_limit} bytes")


@syntax("RCPT TO:<address> [parameters]")
async def rcpt(session: MailSession, argument: str | None) -> None:
    envelope = session.transaction
    if envelope is None or session.chunks is not None:
        await session.refuse("503 5.5.1 Send MAIL first, and RCPT before BDAT")
        return
    session.recipients_named += 1
    if len(envelope.recipients) >= session.recipient_limit or session.recipients_named > session.recipient_limit:
        # Not an error of the client, which may not know the limit: those it named before still get the message.
        reply = "452 4.5.3 Too many recipients; send the message to the others in another transaction"
        await session.refuse(reply, is_fault=False)
        return
    try:
        recipients = await _recipients(session, parse_path("TO", argument), envelope)
    except BadParameter as error:
        await session.refuse(error.reply, is_fault=error.is_fault)
        return
    for recipient in recipients:
        if recipient.address not in session.known_recipients:
            session.known_recipients.add(recipient.address)
            envelope.recipients.append(recipient)
    await session.push("250 2.1.5 Recipient accepted")


async def _recipients(session: MailSession, path: PathAndParameters, envelope: Envelope) -> list[EnvelopeRecipient]:
    """What the forward-path stands for. Raises BadParameter."""
    if path.parameters:
        _check_known(path, _DSN_OF_RCPT if session.is_one_of_us else frozenset())
    address = path.address
    if address.lower() == "postmaster":
        # RFC 5321 4.1.1.3: postmaster needs no domain.
        address = f"postmaster@{await asked(addressing.own_domain)}"
    address = _checked(address, envelope.smtputf8, "501 5.1.3")
    try:
        notify = parse_notify(path.parameters["NOTIFY"]) if "NOTIFY" in path.parameters else ""
        orcpt = parse_orcpt(path.parameters["ORCPT"]) if "ORCPT" in path.parameters else ""
    except ValueError as error:
        raise BadParameter(f"501 5.5.4 {error}") from error
    reply = await session.shared.checks.refusal("on_rcpt", session, address)
    if reply:
        raise BadParameter(str(reply), is_fault=reply.is_fault)
    try:
        if not envelope.sender and is_rewritten(address):
            recipients = await asked(addressing.accept_from_nobody, address, notify, orcpt)
        else:
            recipients = await _resolve(address, notify, orcpt)
    except addressing.RefusedRecipient as error:
        raise BadParameter(error.reply) from error
    # A remote address that nothing of ours leads to is relaying; `original` names the alias that did.
    if recipients[0].kind is Kind.REMOTE and not recipients[0].original and not _may_relay(session, recipients[0]):
        raise BadParameter(
            f"550 5.7.1 <{address}>: this server does not relay to other domains; log in on the submission port"
        )
    return recipients


async def _resolve(address: str, notify: str, orcpt: str) -> list[EnvelopeRecipient]:
    """`addressing.accept`, without a thread when the directory's cache has the answer."""
    domain = directory.cached_domain(address.rpartition("@")[2])
    if not isinstance(domain, directory.Miss):
        if domain is None and not address.endswith("]"):
            return addressing.accept(address, notify, orcpt)
        if domain and isinstance(directory.cached(address), directory.LocalUser | directory.LocalList):
            return addressing.accept(address, notify, orcpt)
    return await asked(addressing.accept, address, notify, orcpt)


def _may_relay(session: MailSession, recipient: EnvelopeRecipient) -> bool:
    return session.is_one_of_us or (not session.port.submission and session.shared.routes.is_gateway(recipient.domain))


def _checked(address: str, utf8: bool, code: str) -> str:
    """`address` with its domain in A-labels. Raises BadParameter."""
    if not address.isascii() and not utf8:
        raise BadParameter("553 5.6.7 The address needs SMTPUTF8, which MAIL did not ask for")
    try:
        local_part, domain = split_address(address)
    except InvalidAddress as error:
        raise BadParameter(f"{code} {error}") from error
    return f"{local_part}@{domain}"
