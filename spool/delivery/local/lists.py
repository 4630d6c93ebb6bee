"""Mailing lists: who may post, and the message that goes to the members.

The reverse-path becomes the list's own bounce address, so that its owner hears of dead members and never the one who
wrote. The header gets RFC 2369 and RFC 2919 fields and the list's subject prefix, and where need be the list in From.
All else stays as it came, so that the author's signature holds where nothing that it covers was changed.
"""

from __future__ import annotations

import logging
import re
from datetime import datetime
from email.header import Header
from typing import Final
from urllib.parse import quote

from accounts import directory
from accounts.addresses import key_of, normalise_domain
from accounts.directory import LocalList, LocalUser
from accounts.models.lists import PostingPolicy, Unsubscribing
from spool.addressing import RefusedRecipient, accept_many
from spool.delivery.local import list_authors
from spool.delivery.trace_headers import header_line, passed_through, received_line
from spool.message.envelope import Envelope, EnvelopeRecipient, LeasedEntry, Submission, Tail
from spool.message.header import prepended
from spool.message.header import split as split_header
from spool.message.summary import decoded
from spool.message.tls_wish import TLSWish
from spool.models.entry import Origin, Priority
from spool.rows.keys import list_key
from spool.trusted import is_ours

log = logging.getLogger(__name__)

