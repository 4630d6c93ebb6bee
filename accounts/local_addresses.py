"""What an address of a local domain can be, and the queries that find out. The directory puts a cache before them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q

from accounts.addresses import LONGEST_ADDRESS, InvalidAddress, normalise_address
from accounts.models import Alias, AliasTarget, Domain, HourlyLimit, ListMember, MailingList, Role, Status, User
from accounts.models.limits import hourly_limits
from accounts.models.lists import FromRewriting, Unsubscribing
from accounts.models.spam import NO_WISHES, Wishes, wishes_of
from accounts.models.suppression import SuppressionMode
from base.batches import batched

# SQLite allows 32,766 parameters in a statement; each address may take four.
QUERY_SIZE = 2_000
# Up to so many domains are read at once, and then no name has to be asked for.
MOST_DOMAINS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class LocalDomain:
    """A domain whose mail is delivered here."""

    id: int
    name: str
    status: Status
    catch_all: str
    max_message_kb: int
    max_recipients: int
    hourly_limits: tuple[HourlyLimit, ...] = ()
    spam: Wishes = NO_WISHES
    suppression: str = SuppressionMode.OFF


@dataclass(frozen=True, slots=True)
class LocalUser:
    """A mailbox. `status` is the stricter of the user's and the domain's. Limits are 0 for none of their own.

    `spam` is what the user has chosen alone; the domain's choices are beside it. `send_as` is the user's rule or the
    domain's, "" for the server's; so is an empty `language`.
    """

    id: int
    address: str
    domain: str
    status: Status
    forward_to: tuple[str, ...]
    forward_keeps_copy: bool
    mailbox_mb: int
    max_message_kb: int
    max_recipients: int
    hourly_limits: tuple[HourlyLimit, ...] = ()
    spam: Wishes = NO_WISHES
    send_as: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class LocalAlias:
    """An address that stands for others, here or elsewhere. One without targets takes mail and keeps none of it."""

    address: str
    domain: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LocalList:
    """A mailing list; `members` are the enabled ones. `bounces_to` is the reverse-path of what it sends."""

    id: int
    address: str
    domain: str
    members: tuple[str, ...]
    bounces_to: str
    owner: str
    posting: str
    subject_prefix: str
    hourly_limits: tuple[HourlyLimit, ...] = ()
    rewrite_from: str = FromRewriting.NEVER
    unsubscribe: str = Unsubscribing.OWNER


LocalAddress = LocalUser | LocalAlias | LocalList


class Closed:
    """The answer for an alias or a list that is switched off: nobody is there, and no catch-all steps in."""


CLOSED = Closed()
Answer = LocalAddress | Closed | None


def lookup_key(address: str) -> str:
    """The spelling under which `address` is looked up: as `accounts.addresses.key_of`, but rows may have quotes."""
    key = address.lower()
    if key.isascii() and not key.endswith("."):
        return key
    try:
        return normalise_address(address)
    except InvalidAddress:
        return key


def can_be_stored(key: str) -> bool:
    """Whether a row may have this address. A database may be asked for nothing else: PostgreSQL raises on NUL."""
    if len(key) > LONGEST_ADDRESS or "\0" in key:
        return False
    return key.isascii() or not any("\ud800" <= character <= "\udfff" for character in key)


def bounces_address(list_address: str) -> str:
    """The reverse-path of what a list sends."""
    local_part, _, domain = list_address.rpartition("@")
    return f"{local_part}-bounces@{domain}"


def list_of_bounces(key: str) -> str:
    """The reverse of `bounces_address`; "" when `key` is no such address."""
    local_part, _, domain = key.rpartition("@")
    name = local_part.removesuffix("-bounces")
    return f"{name}@{domain}" if name and name != local_part else ""


def find_all_domains() -> dict[str, LocalDomain] | None:
    """Every local domain, or None when there are too many to read at once."""
    rows = list(Domain.objects.order_by()[: MOST_DOMAINS_AT_ONCE + 1])
    if len(rows) > MOST_DOMAINS_AT_ONCE:
        return None
    return {row.name: _local_domain(row) for row in rows}


def find_domains(names: Collection[str]) -> dict[str, LocalDomain | None]:
    """The local domains among `names` (lower case), and None for the others."""
    found: dict[str, LocalDomain | None] = dict.fromkeys(names)
    for some in batched((name for name in names if can_be_stored(name)), QUERY_SIZE):
        found.update((row.name, _local_domain(row)) for row in Domain.objects.filter(name__in=some))
    return found


def _local_domain(row: Domain) -> LocalDomain:
    catch_all = lookup_key(row.catch_all) if row.catch_all else ""
    return LocalDomain(
        row.pk,
        row.name,
        Status(row.status),
        catch_all,
        row.max_message_kb,
        row.max_recipients,
        hourly_limits(row),
        wishes_of(row),
        row.suppression,
    )


def find_any_hourly_limits() -> bool:
    """Whether any row has a limit by the hour."""
    sending = Q(messages_per_hour__gt=0) | Q(bandwidth_mb_per_hour__gt=0) | Q(recipients_per_hour__gt=0)
    return (
        Domain.objects.filter(sending | Q(bounces_per_hour__gt=0)).exists()
        or User.objects.filter(sending).exists()
        or MailingList.objects.filter(sending).exists()
    )


def find_addresses(keys: Collection[str]) -> dict[str, Answer]:
    """Who or what has each of the addresses (as `lookup_key` spells them), in a number of queries that doesn't grow."""
    found: dict[str, Answer] = dict.fromkeys(keys)
    for some in batched((key for key in keys if can_be_stored(key)), QUERY_SIZE):
        found.update(_find(some))
    return found


