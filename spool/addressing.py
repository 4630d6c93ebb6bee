"""From an address that somebody wrote to the recipients that an entry gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

from django.conf import settings as django_settings

from accounts import directory
from accounts.addresses import InvalidAddress, key_of, normalise_domain, split_address
from accounts.directory import LocalAddress, LocalAlias, LocalList, LocalUser
from accounts.models import Domain
from spool import own_hosts, sender_rewriting
from spool.message.envelope import EnvelopeRecipient
from spool.models.recipient import Kind

# Aliases may lead to aliases; deeper than this is a loop.
DEEPEST_ALIAS = 10


class RefusedRecipient(Exception):
    """The address can't get mail here; `reply` is the SMTP reply that says so (RFC 3463 codes)."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


class NoSuchRecipient(RefusedRecipient):
    """A local domain has no such address."""


class MailboxDisabled(RefusedRecipient):
    """The user or the domain takes no mail."""


class BadRecipient(RefusedRecipient):
    """The text is no address."""


def accept(address: str, notify: str = "", orcpt: str = "") -> list[EnvelopeRecipient]:
    """The recipients that `address` stands for, at least one.

    In a local domain: a user, a list, what an alias leads to (`original` then says where from), or the domain's
    catch-all. Elsewhere: one remote recipient; whether it may be relayed is the caller's question.
    Raises RefusedRecipient.
    """
    local_part, domain = _parts(address, own_domain)
    is_local = directory.local_domain(domain) is not None
    found = directory.resolve(f"{local_part}@{domain}") if is_local else None
    return _accepted(address, local_part, domain, is_local, found, notify, orcpt)


def accept_from_nobody(address: str, notify: str = "", orcpt: str = "") -> list[EnvelopeRecipient]:
    """`accept` for the null sender: a bounce to a reverse-path that we have rewritten goes on to who wrote.

    `original` is the rewritten one then. Raises RefusedRecipient.
    """
    if not sender_rewriting.is_rewritten(address):
        return accept(address, notify, orcpt)
    local_part, domain = _parts(address, own_domain)
    if directory.local_domain(domain) is None:
        return accept(address, notify, orcpt)
    try:
        sender = sender_rewriting.sender_of(f"{local_part}@{domain}")
    except sender_rewriting.NotOurs as error:
        raise NoSuchRecipient(f"550 5.1.1 <{address}>: no return address: {error}") from error
    recipients = accept(sender, notify, orcpt)
    for recipient in recipients:
        recipient.original = recipient.original or address
    return recipients


def accept_many(
    addresses: Iterable[str], notify: str = "", orcpt: str = ""
) -> dict[str, list[EnvelopeRecipient] | RefusedRecipient]:
    """`accept` for many addresses, with the refusal in the place of recipients.

    The number of queries grows with the depth of aliases, not with addresses or domains.
    """
    answers: dict[str, list[EnvelopeRecipient] | RefusedRecipient] = {}
    parts: dict[str, tuple[str, str]] = {}
    own = cache(own_domain)
    for address in dict.fromkeys(addresses):
        try:
            parts[address] = _parts(address, own)
        except RefusedRecipient as error:
            answers[address] = error
    local, found = _look_up(f"{local_part}@{domain}" for local_part, domain in parts.values())
    _learn_targets(found.values())
    for address, (local_part, domain) in parts.items():
        try:
            answers[address] = _accepted(
                address, local_part, domain, domain in local, found.get(f"{local_part}@{domain}"), notify, orcpt
            )
        except RefusedRecipient as error:
            answers[address] = error
    return answers


def own_domain() -> str:
    """The domain of who writes to this host and not to a domain: the host's own name, or else the oldest one."""
    hostname: str = django_settings.MAILSPOOL_HOSTNAME
    if directory.local_domain(hostname) is None:
        return Domain.objects.order_by("id").values_list("name", flat=True).first() or hostname
    return hostname.lower()


