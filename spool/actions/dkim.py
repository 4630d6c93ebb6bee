"""What is done to DKIM keys: make one for a domain, look for its record now or publish it, retire it, forget it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings as django_settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import Domain
from base.actions.action import After, Change, Refused, SingleAction, Target, Written
from base.actions.inputs import Input
from base.dns_updates import UpdateFailed
from base.facts import whole
from spool.actions.actor import Actor
from spool.models.dkim import DkimKey, KeyAlgorithm, KeyState
from spool.models.update_server import UpdateServer
from spool.signing import lifecycle, primaries, publishing

_SELECTOR: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


def key_named(name: str) -> Target | None:
    """The key whose record has a name, as 202611r._domainkey.example.org."""
    selector, found, domain = name.lower().rstrip(".").partition("._domainkey.")
    row = DkimKey.objects.filter(domain=domain, selector=selector).first() if found else None
    return Target("dkim", (row.name,), (row,)) if row is not None else None


class KeyAction(SingleAction[Actor]):
    """For system administrators alone."""

    kinds = ("dkim",)

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()


class MakeKey(KeyAction):
    """Makes a DKIM key for a domain. It signs once its record has been seen at all of the domain's name servers."""

    name, label, icon = "dkim-add", _lazy("Add DKIM Key"), "key"
    kinds = ("domain",)
    inputs = (
        Input(
            "algorithm",
            _lazy("Algorithm"),
            "choice",
            choices=tuple(KeyAlgorithm.values),
            labels=tuple(KeyAlgorithm.labels),
            help=_lazy("Not every receiver knows Ed25519: use it beside an RSA key."),
            option_help="rsa (2048 bits, the default) or ed25519, which not every receiver knows",
        ),
        Input(
            "selector",
            _lazy("Selector"),
            placeholder=_lazy("empty: by the month, as 202611r"),
            metavar="NAME",
            option_help="its name in the DNS; without it, one by the month",
        ),
    )

    def is_due(self, target: Target) -> bool:
        return _is_ours(target.key)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _(
            "A key is made for %(target)s, and its DNS record is shown. Nothing is signed with it before "
            "that record is at all name servers of the domain. Then it takes over from the key before."
        ) % {"target": target}

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = super().parameters(given)
        selector = str(found["selector"]).strip().lower()
        if selector and (len(selector) > 63 or not _SELECTOR.fullmatch(selector)):
            raise Refused(
                _("%(selector)s can't be a selector: use letters, digits and hyphens, 63 at most.")
                % {"selector": f"{selector[:80]!r}"}
            )
        return {"algorithm": found["algorithm"] or KeyAlgorithm.RSA.value, "selector": selector}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        if not _is_ours(target.key):
            raise Refused(_("%(target)s is no domain of this server: add it first.") % {"target": target})
        try:
            key = lifecycle.make(target.key, parameters["algorithm"], timezone.now(), parameters["selector"])
        except lifecycle.SelectorTaken as error:
            raise Refused(str(error)) from error
        server = primaries.server_of(key.domain)
        said = (
            (
                _("Put this TXT record into the DNS: %(key)s “%(record)s”. It is looked for every ten minutes.")
                % {"key": key.name, "record": key.record}
            )
            if server is None
            else (
                _("%(host)s is told of its record, %(key)s, within a minute. It signs once the DNS shows it.")
                % {"host": server.host, "key": key.name}
            )
        )
        return Change(said, [_written(key, algorithm=key.algorithm)], key)


class CheckKey(KeyAction):
    """Looks for a key's record at the domain's name servers now."""

    name, label, icon = "dkim-check", _lazy("Check Record Now"), "search"
    # It waits for name servers.
    in_transaction = False

    def suits(self, target: Target) -> bool:
        return target.rows[0].state != KeyState.REVOKED

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        return _("Each name server of %(domain)s is asked for the record. This may take some seconds.") % {
            "domain": target.rows[0].domain
        }

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        [key] = target.rows
        problem = lifecycle.look(key, timezone.now())
        state = key.get_state_display()
        said = (
            f"{key.name}: {problem}."
            if problem
            else (_("The record of %(key)s is there. %(state)s.") % {"key": key.name, "state": state})
        )
        return Change(said, [_written(key, state=key.state)], key, good=not problem)


