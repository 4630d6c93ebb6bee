"""Whom users allow and block, each for their own mailbox, and what that makes of a message for each of its recipients.

A sender is the envelope's, or the author whom people read in From. Of several entries about one the nearest counts: an
address before its domain, a domain before those above it. A block counts whoever it is; who is allowed has to prove to
be it, or the next entry counts. Nothing here looks at, or decides for, any recipient but the one who listed the sender.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeVar

from accounts import directory
from accounts.addresses import key_of
from accounts.directory import LocalUser
from base.batches import batched
from quarantine.engines.examined import HEAD_BYTES, Examined
from quarantine.models.antispam import AntispamSettings
from quarantine.models.listed import ListedSender, Listing, any_listed
from quarantine.spam.trusted_senders import author_voucher, voucher
from spool.message import authors
from spool.message.envelope import LeasedEntry, Submission
from spool.message.header import Header
from spool.models.recipient import Kind

T = TypeVar("T")

# Of a From with more authors, and of a domain with more above it, the rest is not looked for.
_MOST_AUTHORS: Final = 8
_MOST_ABOVE: Final = 8
_MOST_ASKED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Names:
    """Whom a message says that it is from, as keys: in its envelope, and in From."""

    sender: str
    authors: tuple[str, ...] = ()

    @classmethod
    def of(cls, sender: str, header: Header) -> Names:
        try:
            found = authors.of_from(header)
        except authors.Unclear:
            found = []
        return cls(key_of(sender), tuple(map(key_of, found[:_MOST_AUTHORS])))

    @property
    def patterns(self) -> set[str]:
        """The entries that could be about it."""
        return {pattern for name in (self.sender, *self.authors) for pattern in _patterns_of(name)}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list says of a message: by which pattern, and whether that is its sender or (`author`) who is in From."""

    mailbox: str
    pattern: str
    blocks: bool
    by_sender: bool
    author: str = ""


# By the recipient: the entries that are about a message, the nearest first.
Lists = Mapping[int, Sequence[Entry]]


class Proofs:
    """Whether one message is from whom it says: found out when the first entry asks. `own`: by one of us, as theirs."""

    def __init__(self, examined: Examined, *, own: bool = False) -> None:
        self._examined = examined
        self._own = own
        self._known: dict[str, bool] = {}

    async def cover(self, entry: Entry) -> bool:
        """Raises FileNotFoundError when the message is gone."""
        return (entry.by_sender and await self._of_sender()) or (
            bool(entry.author) and await self._of_author(entry.author)
        )

    async def _of_sender(self) -> bool:
        if "" not in self._known:
            self._known[""] = self._own if self._examined.ours else bool(await voucher(self._examined))
        return self._known[""]

    async def _of_author(self, author: str) -> bool:
        if self._examined.ours:
            return self._own and author == key_of(self._examined.sender)
        if author not in self._known:
            self._known[author] = bool(await author_voucher(self._examined, author))
        return self._known[author]


async def decided(lists: Lists, proofs: Proofs) -> dict[int, Entry]:
    """The entry that counts, for each recipient for whom one does. Raises FileNotFoundError."""
    found = {}
    for recipient, entries in lists.items():
        for entry in entries:
            if entry.blocks or await proofs.cover(entry):
                found[recipient] = entry
                break
    return found


def unproven(lists: Lists) -> dict[int, Entry]:
    """The same where nobody could prove anything: what blocks."""
    first = {recipient: next((one for one in entries if one.blocks), None) for recipient, entries in lists.items()}
    return {recipient: one for recipient, one in first.items() if one is not None}


def lists_of(batch: Sequence[LeasedEntry], settings: AntispamSettings) -> dict[int, Lists]:
    """What the lists of their recipients say of messages, by the messages' ids. No query while nobody has one."""
    if not settings.users_choose or not any_listed():
        return {}
    names, recipients = {}, {}
    for one in batch:
        here = {recipient.id: recipient.address for recipient in one.recipients if recipient.kind is Kind.LOCAL}
        if not here:
            continue
        try:
            names[one.id] = Names.of(one.sender, Header.of(one.read_head(HEAD_BYTES)))
        except FileNotFoundError:
            # Delivery says so, and the entry waits; the doctor finds it.
            continue
        recipients[one.id] = here
    return _found(names, recipients)


def lists_of_submission(submission: Submission, examined: Examined, settings: AntispamSettings) -> Lists:
    """The same of a message that is still in its session; recipients by their places in the envelope."""
    if not settings.users_choose or not any_listed():
        return {}
    envelope = submission.envelope
    here = {place: one.address for place, one in enumerate(envelope.recipients) if one.kind is Kind.LOCAL}
    return _found({0: Names.of(envelope.sender, examined.fields)}, {0: here}).get(0, {}) if here else {}


def _found(names: Mapping[int, Names], recipients: Mapping[int, Mapping[int, str]]) -> dict[int, Lists]:
    """One query for all of them; whose mailboxes they are, the directory keeps in memory."""
    addresses = {address for here in recipients.values() for address in here.values()}
    users = {
        address: user for address, user in directory.resolve_many(addresses).items() if isinstance(user, LocalUser)
    }
    listed = _listed({user.id for user in users.values()}, {one for name in names.values() for one in name.patterns})
    if not listed:
        return {}
    found: dict[int, Lists] = {}
    for message, name in names.items():
        about = {
            recipient: entries
            for recipient, address in recipients[message].items()
            if (user := users.get(address)) is not None
            and (entries := _about(name, user.address, listed.get(user.id, {})))
        }
        if about:
            found[message] = about
    return found


def _listed(user_ids: set[int], patterns: set[str]) -> dict[int, dict[str, bool]]:
    """Which of the patterns users have listed, and whether they block them."""
    listed: dict[int, dict[str, bool]] = {}
    for users, names in product(_pieces(user_ids), _pieces(patterns)):
        rows = ListedSender.objects.filter(user_id__in=users, pattern__in=names).order_by()
        for user_id, pattern, listing in rows.values_list("user_id", "pattern", "listing"):
            listed.setdefault(user_id, {})[pattern] = listing == Listing.BLOCK
    return listed


def _pieces(values: Iterable[T]) -> Iterable[Sequence[T]]:
    """As many at a time as SQLite takes in one statement: all, but for mail that was made to have more."""
    return batched(values, _MOST_ASKED)


def _about(names: Names, mailbox: str, listed: Mapping[str, bool]) -> list[Entry]:
    if not listed:
        return []
    senders = set(_patterns_of(names.sender))
    authors_of = {pattern: author for author in reversed(names.authors) for pattern in _patterns_of(author)}
    entries = [
        # Of several authors none can be proven to have written it.
        Entry(
            mailbox, one, blocks, one in senders, authors_of.get(one, "") if len(names.authors) == 1 or blocks else ""
        )
        for one, blocks in listed.items()
        if one in senders or one in authors_of
    ]
    return sorted(entries, key=lambda entry: ("@" not in entry.pattern, -len(entry.pattern)))


def _patterns_of(name: str) -> Iterable[str]:
    """An address, its domain, and the domains above that but the last."""
    domain = name.rpartition("@")[2]
    if not domain:
        return ()
    labels = domain.split(".")
    above = [".".join(labels[at:]) for at in range(max(1, len(labels) - 1 - _MOST_ABOVE), len(labels) - 1)]
    return (name, domain, *above)
