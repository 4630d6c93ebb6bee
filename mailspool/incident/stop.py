"""Stop: one action for all that is done about an incident, with one preview and one way back.

It contains the account, holds or deletes what is in the spool, keeps IP addresses out, refuses mail of a sender or
domain, and tells whom it concerns. Each of that is the action that is there for it, and has its own record; the record
of this one says what it did, for the way back (false_alarm.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext, override

from accounts import connections, containing
from accounts.account_actions import of_users
from accounts.addresses import InvalidAddress, normalise_address
from accounts.models import Containment, Role, Status, User
from base.actions.action import After, Change, NotAllowed, Refused, SingleAction, Target, WayBack, Written
from base.actions.inputs import Input
from base.actions.perform import perform
from base.audit.models import AuditEvent
from base.audit.subjects import Subject
from base.facts import Fact, counted_fact, fact, kept, kept_as, of_error
from base.languages import SOURCE
from base.numbers import grouped
from mailspool.incident.evidence import evidence
from mailspool.incident.things import KINDS, Thing
from security.actions import blacklisted, smtp_blocked
from security.actions.networks import BLACKLIST
from security.actions.senders import BLOCK_INBOUND
from security.addresses import parse_address
from security.models import Direction
from spool import actions as spool_actions
from spool.actions.actor import Actor
from spool.addressing import RefusedRecipient
from spool.alerts import own_mail
from spool.filters import Count, count
from spool.flow.intake import IntakeError
from throttling.countries import country_of

NAME: Final = "stop"
BACK: Final = "false-alarm"
# More than this is left to a maintenance worker.
MOST_AT_ONCE: Final = 25_000
_COUNTED: Final = 100_000
_MOST_TOLD: Final = 20
MAIL: Final = {
    "leave": _lazy("Leave it"),
    "hold": _lazy("Put it on hold"),
    "delete": _lazy("Delete it (can be undone)"),
}
TELL: Final = {"postmaster": _lazy("Postmaster"), "administrators": _lazy("Administrators of the domain")}
_PROBLEMS = (Refused, NotAllowed, RefusedRecipient, IntakeError, ValidationError)


class IncidentAction(SingleAction[Actor]):
    """For system administrators alone, about whatever has an incident page."""

    kinds = tuple(KINDS)
    menu_kinds = ()

    def require(self, actor: Actor, target: Target) -> None:
        actor.require_administration()


class Stop(IncidentAction):
    """Contains the account, stops the mail, blocks the IP addresses and tells whom it concerns: all together."""

    name, label, icon = NAME, _lazy("Stop…"), "gpp_maybe"
    danger = True
    undoable = True
    effect_follows = True
    inputs = (
        Input("account", _lazy("Contain the account"), "check", option_help="contain the account"),
        Input(
            "mail",
            _lazy("Its mail in the spool"),
            "choice",
            choices=tuple(MAIL),
            labels=tuple(MAIL.values()),
            option_help="what becomes of its mail in the spool",
        ),
        Input(
            "ips",
            _lazy("Block over SMTP"),
            "choices",
            option="--block-ip",
            metavar="IP",
            option_help="keep this IP address out by SMTP; repeat for more",
        ),
        Input(
            "refuse", _lazy("Refuse its mail from outside"), "check", option_help="block the sender or domain inbound"
        ),
        Input(
            "tell",
            _lazy("Tell by mail"),
            "choices",
            choices=tuple(TELL),
            labels=tuple(TELL.values()),
            option_help="whom to tell by mail; repeat for more",
        ),
        Input(
            "also",
            _lazy("Tell also"),
            placeholder=_lazy("addresses, as of the user elsewhere"),
            metavar="ADDRESSES",
            option_help="other addresses to tell, between commas",
        ),
    )

    def label_of(self, target: Target) -> str:
        return _("Contain…") if target.kind == "user" else _("Stop its mail…")

    def inputs_for(self, target: Target) -> tuple[Input, ...]:
        thing = _thing(target)
        ips = _ips_of(thing)
        labels = tuple(f"{ip} ({country})" if (country := country_of(ip)) else ip for ip in ips)
        told = ("postmaster", "administrators") if _administrators(thing) else ("postmaster",)
        shown = {
            "account": target.kind == "user",
            "ips": bool(ips),
            "refuse": target.kind in ("sender", "domain"),
        }
        changed = {
            "ips": Input("ips", _("Block over SMTP"), "choices", choices=ips, labels=labels),
            "tell": Input("tell", _("Tell by mail"), "choices", choices=told, labels=tuple(TELL[one] for one in told)),
        }
        return tuple(changed.get(one.name, one) for one in self.inputs if shown.get(one.name, True))

    def suggested(self, target: Target) -> dict[str, Any]:
        return {
            "account": "1" if target.kind == "user" else "",
            "mail": "hold",
            "ips": [target.key] if target.kind == "ip" else [],
            "tell": [],
        }

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        read = super().parameters(given)
        also = [_address(word) for word in str(read["also"]).replace(",", " ").split()]
        if len(also) > _MOST_TOLD:
            raise Refused(_("At most %(most_told)s addresses are told.") % {"most_told": _MOST_TOLD})
        return {
            **read,
            "mail": read["mail"] or "leave",
            "ips": list(dict.fromkeys(_ip(one) for one in read["ips"])),
            "also": list(dict.fromkeys(also)),
        }

    def effect(self, target: Target, parameters: Mapping[str, Any]) -> str:
        thing, said = _thing(target), []
        if parameters["account"] and thing.kind == "user":
            number = connections.listing(Actor.system(), user=thing.key).total
            said.append(
                ngettext(
                    "The account is contained: no login and no mail out, a new password; %(number)s connection ends.",
                    "The account is contained: no login and no mail out, a new password; %(number)s connections end.",
                    number,
                )
                % {"number": grouped(number)}
            )
        number_here = _here(thing)
        said_here = ngettext("%(number)s message in the spool", "%(number)s messages in the spool", number_here.number)
        messages = said_here % {"number": number_here}
        match parameters["mail"]:
            case "hold":
                said.append(_("%(messages)s: put on hold.") % {"messages": messages})
            case "delete":
                said.append(_("%(messages)s: deleted, without a bounce.") % {"messages": messages})
            case _ if parameters["account"]:
                said.append(_("%(messages)s: put on hold with the account.") % {"messages": messages})
        if parameters["ips"]:
            number = len(parameters["ips"])
            said.append(
                ngettext(
                    "%(number)s IP address blocked over SMTP: %(ips)s.",
                    "%(number)s IP addresses blocked over SMTP: %(ips)s.",
                    number,
                )
                % {"number": number, "ips": ", ".join(parameters["ips"])}
            )
        if parameters["refuse"] and thing.kind in ("sender", "domain"):
            said.append(_("Mail from %(key)s that comes from outside is refused.") % {"key": thing.key})
        told = _told(thing, parameters)
        said.append((_("Told by mail: %(told)s.") % {"told": ", ".join(told)}) if told else _("Nobody is told."))
        return _("%(said)s False alarm takes all of it back.") % {"said": " ".join(said)}

    def do(self, actor: Actor, target: Target, parameters: Mapping[str, Any]) -> Change:
        thing = _thing(target)
        given = dict(parameters) | {
            "account": parameters["account"] and thing.kind == "user",
            "refuse": parameters["refuse"] and thing.kind in ("sender", "domain"),
        }
        if not any((given["account"], given["mail"] != "leave", given["ips"], given["refuse"])):
            raise Refused(_("Choose what is to be done."))
        if given["account"] and thing.user is not None and actor.is_person(thing.user):
            raise Refused(_("You can't contain yourself; ask another administrator."))

        def go_on(records: Sequence[AuditEvent]) -> After:
            [event] = records
            return _go_on(actor, thing, given, event)

        # Written down before anything is tried: the way back finds what was done by then.
        begun = {"did": {}, "facts": kept([fact("Begun")])}
        entry = Written(thing.key, parameters=begun, about=subject_of(thing))
        return Change("", [entry], then=go_on, undo=WayBack(BACK, target, {"tell": "1"}))


STOP = Stop()


def subject_of(thing: Thing) -> Subject:
    """What the record is about."""
    return Subject(thing.kind, thing.key, thing.user.pk if thing.kind == "user" and thing.user is not None else None)


def reason_of(event: AuditEvent) -> str:
    """Why mail is on hold: by this the way back knows it."""
    return f"Incident no. {event.pk}: {event.on}"[:255]


def _go_on(actor: Actor, thing: Thing, given: Mapping[str, Any], event: AuditEvent) -> After:
    """The steps, each with its record. What can't be done is said, and the others are done."""
    did: dict[str, Any] = {}
    said: list[Fact] = []
    good = True
    steps: list[Callable[[], list[Fact]]] = []
    if given["account"]:
        steps.append(lambda: _contain(actor, thing, did))
    if given["mail"] == "delete" or (given["mail"] == "hold" and not given["account"]):
        steps.append(lambda: _mail(actor, thing, given["mail"], event, did))
    steps += [lambda ip=ip: _block(actor, thing, ip, did) for ip in given["ips"]]  # type: ignore[misc]
    if given["refuse"]:
        steps.append(lambda: _refuse(actor, thing, did))
    # Last, for they are told what was done.
    steps += [lambda to=to: _tell(actor, thing, to, said, did) for to in _told(thing, given)]  # type: ignore[misc]
    for step in steps:
        try:
            # What it says of an error is kept, as are reasons of holds: in English.
            with override(SOURCE):
                said += step()
        except _PROBLEMS as error:
            good = False
            said.append(fact("Not done: %(error)s", error=of_error(error, sentence_of)))
        event.parameters = {"did": did, "facts": kept(said)}
        event.save(update_fields=["parameters"])
    return After(" ".join(map(str, said)), good)