def _parts(address: str, own: Callable[[], str]) -> tuple[str, str]:
    try:
        local_part, domain = split_address(address)
    except InvalidAddress as error:
        raise BadRecipient(f"501 5.1.3 {error}") from error
    if (ip := own_hosts.of_literal(domain)) and own_hosts.is_ours(ip):
        # RFC 5321 4.1.3, 4.5.1: by our own address, postmaster above all.
        domain = own()
    return local_part, domain


def _look_up(addresses: Iterable[str]) -> tuple[set[str], dict[str, LocalAddress | None]]:
    """The local ones among the domains of `addresses`, and who gets mail for the addresses in those."""
    domains = {address: address.rpartition("@")[2] for address in addresses}
    local = {name for name, found in directory.local_domains(set(domains.values())).items() if found is not None}
    return local, directory.resolve_many([address for address, domain in domains.items() if domain in local])


def _learn_targets(found: Iterable[LocalAddress | None]) -> None:
    """Have the directory remember what aliases lead to, level by level, before it is asked one by one."""
    known: set[str] = set()
    aliases = [one for one in found if isinstance(one, LocalAlias)]
    for _ in range(DEEPEST_ALIAS):
        targets = {target for alias in aliases for target in alias.targets} - known
        if not targets:
            return
        known |= targets
        aliases = [one for one in _look_up(targets)[1].values() if isinstance(one, LocalAlias)]


def _accepted(
    address: str, local_part: str, domain: str, is_local: bool, found: LocalAddress | None, notify: str, orcpt: str
) -> list[EnvelopeRecipient]:
    """What `accept` answers, once the directory has."""
    if not is_local:
        # The local part's case is the remote host's business (RFC 5321 2.4).
        return [EnvelopeRecipient(f"{local_part}@{domain}", domain, Kind.REMOTE, "", notify, orcpt)]
    if found is None:
        raise NoSuchRecipient(f"550 5.1.1 <{address}>: no such mailbox here; check the address and send again")
    # A +tag or the catch-all led here: the address as written is kept.
    original = "" if key_of(address) == found.address else address
    if isinstance(found, LocalUser):
        if not found.status.may_receive:
            raise MailboxDisabled(f"550 5.2.1 <{address}>: this mailbox is disabled and takes no mail")
        return [EnvelopeRecipient(found.address, found.domain, Kind.LOCAL, original, notify, orcpt)]
    if isinstance(found, LocalList):
        return [EnvelopeRecipient(found.address, found.domain, Kind.LOCAL, original, notify, orcpt)]
    return _expand(found, address, notify, orcpt)


def _expand(alias: LocalAlias, written: str, notify: str, orcpt: str) -> list[EnvelopeRecipient]:
    """What an alias leads to, each address once. One without targets takes the mail and drops it, at delivery."""
    recipients: dict[str, EnvelopeRecipient] = {}
    seen = {alias.address}
    level: list[str] = list(alias.targets)
    for _ in range(DEEPEST_ALIAS):
        deeper: list[str] = []
        for target in level:
            if target in seen:
                continue
            seen.add(target)
            domain = normalise_domain(target.rpartition("@")[2])
            found = directory.resolve(target) if directory.local_domain(domain) else None
            if isinstance(found, LocalAlias) and found.targets:
                deeper.extend(found.targets)
            elif found is not None:
                if not isinstance(found, LocalUser) or found.status.may_receive:
                    recipients[found.address] = EnvelopeRecipient(
                        found.address, found.domain, Kind.LOCAL, written, notify, orcpt
                    )
            elif directory.local_domain(domain) is None:
                recipients[target] = EnvelopeRecipient(target, domain, Kind.REMOTE, written, notify, orcpt)
        level = deeper
        if not level:
            break
    if recipients:
        return list(recipients.values())
    if alias.targets:
        raise MailboxDisabled(f"550 5.2.1 <{written}>: nobody behind this address takes mail now")
    return [EnvelopeRecipient(alias.address, alias.domain, Kind.LOCAL, "", notify, orcpt)]