# RFC 5321 4.5.3.1.8 lets a server refuse more than 100 at once; the transport splits by host, this bounds one entry.
MOST_RECIPIENTS: Final = 1000
LONGEST_LINE: Final = 998
_FIELD: Final = re.compile(rb"^([!-9;-~]+)[ \t]*:[^\n]*\n?(?:[ \t][^\n]*\n?)*", re.MULTILINE)
_SUBJECT: Final = re.compile(rb"^(subject[ \t]*:)[ \t]*([^\n]*\n?(?:[ \t][^\n]*\n?)*)", re.IGNORECASE | re.MULTILINE)
_LIST_ID: Final = re.compile(rb"^list-id[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE)
# RFC 2369 4: a list inside a list replaces its parent's fields. Precedence would be doubled.
_REPLACED: Final = frozenset(
    (
        b"list-id",
        b"list-post",
        b"list-unsubscribe",
        b"list-unsubscribe-post",
        b"list-help",
        b"list-subscribe",
        b"list-owner",
        b"list-archive",
        b"precedence",
    )
)


def refusal(mailing_list: LocalList, entry: LeasedEntry) -> str:
    """The reply for a message that must not go to the list, or "" when it may.

    Only a member or the owner may post where the policy says so, known by the address they logged in with or, for
    people elsewhere, by the reverse-path. An address of ours in the reverse-path counts only when the client had to
    prove it: it logged in, or its network may relay; otherwise anybody could write in the owner's name.
    """
    address = mailing_list.address
    if not entry.sender:
        return f"550 5.7.1 <{address}>: a mailing list takes no bounces or automatic replies"
    if mailing_list.posting == PostingPolicy.ANYONE:
        return ""
    allowed = {mailing_list.owner} - {""}
    if mailing_list.posting == PostingPolicy.MEMBERS:
        allowed |= set(mailing_list.members)
    if _posters(entry) & {key_of(name) for name in allowed}:
        return ""
    who = "its members" if mailing_list.posting == PostingPolicy.MEMBERS else "its owner"
    return f"550 5.7.1 <{address}>: only {who} may write to this list; log in and send from the address it knows"


def _posters(entry: LeasedEntry) -> set[str]:
    """The addresses that stand behind a message, as far as they can be believed."""
    sender = key_of(entry.sender)
    if entry.origin == Origin.LIST:
        # A list on a list: it is known by its address, its reverse-path is the one for bounces.
        return {sender, list_key(entry.origin, sender)}
    if entry.auth_user:
        user = directory.lookup(entry.auth_user)
        may_use_sender = isinstance(user, LocalUser) and directory.may_send_as(user, sender)
        return {key_of(entry.auth_user), sender} if may_use_sender else {key_of(entry.auth_user)}
    if is_ours(entry) or directory.local_domain(sender.rpartition("@")[2]) is None:
        return {sender}
    return set()


def is_looping(mailing_list: LocalList, header: bytes) -> bool:
    """Whether the message has been through this list before."""
    if mailing_list.address in passed_through(header):
        return True
    ours = f"<{list_id(mailing_list)}>".encode().lower()
    return any(ours in value.lower() for value in _LIST_ID.findall(header))


def members_of(mailing_list: LocalList) -> list[EnvelopeRecipient]:
    """The members as recipients, each mailbox once. Those that take no mail are left out, and counted in the log."""
    recipients: dict[str, EnvelopeRecipient] = {}
    refused = []
    # A list is where delivery ends for the sender (RFC 3461 5.2.7.2): its bounce address asks for failures.
    for resolved in accept_many(mailing_list.members, notify="FAILURE").values():
        if isinstance(resolved, RefusedRecipient):
            refused.append(resolved.reply)
            continue
        for one in resolved:
            if one.address != mailing_list.address:
                recipients.setdefault(one.address, one)
    if refused:
        log.warning("list %s: %d members take no mail, as: %s", mailing_list.address, len(refused), refused[0])
    return list(recipients.values())


def submissions(
    mailing_list: LocalList,
    entry: LeasedEntry,
    content: bytes,
    recipients: list[EnvelopeRecipient],
    now: datetime,
    tail: Tail | None = None,
    *,
    as_itself: bool = False,
) -> list[Submission]:
    """The messages to `recipients`, at most MOST_RECIPIENTS in each. All share one copy of the bytes.

    `content` is the message; or its header, when the rest is the `tail` of its file. `as_itself` has the list write in
    its own name (spool.delivery.local.list_authors).
    """
    trace = received_line(entry.file_name, mailing_list.address, now)
    message = for_members(mailing_list, content, trace, as_itself=as_itself)
    subject = _prefixed_text(mailing_list.subject_prefix, entry.subject)
    return [
        Submission(
            Envelope(
                mailing_list.bounces_to,
                recipients[start : start + MOST_RECIPIENTS],
                client_ip=entry.client_ip,
                ehlo_name=entry.ehlo_name,
                ours=is_ours(entry),
                origin=Origin.LIST,
                priority=Priority(entry.priority),
                smtputf8=entry.smtputf8
                or not all(a.isascii() for a in (mailing_list.address, mailing_list.bounces_to)),
                eight_bit=entry.eight_bit,
                tls_wish=TLSWish(entry.tls_wish),
            ),
            content=message,
            tail=tail,
            subject=subject,
            message_id=entry.message_id,
            parent=entry.file_name,
        )
        for start in range(0, len(recipients), MOST_RECIPIENTS)
    ]


def for_members(mailing_list: LocalList, content: bytes, trace: bytes, *, as_itself: bool = False) -> bytes:
    """`content` with the list's header fields in front of it, after the `trace` lines."""
    header, rest = split_header(content)
    kept = _FIELD.sub(lambda field: b"" if field[1].lower() in _REPLACED else field[0], header)
    prefix = " ".join(mailing_list.subject_prefix.split())
    added = trace + header_line("Delivered-To", mailing_list.address) + _list_fields(mailing_list)
    if as_itself:
        own, kept = list_authors.rewritten(kept, mailing_list.address)
        added += own
    if prefix:
        found = _SUBJECT.search(kept)
        if found is None:
            added += b"Subject: " + _encoded(prefix) + b"\r\n"
        elif prefix.lower() not in decoded(found[2]).lower():
            kept = kept[: found.start()] + _with_prefix(found, prefix) + kept[found.end() :]
    return prepended(added, kept + rest) + kept + rest


def list_id(mailing_list: LocalList) -> str:
    """RFC 2919's identifier, without its brackets: the address with a dot for its at-sign."""
    local_part, _, domain = mailing_list.address.rpartition("@")
    # The label is a dot-atom: what is neither, as in a quoted local part, is percent-encoded.
    return f"{_LONE_DOT.sub('%2E', quote(local_part, safe=_ATEXT))}.{domain}"


_ATEXT: Final = "!#$&'*+-/=?^_`{|}~."
_LONE_DOT: Final = re.compile(r"^\.|\.(?=\.|$)")


def _list_fields(mailing_list: LocalList) -> bytes:
    address = mailing_list.address
    owner = mailing_list.owner or f"postmaster@{mailing_list.domain}"
    post = "NO" if mailing_list.posting == PostingPolicy.OWNER else f"<mailto:{_in_url(address)}>"
    subject = quote(f"unsubscribe {address}", safe="")
    # Members with a link of their own get theirs in the place of it (spool.flow.list_fields).
    leaving = header_line("List-Unsubscribe", f"<mailto:{_in_url(owner)}?subject={subject}>")
    return b"".join(
        (
            header_line("List-Id", f"<{list_id(mailing_list)}>"),
            header_line("List-Post", post),
            b"" if mailing_list.unsubscribe == Unsubscribing.NONE else leaving,
            header_line("Precedence", "list"),
        )
    )


def _in_url(address: str) -> str:
    """An address as RFC 6068 writes it."""
    local_part, _, domain = address.rpartition("@")
    return f"{quote(local_part, safe='!$*+-.^_`{|}~')}@{normalise_domain(domain)}"


def _with_prefix(subject: re.Match[bytes], prefix: str) -> bytes:
    """The Subject field with `prefix` before its text, which is left as it is, folds and encoded words included."""
    value = subject[2]
    first = b"Subject: " + _encoded(prefix)
    length = len(first) + 1 + len(value.partition(b"\n")[0])
    separator = b"\r\n " if length > LONGEST_LINE and not value.startswith((b"\r", b"\n")) else b" "
    return first + separator + value


def _encoded(prefix: str) -> bytes:
    """The prefix as a header may hold it (RFC 2047)."""
    if prefix.isascii() and prefix.isprintable() and "=?" not in prefix:
        return prefix.encode()
    # White space between two encoded words does not count: the one that sets the prefix off is inside the first.
    return Header(f"{prefix} ", "utf-8", maxlinelen=LONGEST_LINE).encode(linesep="\r\n").encode()


def _prefixed_text(prefix: str, subject: str) -> str:
    prefix = " ".join(prefix.split())
    if not prefix or prefix.lower() in subject.lower():
        return subject
    return f"{prefix} {subject}".strip()[:255]