def sentence_of(error: Exception) -> str:
    """What a refusal says."""
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    return str(getattr(error, "reply", "") or error)


def _contain(actor: Actor, thing: Thing, did: dict[str, Any]) -> list[Fact]:
    user = _user(thing)
    # Who was contained before stays so after a false alarm.
    was = Containment.objects.open().filter(user=user).exists()
    done = perform(containing.CONTAIN, actor, of_users([user]), {"password": ""})
    if not was:
        did["contained"] = True
    return list(map(kept_as, done.result.done))


def _mail(actor: Actor, thing: Thing, what: str, event: AuditEvent, did: dict[str, Any]) -> list[Fact]:
    chosen = thing.filters[0]
    if what == "hold":
        chosen = chosen.with_values(hold=False)
    number = count(chosen, MOST_AT_ONCE)
    if not number.number:
        return [fact("Nothing of it was in the spool.")]
    given: dict[str, Any] = {"reason": reason_of(event)} if what == "hold" else {}
    outcome = spool_actions.perform(what, chosen, actor, background=number.more, **given)
    did["held" if what == "hold" else "deleted"] = outcome.event.pk
    if not outcome.finished:
        if what == "hold":
            return [fact("More than %(number)s messages are being put on hold in the background.", number=MOST_AT_ONCE)]
        return [fact("More than %(number)s messages are being deleted in the background.", number=MOST_AT_ONCE)]
    done = outcome.event.done
    if what == "hold":
        said = counted_fact("%(number)s message put on hold.", "%(number)s messages put on hold.", done)
    else:
        said = counted_fact("%(number)s message deleted.", "%(number)s messages deleted.", done)
    skipped = outcome.event.skipped
    if not skipped:
        return [said]
    return [said, counted_fact("%(number)s was left alone.", "%(number)s were left alone.", skipped)]


