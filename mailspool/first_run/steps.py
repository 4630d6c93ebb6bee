"""The steps, what is so about each, and the one thing that does it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from django.db import connections
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _lazy

from accounts.models import Domain, Role, SecondFactor, User
from base.numbers import grouped
from base.short_cache import ShortCache
from mailspool.inspection.all import inspect
from mailspool.inspection.findings import Finding, Level
from spool.models import AlertRule, Entry, Installation, Outcome, Trace

log = logging.getLogger(__name__)
# The DNS is asked at most so often.
_KEPT_SECONDS: Final = 30.0
_HOST: Final = "mailspool.inspection.names.host_name"
_CERTIFICATE: Final = "mailspool.inspection.certificate.certificate"
_DOMAINS: Final = ("mailspool.inspection.names.local_domains", "mailspool.inspection.names.sender_policies")
_SETTINGS: Final = (_lazy("Settings"), "settings")
# Of what is wrong with many domains so much is said.
_MOST_SAID: Final = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One of them. `fix` is a label and where it leads; without one its sentence says what to do elsewhere."""

    name: str
    title: str
    done: bool
    sentence: str
    fix: tuple[str, str] | None = None


def steps(user: User | None = None, *, waits: bool = True) -> list[Step]:
    """All, in the order in which they are done. `user` is whose second factor is looked for.

    Asks the DNS, about as many as a hundred domains. Where nobody `waits` for that, it is what `look_beside` has found
    so far.
    """
    found: Mapping[str, list[Finding]] = _looks.current() if waits else _looks.last or {}
    return [
        _of_findings("hostname", gettext("Host name"), found.get(_HOST), None),
        _of_findings("certificate", gettext("Certificate"), found.get(_CERTIFICATE), (gettext("Settings"), "settings")),
        _domain([finding for path in _DOMAINS for finding in found[path]] if found else None),
        _user(),
        _test_message(),
        _alerts(),
        _second_factor(user),
    ]


def look_beside() -> bool:
    """Ask the DNS beside the request, when that is a while ago; whether it has still to answer.

    Said before `steps`: what they say once it is False is complete.
    """
    if not _looks.is_fresh() and _looking.acquire(blocking=False):
        threading.Thread(target=_look_in_thread, name="first-run-dns", daemon=True).start()
    return is_looking()


def is_looking() -> bool:
    """Whether the DNS is still being asked."""
    return _looking.locked()


def look_again() -> None:
    """Ask the DNS anew at the next look."""
    _looks.forget()


def is_over() -> bool:
    """Whether it was finished or dismissed. One query, at most every ten seconds."""
    return _over.current()


def forget() -> None:
    """It was finished, dismissed or begun anew."""
    _over.forget()


def _of_findings(name: str, title: str, findings: Iterable[Finding] | None, fix: tuple[str, str] | None) -> Step:
    if findings is None:
        return Step(name, title, False, gettext("The DNS is being asked …"))
    findings = list(findings)
    wrong = [finding.sentence for finding in findings if finding.level is not Level.OK]
    right = [finding.sentence for finding in findings if finding.level is Level.OK]
    sentence = " ".join(wrong[:_MOST_SAID] or right[:1])
    return Step(name, title, not wrong, sentence, (fix[0], reverse(fix[1])) if fix else None)


def _domain(findings: list[Finding] | None) -> Step:
    if not Domain.objects.exists():
        add = (gettext("Add a domain"), reverse("admin:accounts_domain_add"))
        return Step("domain", gettext("Domain and its DNS"), False, gettext("There is no domain yet."), add)
    return _of_findings("domain", gettext("Domain and its DNS"), findings, (gettext("DNS records"), "dns"))


def _user() -> Step:
    add = (gettext("Add a user"), reverse("admin:accounts_user_add"))
    there = User.objects.exclude(role=Role.SYSTEM_ADMINISTRATOR).exists()
    sentence = gettext("There are users.") if there else gettext("There is nobody but system administrators.")
    return Step("user", gettext("A user"), there, sentence, add)


def _test_message() -> Step:
    name = Installation.objects.values_list("test_message", flat=True).filter(pk=1).first() or ""
    title = gettext("A test message")
    if not name:
        return Step("test", title, False, gettext("Send one to an address where you can read it."))
    outcomes = list(Trace.objects.filter(file_name=name).values_list("outcome", "reply"))
    if any(outcome == Outcome.DELIVERED for outcome, _ in outcomes):
        return Step("test", title, True, gettext("It was delivered."))
    if outcomes:
        return Step(
            "test", title, False, (gettext("It was not delivered: %(outcomes)s") % {"outcomes": outcomes[0][1]})
        )
    entry = Entry.objects.filter(file_name=name).first()
    if entry is None:
        return Step("test", title, False, gettext("It is gone."))
    waits = entry.last_error or gettext("it is on its way")
    return Step("test", title, False, (gettext("Not delivered yet: %(waits)s.") % {"waits": waits}))


def _alerts() -> Step:
    told = AlertRule.objects.filter(~Q(mail_to="") | ~Q(webhook_url=""), enabled=True).count()
    sentence = (
        ngettext("%(told)s rule tells somebody.", "%(told)s rules tell somebody.", told) % {"told": grouped(told)}
        if told
        else gettext("No rule tells anybody.")
    )
    return Step(
        "alerts",
        gettext("Alerts"),
        told > 0,
        sentence,
        (gettext("Alert rules"), reverse("admin:spool_alertrule_changelist")),
    )


def _second_factor(user: User | None) -> Step:
    title, fix = gettext("Second factor"), (gettext("Signing in"), reverse("portal:sign_in"))
    meant = User.objects.filter(role=Role.SYSTEM_ADMINISTRATOR)
    if user is not None:
        meant = User.objects.filter(pk=user.pk)
    without = meant.exclude(pk__in=SecondFactor.objects.values("user")).order_by("email")
    names = list(without.values_list("email", flat=True)[:_MOST_SAID])
    if not names:
        return Step("factor", title, True, gettext("It is set up."), fix)
    return Step(
        "factor",
        title,
        False,
        (gettext("%(names)s: a password alone lets in whoever knows it.") % {"names": ", ".join(names)}),
        fix,
    )


def _look() -> dict[str, list[Finding]]:
    return {path: list(inspect([path])) for path in (_HOST, _CERTIFICATE, *_DOMAINS)}


def _look_in_thread() -> None:
    try:
        _looks.current()
    except Exception:
        log.exception("what the first steps need could not be looked at")
    finally:
        connections.close_all()
        _looking.release()


def _read_over() -> bool:
    return Installation.objects.filter(pk=1, first_run_over__isnull=False).exists()


# Held by the thread that asks the DNS.
_looking = threading.Lock()
_looks = ShortCache(_KEPT_SECONDS, _look)
_over = ShortCache(10.0, _read_over)
