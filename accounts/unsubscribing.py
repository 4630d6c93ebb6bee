"""How members leave a list by themselves: a token for each that nobody else can make, in a link and in an address.

It holds the numbers of list and member, so that it fits into a local part and tells nobody an address. It is good for
as long as the member is on the list.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from django.db import transaction
from django.utils.http import base36_to_int, int_to_base36

from accounts import actions
from accounts.actor import Actor
from accounts.models import ListMember, MailingList, Role
from base.batches import batched
from base.sealed import secret_for

# 80 bits, in letters that survive any case.
_MAC_BYTES: Final = 10
_TOKEN: Final = re.compile(r"([0-9a-z]{1,13})-([0-9a-z]{1,13})-([a-z2-7]{16})", re.ASCII)
_TAG: Final = "leave-"
_LONGEST_LOCAL_PART: Final = 64
_QUERY_SIZE: Final = 2_000


class NotOurs(ValueError):
    """No token that this server has made."""


@dataclass(frozen=True, slots=True)
class Membership:
    """What a token is about. `address` is empty when nobody is behind it any more."""

    list_address: str
    address: str


def tokens_of(list_id: int, addresses: Iterable[str]) -> dict[str, str]:
    """The tokens of those of `addresses` that are on a list. A query for 2,000."""
    tokens: dict[str, str] = {}
    for some in batched(sorted(set(addresses)), _QUERY_SIZE):
        rows = ListMember.objects.filter(mailing_list_id=list_id, address__in=some).values_list("address", "id")
        tokens.update((address, _token(list_id, member_id)) for address, member_id in rows)
    return tokens


def leaving_address(list_address: str, token: str) -> str:
    """The address to which a mail takes that member off the list; "" where the list's own is too long for one."""
    local_part, _, domain = list_address.rpartition("@")
    written = f"{local_part}+{_TAG}{token}"
    # What has a plus or quotes itself would not lead back to the list.
    if len(written) > _LONGEST_LOCAL_PART or "+" in local_part or '"' in local_part:
        return ""
    return f"{written}@{domain}"


def token_in(address: str) -> str:
    """The token in such an address; "" when it is none."""
    tag = address.rpartition("@")[0].partition("+")[2].lower()
    return tag.removeprefix(_TAG) if tag.startswith(_TAG) else ""


def look_up(token: str) -> Membership:
    """Raises NotOurs."""
    mailing_list, member = _found(token)
    return Membership(mailing_list.address if mailing_list else "", member.address if member else "")


def leave(token: str) -> Membership:
    """Take a member off its list, with a record of it; who has left already stays so. Raises NotOurs."""
    with transaction.atomic():
        mailing_list, member = _found(token)
        if mailing_list is None or member is None:
            return Membership(mailing_list.address if mailing_list else "", "")
        actions.remove_members(mailing_list, [member.address], actor=_ACTOR)
    return Membership(mailing_list.address, member.address)


# The token is the permission: whoever has it reads that member's mail.
_ACTOR: Final = Actor("unsubscribe link", Role.SYSTEM_ADMINISTRATOR, source="system")


def _found(token: str) -> tuple[MailingList | None, ListMember | None]:
    """The list of a token and its member, as far as they are still there. Raises NotOurs."""
    list_id, member_id = _read(token)
    mailing_list = MailingList.objects.filter(pk=list_id).first()
    return mailing_list, ListMember.objects.filter(pk=member_id, mailing_list_id=list_id).first()


def _token(list_id: int, member_id: int) -> str:
    numbers = f"{int_to_base36(list_id)}-{int_to_base36(member_id)}"
    return f"{numbers}-{_mac(numbers)}"


def _read(token: str) -> tuple[int, int]:
    found = _TOKEN.fullmatch(token.lower())
    if found is None or not hmac.compare_digest(_mac(f"{found[1]}-{found[2]}"), found[3]):
        raise NotOurs("this is no link of this server, or only a part of one")
    return base36_to_int(found[1]), base36_to_int(found[2])


def _mac(numbers: str) -> str:
    mac = hmac.digest(_secret(), numbers.encode(), "sha256")[:_MAC_BYTES]
    return base64.b32encode(mac).decode().lower()


@cache
def _secret() -> bytes:
    return secret_for("leaving lists")
