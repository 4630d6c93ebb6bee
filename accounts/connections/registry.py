"""All connections together, and dropping them: what pages, commands and other actions call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils import translation
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext_lazy

from accounts.account_actions import AccountAction
from accounts.actor import Actor, NotAllowed
from accounts.addresses import key_of
from accounts.connections import bus, dovecot, web
from accounts.connections.connection import Connection, Match, Unreachable
from accounts.models import STAFF, Role, User
from base.actions.action import Change, Target, Written
from base.actions.perform import perform
from base.facts import Fact, counted_fact, fact, label, verbatim
from base.texts import Text

MOST_LISTED = 1_000
GOODBYE = "421 4.7.0 An administrator has ended this connection"


@dataclass(frozen=True, slots=True)
class Listing:
    """Who is connected. `total` counts also what is not listed; `problems` say who could not be asked."""

    connections: list[Connection]
    total: int
    problems: list[Text]


@dataclass(slots=True)
class Dropped:
    """How many connections were ended, by kind, and what stood in the way of the others."""

    smtp: int = 0
    web: int = 0
    mailbox: int = 0
    problems: list[Text] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.smtp + self.web + self.mailbox

    def as_json(self) -> dict[str, Any]:
        """As records keep it: in English, whoever acts."""
        with translation.override("en"):
            return {**asdict(self), "problems": list(map(str, self.problems))}

    def __add__(self, other: Dropped) -> Dropped:
        problems = [*self.problems, *(one for one in other.problems if one not in self.problems)]
        return Dropped(self.smtp + other.smtp, self.web + other.web, self.mailbox + other.mailbox, problems)

    @property
    def sentence(self) -> str:
        """ "3 connections ended: 2 SMTP, 1 web." And what may still be open."""
        return " ".join([str(self._ended), *map(str, self.problems)])

    @property
    def facts(self) -> list[Fact]:
        """The same, to be kept."""
        return [self._ended, *map(label, self.problems)]

    @property
    def _ended(self) -> Fact:
        kinds = ((self.smtp, verbatim("SMTP")), (self.web, fact("web")), (self.mailbox, fact("mailbox")))
        named = [Fact("%(number)s %(kind)s", "", {"number": count, "kind": kind}) for count, kind in kinds if count]
        if named:
            return counted_fact(
                "%(number)s connection ended: %(kinds)s.",
                "%(number)s connections ended: %(kinds)s.",
                self.total,
                kinds=named,
            )
        return fact("No connection was ended.") if self.problems else fact("No connection was open.")


def listing(actor: Actor, *, user: str = "", ip: str = "", domain: str = "", most: int = MOST_LISTED) -> Listing:
    """Everybody who is connected, as far as `actor` may know; newest first. Never raises for a server that is away.

    Raises NotAllowed.
    """
    match = Match(frozenset({key_of(user)}) if user else frozenset(), domain.lower(), ip)
    match = _within_reach(actor, match)
    found: list[Connection] = []
    problems: list[Text] = []
    rows, total = web.connections(match, most)
    found += rows
    try:
        answers = bus.ask("list", match, most=most)
        for row in answers.rows:
            found += map(Connection.from_json, row["connections"])
            total += row["total"]
        problems += _silence(answers.silent)
    except Unreachable as error:
        problems.append(error.args[0])
    if dovecot.is_configured():
        try:
            rows = dovecot.connections(match)
            found += rows
            total += len(rows)
        except Unreachable as error:
            problems.append(error.args[0])
    found.sort(key=lambda connection: (connection.since is not None, connection.since, connection.id), reverse=True)
    return Listing(found[:most], total, problems)


def drop(
    actor: Actor,
    *,
    user: User | str | None = None,
    users: Iterable[str] = (),
    ip: str | None = None,
    domain: str | None = None,
    keep_session: str = "",
) -> Dropped:
    """End all connections of a user, of several, of everybody in a domain, or from an address: in every process, now.

    An SMTP client in the middle of its message is cut off, and the message is not taken. The web session with the key
    `keep_session` stays. Call it outside a transaction. Raises NotAllowed, and ValueError when nothing is chosen.
    """
    addresses = {key_of(str(one)) for one in (*users, *([user] if user is not None else []))}
    match = Match(frozenset(addresses), (domain or "").lower(), ip or "")
    if match.is_for_all:
        raise ValueError(_("Say whose connections to drop."))
    return _drop(actor, match, keep_session)


def drop_one(actor: Actor, id: str, *, user: User | None = None, keep_session: str = "") -> Dropped:
    """End the one connection that a listing called `id`, if it is the user's, where one is given. Raises NotAllowed."""
    if not id:
        raise ValueError(_("Say which connection to drop."))
    users = frozenset({user.email}) if user is not None else frozenset[str]()
    return _drop(actor, Match(users, id=id), keep_session)