class PublishKey(KeyAction):
    """Puts a key's record into the DNS now, by the name server that takes updates for its domain."""

    name, label, icon = "dkim-publish", _lazy("Publish Record Now"), "publish"
    # It waits for a name server.
    in_transaction = False

    def is_due(self, target: Target) -> bool:
        return primaries.server_of(target.rows[0].domain) is not None

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        [key] = target.rows
        host = _server_for(key).host
        return _("%(host)s is told to show %(key)s as “%(record)s”. What others wrote there is left alone.") % {
            "host": host,
            "key": key.name,
            "record": key.record,
        }

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        [key] = target.rows
        server = _server_for(key)
        sent = publishing.send(key, server, timezone.now())
        if sent.problem:
            raise Refused(str(whole(sent.problem)))
        said = _("%(host)s shows %(key)s now.") if sent.changed else _("%(host)s shows %(key)s already.")
        said %= {"host": server.host, "key": key.name}
        return Change(said, [_written(key, **publishing.said_of(key, server))], key)


class RetireKey(KeyAction):
    """Has a key sign no more. Its record has to stay until the mail that it signed has arrived."""

    name, label, icon = "dkim-retire", _lazy("Retire"), "block"
    danger = True

    def suits(self, target: Target) -> bool:
        return target.rows[0].state in (KeyState.PREPARED, KeyState.PUBLISHED, KeyState.ACTIVE)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        [key] = target.rows
        if key.state != KeyState.ACTIVE:
            return _("It never signs, and its record can be removed from the DNS.")
        others = DkimKey.objects.filter(domain=key.domain, state=KeyState.ACTIVE).exclude(pk=key.pk)
        left = (
            ""
            if others.exists()
            else (_(" Mail of %(domain)s is not signed by its own key from then on.") % {"domain": key.domain})
        )
        return _("It signs no more.%(left)s Keep its record until it is shown as revoked. This can't be undone.") % {
            "left": left
        }

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        key = DkimKey.objects.select_for_update().filter(pk=target.rows[0].pk).first()
        if key is None or not self.suits(Target("dkim", target.keys, (key,))):
            raise Refused(_("It is retired already."))
        lifecycle.retire(key, timezone.now())
        return Change((_("%(key)s signs no more.") % {"key": key.name}), [_written(key, state=key.state)], key)


class RemoveKey(KeyAction):
    """Forgets a key that is revoked, or that never signed."""

    name, label, icon = "dkim-remove", _lazy("Remove"), "delete"
    danger = True

    def suits(self, target: Target) -> bool:
        [key] = target.rows
        return key.state == KeyState.REVOKED or (key.state == KeyState.PREPARED and key.active is None)

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        [key] = target.rows
        server = primaries.server_of(key.domain) if key.sent else None
        if server is None:
            return _("It is forgotten here. Remove its record from the DNS.")
        return _("It is forgotten here, and %(host)s is told to remove its record.") % {"host": server.host}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        key = DkimKey.objects.select_for_update().filter(pk=target.rows[0].pk).first()
        if key is None or not self.suits(Target("dkim", target.keys, (key,))):
            raise Refused(_("It has signed mail lately: retire it first."))
        written = _written(key, removed=True)
        key.delete()
        server = primaries.server_of(key.domain) if key.sent else None
        if server is None:
            return Change((_("%(target)s is forgotten.") % {"target": target}), [written])
        return Change(
            (_("%(target)s is forgotten.") % {"target": target}), [written], then=lambda _: _taken_out(key, server)
        )


def _taken_out(key: DkimKey, server: UpdateServer) -> After:
    try:
        publishing.take_out(key, server)
    except UpdateFailed as error:
        return After((_("Remove its record from the DNS yourself: %(error)s.") % {"error": error}), good=False)
    return After(_("%(host)s has removed its record.") % {"host": server.host})


def _server_for(key: DkimKey) -> UpdateServer:
    """Raises Refused."""
    server = primaries.server_of(key.domain)
    if server is None:
        raise Refused(
            _("No name server takes updates for %(domain)s: add one in DNS updates.") % {"domain": key.domain}
        )
    return server


def _is_ours(domain: str) -> bool:
    """A domain of this server, or the one that its own name is in: notices and reports come from there."""
    host = f".{django_settings.MAILSPOOL_HOSTNAME.lower()}"
    return ("." in domain and host.endswith(f".{domain}")) or Domain.objects.filter(name=domain).exists()


def _written(key: DkimKey, **parameters: Any) -> Written:
    return Written(key.name, parameters=parameters, about=key)


MAKE_KEY, CHECK_KEY, PUBLISH_KEY, RETIRE_KEY, REMOVE_KEY = (
    MakeKey(),
    CheckKey(),
    PublishKey(),
    RetireKey(),
    RemoveKey(),
)