def _block(actor: Actor, thing: Thing, ip: str, did: dict[str, Any]) -> list[Fact]:
    if blacklisted([ip]):
        return [fact("%(ip)s was blacklisted already.", ip=ip)]
    why = "Incident" if ip == thing.key else f"Incident: {thing.key}"[:200]
    perform(BLACKLIST, actor, Target.of("ip", ip), {"description": why})
    did["blocked"] = [*did.get("blocked", ()), ip]
    return [fact("%(ip)s is blacklisted over SMTP.", ip=ip)]


def _refuse(actor: Actor, thing: Thing, did: dict[str, Any]) -> list[Fact]:
    if smtp_blocked([thing.key], Direction.INBOUND):
        return [fact("Mail from %(key)s was refused already.", key=thing.key)]
    perform(BLOCK_INBOUND, actor, Target.of(thing.kind, thing.key), {"description": "Incident"})
    did["refused"] = True
    return [fact("Mail from %(key)s that comes from outside is refused.", key=thing.key)]


def _tell(actor: Actor, thing: Thing, to: str, said: Sequence[Fact], did: dict[str, Any]) -> list[Fact]:
    text = f"{thing.label} {thing.key} was stopped by {actor.name}.\n\n{' '.join(map(str, said))}\n"
    own_mail.send(to, f"{thing.label} {thing.key}: stopped", text, timezone.now())
    did["told"] = [*did.get("told", ()), to]
    return [fact("%(to)s was told.", to=to)]


def _told(thing: Thing, parameters: Mapping[str, Any]) -> list[str]:
    """The addresses."""
    named = [own_mail.postmaster()] if "postmaster" in parameters["tell"] else []
    if "administrators" in parameters["tell"]:
        named += _administrators(thing)
    return list(dict.fromkeys([*named, *parameters["also"]]))


def _administrators(thing: Thing) -> list[str]:
    """Those of the domain, unless it is about one of them."""
    if thing.kind == "ip":
        return []
    domain = thing.key.rpartition("@")[2]
    people = User.objects.filter(domain__name=domain, role=Role.DOMAIN_ADMINISTRATOR, status=Status.ENABLED)
    return list(people.exclude(email=thing.key).order_by("email").values_list("email", flat=True)[:_MOST_TOLD])


def _ips_of(thing: Thing) -> tuple[str, ...]:
    """The IP addresses that its mail came from."""
    return (thing.key,) if thing.kind == "ip" else tuple(evidence(thing).ips)


def _here(thing: Thing) -> Count:
    return count(thing.filters[0], _COUNTED)


def _thing(target: Target) -> Thing:
    return Thing(target.kind, target.key)


def _user(thing: Thing) -> User:
    if thing.user is None:
        raise Refused(_("The account is gone."))
    return thing.user


def _ip(text: str) -> str:
    address = parse_address(text)
    if address is None:
        raise Refused(_("%(text)s is no IP address.") % {"text": text})
    return str(address)


def _address(text: str) -> str:
    try:
        return normalise_address(text)
    except InvalidAddress as error:
        raise Refused(f"{error}.") from error