def find_postmaster(domain: LocalDomain) -> LocalAlias:
    """Who stands in for a postmaster@ that nobody has made: RFC 5321 4.5.1 wants its mail taken in every domain.

    The domain's administrators; without one the system administrators that have a mailbox.
    """
    people = User.objects.select_related("domain").filter(domain__isnull=False).order_by("email")
    for some in (
        people.filter(domain_id=domain.id, role=Role.DOMAIN_ADMINISTRATOR),
        people.filter(role=Role.SYSTEM_ADMINISTRATOR),
    ):
        targets = tuple(user.email for user in some if local_user(user).status.may_receive)
        if targets:
            return LocalAlias(f"postmaster@{domain.name}", domain.name, targets)
    return LocalAlias(f"postmaster@{domain.name}", domain.name, ())


_STRICTNESS = (Status.ENABLED, Status.RECEIVING, Status.DISABLED)


def local_user(user: User) -> LocalUser:
    """The mailbox of a user that has a domain."""
    assert user.domain is not None
    status = max(Status(user.status), Status(user.domain.status), key=_STRICTNESS.index)
    return LocalUser(
        user.pk,
        user.email,
        user.domain.name,
        status,
        tuple(user.forward_addresses),
        user.forward_keeps_copy,
        user.mailbox_mb,
        user.max_message_kb or user.domain.max_message_kb,
        user.max_recipients or user.domain.max_recipients,
        hourly_limits(user),
        wishes_of(user),
        user.send_as or user.domain.send_as,
        user.language,
    )


def _find(keys: Sequence[str]) -> Iterator[tuple[str, Answer]]:
    spellings = {key: _spellings(key) for key in keys}
    lists_of = {key: list_of_bounces(key) for key in keys}
    wanted = {*(s for some in spellings.values() for s in some), *filter(None, lists_of.values())}
    users = {
        user.email: local_user(user)
        for user in User.objects.select_related("domain").filter(email__in=wanted, domain__isnull=False)
    }
    aliases = _aliases(wanted)
    lists, owners = _lists(wanted)
    for key in keys:
        answer: Answer = None
        for spelling in spellings[key]:
            answer = users.get(spelling) or aliases.get(spelling) or lists.get(spelling)
            if answer is not None:
                break
        if answer is None and lists_of[key] in owners:
            answer = owners[lists_of[key]] or _for_postmaster(key)
        yield key, answer


def _aliases(addresses: Collection[str]) -> Mapping[str, LocalAlias | Closed]:
    rows = list(Alias.objects.filter(address__in=addresses).values_list("id", "address", "domain__name", "enabled"))
    targets: dict[int, list[str]] = {id: [] for id, _, _, _ in rows}
    if rows:
        chosen = AliasTarget.objects.filter(alias_id__in=targets).order_by("id")
        for alias_id, target in chosen.values_list("alias_id", "address"):
            targets[alias_id].append(target.lower())
    return {
        address: LocalAlias(address, domain, tuple(targets[id])) if enabled else CLOSED
        for id, address, domain, enabled in rows
    }


def _lists(addresses: Collection[str]) -> tuple[Mapping[str, LocalList | Closed], Mapping[str, LocalUser | None]]:
    """The lists among `addresses`, and for each the owner, when the owner's mailbox takes mail."""
    rows = list(MailingList.objects.select_related("domain", "owner__domain").filter(address__in=addresses))
    members: dict[int, list[str]] = {row.pk: [] for row in rows if row.enabled}
    if members:
        chosen = ListMember.objects.filter(mailing_list_id__in=members, enabled=True).order_by("id")
        for list_id, member in chosen.values_list("mailing_list_id", "address"):
            members[list_id].append(member)
    lists: dict[str, LocalList | Closed] = {}
    owners: dict[str, LocalUser | None] = {}
    for row in rows:
        owner = local_user(row.owner) if row.owner is not None and row.owner.domain is not None else None
        owners[row.address] = owner if owner is not None and owner.status.may_receive else None
        lists[row.address] = (
            CLOSED
            if not row.enabled
            else LocalList(
                row.pk,
                row.address,
                row.domain.name,
                tuple(members[row.pk]),
                bounces_address(row.address),
                row.owner.email if row.owner else "",
                row.posting,
                row.subject_prefix,
                hourly_limits(row),
                row.rewrite_from,
                row.unsubscribe,
            )
        )
    return lists, owners


def _for_postmaster(bounces: str) -> LocalAlias:
    """Bounces to a list that nobody owns. postmaster@ takes mail always, even when it is nobody's."""
    domain = bounces.rpartition("@")[2]
    return LocalAlias(bounces, domain, (f"postmaster@{domain}",))


_ATOMS = re.compile(r"[^\s\"(),:;<>@\[\]\\.]+(\.[^\s\"(),:;<>@\[\]\\.]+)*")


def _spellings(key: str) -> list[str]:
    """Under which addresses rows may answer for `key`: itself, without quotes it doesn't need, without its +tag."""
    local_part, _, domain = key.rpartition("@")
    spellings = [key]
    if local_part.startswith('"'):
        # RFC 5321 4.1.2: quotes around what needs none change nothing.
        local_part = local_part[1:-1]
        if not _ATOMS.fullmatch(local_part):
            return spellings
        spellings.append(f"{local_part}@{domain}")
    name, plus, _ = local_part.partition("+")
    if plus and name:
        spellings.append(f"{name}@{domain}")
    return spellings