class DropConnections(AccountAction):
    """Ends all connections: SMTP, web, IMAP, POP."""

    name, label, icon = "drop", _lazy("Drop Connections"), "link_off"
    recorded = "drop connections"
    kinds = ("user", "connections")
    menu_kinds = ("user",)
    danger = True
    in_transaction = False

    def require(self, actor: Actor, target: Target) -> None:
        if target.kind == "user":
            super().require(actor, target)
        _within_reach(actor, _match(target))

    def suits(self, target: Target) -> bool:
        return not _match(target).is_for_all

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"keep_session": given.get("keep_session", "")}

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _(
            "Every connection of the user ends now: SMTP, also in the middle of a message, web, IMAP and POP. The user "
            "may connect again."
        )

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        match = _match(target)
        dropped = _end(_within_reach(actor, match), parameters["keep_session"])
        user = User.objects.filter(email__in=match.users).first() if len(match.users) == 1 else None
        entry = Written(str(target), parameters={"dropped": dropped.as_json()}, about=user)
        return Change(dropped.sentence, [entry], dropped, good=not dropped.problems)


DROP = DropConnections()


def _match(target: Target) -> Match:
    """Which connections a target means: those of users, or those that somebody chose."""
    if target.kind == "user":
        return Match(frozenset(map(key_of, target.keys)))
    match: Match = target.rows[0]
    return match


def end_quietly(users: Iterable[str] = (), *, domain: str = "", keep_session: str = "") -> Dropped:
    """`drop` as a part of another action, which is what gets written down."""
    return _end(Match(frozenset(map(key_of, users)), domain.lower()), keep_session)


def _drop(actor: Actor, match: Match, keep_session: str) -> Dropped:
    on = ", ".join(sorted(match.users)) or match.ip or match.domain or f"connection {match.id}"
    target = Target("connections", (on,), (match,))
    dropped: Dropped = perform(DROP, actor, target, {"keep_session": keep_session}).result
    return dropped


def _end(match: Match, keep_session: str) -> Dropped:
    dropped = Dropped(web=web.end(match, keep=keep_session))

    def listeners() -> None:
        answers = bus.ask("end", match, text=GOODBYE)
        dropped.smtp = sum(row["ended"] for row in answers.rows)
        dropped.problems += _silence(answers.silent)

    def mailboxes() -> None:
        dropped.mailbox = dovecot.end(match) if dovecot.is_configured() else 0

    for part, left in ((listeners, "SMTP"), (mailboxes, _lazy("IMAP and POP"))):
        _tried(part, dropped, left)
    return dropped


def _tried(part: Callable[[], None], dropped: Dropped, left: Text) -> None:
    try:
        part()
    except Unreachable as error:
        dropped.problems.append(
            format_lazy(
                _lazy("{problem} {kinds} connections may still be open; try again."), problem=error.args[0], kinds=left
            )
        )


def _silence(count: int) -> list[str]:
    if not count:
        return []
    return [
        ngettext_lazy(
            "One SMTP listener did not answer in time; the connections there are not known.",
            "%(number)s SMTP listeners did not answer in time; the connections there are not known.",
            count,
        )
        % {"number": count}
    ]


def _within_reach(actor: Actor, match: Match) -> Match:
    """`match`, narrowed to what this person administers. Raises NotAllowed."""
    if actor.role is Role.SYSTEM_ADMINISTRATOR:
        return match
    if actor.role is Role.DOMAIN_ADMINISTRATOR and actor.domain and match.domain in ("", actor.domain):
        # Who works in the console is not reached, in whatever way they are chosen: an address may lie in the domain.
        beyond = User.objects.filter(domain__name=actor.domain, role__in=STAFF)
        spared = frozenset(user.email for user in beyond if not actor.is_person(user))
        if not match.users & spared:
            return Match(match.users, actor.domain, match.ip, match.id, spared)
    people = list(User.objects.filter(email__in=match.users))
    # An address that nobody has is nobody's own.
    if people and len(people) == len(match.users) and all(map(actor.is_person, people)):
        return match
    raise NotAllowed(_("Only an administrator may see and end the connections of others."))
