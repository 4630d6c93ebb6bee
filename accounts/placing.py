"""Where a new address belongs: in which domain, and whether it is free there. For page and command alike."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.addresses import normalise_address, normalise_domain
from accounts.models import Alias, Domain, MailingList, User
from base.actions.action import Refused


class NotThere(Refused):
    """There is no such domain, user, alias or list."""


class AddressTaken(Refused):
    """Another user, alias or list has the address."""


class TooManyUsers(Refused):
    """The domain has as many users as it may."""


def get_domain(name: str) -> Domain:
    """Raises NotThere."""
    domain = Domain.objects.filter(name=normalise_domain(name)).first()
    if domain is None:
        raise NotThere(_("There is no domain %(name)s; add it first.") % {"name": name})
    return domain


def taken(address: str, by: str) -> str:
    """What is said where an address is another row's."""
    return _("%(address)s is taken already, by %(by)s.") % {"address": address, "by": by}


def full(domain: Domain) -> str:
    """What is said where a domain may have no more users."""
    return ngettext(
        "%(domain)s has the one user that it may have.",
        "%(domain)s has all the %(number)s users that it may have.",
        domain.max_users,
    ) % {"domain": domain.name, "number": domain.max_users}


def place(row: User | Alias | MailingList, address: str) -> None:
    """Give a row that is to be saved its address and the domain of that.

    Who works in the console may be without a domain. Whoever adds many at once holds the directory's lock meanwhile
    (`directory.changed`), so that two can't take a domain's last place.
    Raises InvalidAddress, NotThere, AddressTaken, TooManyUsers.
    """
    address = normalise_address(address)
    _require_free(address, row)
    name = address.rpartition("@")[2]
    if not isinstance(row, User):
        row.address, row.domain = address, get_domain(name)
        return
    domain = Domain.objects.filter(name=name).first()
    if domain is None and not row.is_staff:
        raise NotThere(_("There is no domain %(name)s; add it first.") % {"name": name})
    if domain is not None and row.domain_id != domain.pk:
        _require_place(domain)
    row.email, row.domain = address, domain


def _require_place(domain: Domain) -> None:
    if domain.max_users and domain.users.count() >= domain.max_users:
        raise TooManyUsers(full(domain))


def _require_free(address: str, row: User | Alias | MailingList) -> None:
    kinds: tuple[tuple[str, type[User] | type[Alias] | type[MailingList], str], ...] = (
        (_("a user"), User, "email"),
        (_("an alias"), Alias, "address"),
        (_("a mailing list"), MailingList, "address"),
    )
    for kind, model, field in kinds:
        others = model._default_manager.filter(**{field: address})
        if isinstance(row, model):
            others = others.exclude(pk=row.pk)
        if others.exists():
            raise AddressTaken(taken(address, kind))
