"""Whose a message is, for the user site: what a person has sent and got, and what a domain has.

A message belongs to whoever handed it in by logging in, whatever it says of its sender: a forged sender gives nobody a
look at it. Without a login, from hosts that need none, it belongs to its sender if it goes elsewhere. Of what came in
for several, each sees what is for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from django.db.models import Q

from accounts.addresses import domain_of, key_of
from accounts.models import Alias, Role, User
from spool.models.entry import Direction, Entry
from spool.models.recipient import Kind

# Of somebody's aliases, so many are looked for as senders.
MOST_ALIASES = 4


@dataclass(frozen=True, slots=True)
class Ownership:
    """A person's mail, or with `domain` that of all in it. `senders` are the addresses that a person writes as."""

    login: str
    senders: tuple[str, ...] = ()
    domain: str = ""

    @classmethod
    def of_person(cls, user: User) -> Self:
        aliases = Alias.objects.filter(targets__address=user.email).order_by("address")
        return cls(user.email, (user.email, *aliases.values_list("address", flat=True)[:MOST_ALIASES]))

    @classmethod
    def of_domain(cls, user: User) -> Self:
        """What a domain administrator sees; of who administers none, nothing but their own."""
        if user.role != Role.DOMAIN_ADMINISTRATOR or user.domain is None:
            return cls.of_person(user)
        return cls(user.email, domain=user.domain.name)

    def has_sent(self, auth_user: str, sender: str, *, is_outbound: bool) -> bool:
        """Whether a message was handed in by these."""
        if auth_user:
            return domain_of(auth_user) == self.domain if self.domain else auth_user == self.login
        return is_outbound and self._writes_as(sender)

    def has_sent_entry(self, entry: Entry) -> bool:
        """The same of a message in the spool."""
        is_outbound = entry.direction == Direction.OUTBOUND
        return self.has_sent(entry.auth_user, entry.sender, is_outbound=is_outbound)

    def gets(self, address: str) -> bool:
        """Whether a recipient is one of these."""
        return domain_of(address) == self.domain if self.domain else key_of(address) == self.login

    def _writes_as(self, sender: str) -> bool:
        return domain_of(sender) == self.domain if self.domain else key_of(sender) in self.senders

    @property
    def recipients(self) -> Q:
        """Those of an entry's recipients that are theirs."""
        if self.domain:
            return Q(domain=self.domain)
        return Q(address=self.login) | Q(address_key=self.login)

    @property
    def traces(self) -> Q:
        """What of the trace is theirs: an addition to a condition that an index serves."""
        if self.domain:
            here = f"@{self.domain}"
            no_login = Q(auth_user="", kind=Kind.REMOTE, sender__iendswith=here)
            got = Q(recipient__iendswith=here) | Q(original__iendswith=here)
            return Q(auth_user__iendswith=here) | no_login | got
        own = Q(sender__in=self.senders) | Q(sender_key__in=self.senders)
        got = Q(recipient=self.login) | Q(recipient_key=self.login)
        return Q(auth_user=self.login) | (Q(auth_user="", kind=Kind.REMOTE) & own) | got
