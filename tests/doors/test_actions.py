"""Each action on a thing: by page, command and function it does the same, and the same is written down of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from rq.job import Job

from accounts import actions, containing
from accounts.account_actions import of_users
from accounts.models import Alias, Containment, Domain, MailingList, Role, Status, User
from base import redis_client
from base.actions import registry
from base.actions.action import NotAllowed, Opening, SingleAction, Target
from base.actions.perform import perform, preview
from base.name_servers import NameServers
from base.sealed import seal
from mailspool.dns_records import asking, looking
from mailspool.incident.stop import STOP
from quarantine.actions.listed import ALLOW_SENDER
from quarantine.actions.trust import TRUST
from quarantine.models import ListedSender
from security import actions as security
from security.models import BlacklistEntry, BlockReason, LoginBlock, Protocol, SMTPBlock, WhitelistEntry
from spool.actions import Actor
from spool.delivery.shaping import domains
from spool.delivery.shaping.limits import Key
from spool.models import AuditEvent, Destination, DkimKey, Machine, Suppression, UpdateServer
from spool.monitoring import machines
from spool.signing import lifecycle
from tests.doors.conftest import PASSWORD, ROOT, browser
from tests.languages import brackets
from tests.support.commands import manage_with
from tests.support.dns import DNSServer, in_pieces
from tests.support.failed_jobs import fail, fail_many
from tests.support.knot import KEY_NAME, SECRET, Knot
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in
from tests.throttling.made import an_event
from throttling.models import ThrottleEvent

# A command closes the connections to the database when it is done.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alike]
SYSTEM = Actor.system()
ADMINISTRATOR = Actor(ROOT, Role.SYSTEM_ADMINISTRATOR)
# Of each kind one thing for each door.
KEYS = {
    "user": ("ann@example.org", "ben@example.org", "cid@example.org"),
    "domain": ("one.test", "two.test", "sox.test"),
    "alias": ("one@example.org", "two@example.org", "sox@example.org"),
    "list": ("news1@example.org", "news2@example.org", "news3@example.org"),
    "ip": ("203.0.113.1", "203.0.113.2", "203.0.113.3"),
    "sender": ("a@far.test", "b@far.test", "c@far.test"),
    "login": ("ann@example.org", "ben@example.org", "cid@example.org"),
    "dns": ("one.test", "two.test", "sox.test"),
    "dkim": ("s._domainkey.one.test", "s._domainkey.two.test", "s._domainkey.sox.test"),
    "destination": ("mx.one.test", "mx.two.test", "mx.sox.test"),
    "machine": ("mx1", "mx2", "mx3"),
    "suppressed": ("one.test:dead@far.test", "two.test:dead@far.test", "sox.test:dead@far.test"),
    "job": ("job-1", "job-2", "job-3"),
    "jobs": ("spool.tasks.one", "spool.tasks.two", "spool.tasks.three"),
}
KEYS |= {"network": KEYS["ip"], "pattern": KEYS["sender"]}


@dataclass(frozen=True)
class Case:
    """What is given, the command that does the same, and what has to be there before."""

    given: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    options: tuple[str, ...] = ()
    before: Callable[[str], object] = lambda key: None
    # Of kinds that no page names; the pages of their lists are gone through in test_admin_site.py.
    has_page: bool = True


def _goes_on(key: str) -> None:
    """A site that is not suspended."""
    Destination.objects.filter(site=key).update(suspended_until=None)


def _waits_for(key: str) -> None:
    """A message that waits for a site which is not suspended."""
    domain = key.removeprefix("mx.")
    _goes_on(key)
    domains.remember([(domain, Key(key))], timezone.now())
    attempt(take_in(a_submission(to=[f"bob@{domain}"])))


def _status(status: Status) -> Callable[[str], object]:
    def set_status(key: str) -> object:
        return (User.objects.filter(email=key), Domain.objects.filter(name=key))["@" not in key].update(status=status)

    return set_status


def _off(key: str) -> None:
    Alias.objects.filter(address=key).update(enabled=False)
    MailingList.objects.filter(address=key).update(enabled=False)


def _contained(key: str) -> None:
    containing.contain(SYSTEM, User.objects.get(email=key))


def _closed(key: str) -> None:
    where = {"account": key} if "@" in key else {"ip": key}
    now = timezone.now()
    until = now + timedelta(minutes=15)
    how = {"reason": BlockReason.PAIR, "failures": 5, "protocol": Protocol.WEB, "since": now, "until": until}
    LoginBlock.objects.update_or_create(**where, defaults=how)


def _throttled(key: str) -> None:
    an_event(key, kind=next(kind for kind in ("user", "list", "domain", "ip") if key in KEYS[kind]))


def _limited(key: str) -> None:
    User.objects.filter(email=key).update(messages_per_hour=5)
    MailingList.objects.filter(address=key).update(messages_per_hour=5)
    Domain.objects.filter(name=key).update(messages_per_hour=5)


def _blacklisted(key: str) -> object:
    return security.blacklist(SYSTEM, key, source="spool")


def _blocked(direction: str) -> Callable[[str], object]:
    return lambda key: security.block_smtp(SYSTEM, key, direction=direction, source="spool")


def _stopped(key: str) -> None:
    kind = next(kind for kind in ("user", "sender", "ip", "domain") if key in KEYS[kind])
    target = registry.thing(kind, key)
    assert target is not None
    given = {"account": kind == "user", "refuse": kind in ("sender", "domain"), "ips": [key] if kind == "ip" else []}
    perform(STOP, SYSTEM, target, given)


def _unlisted(key: str) -> None:
    """The address that all doors block is not blocked by the one before."""
    BlacklistEntry.objects.filter(network="192.0.2.7").delete()


def _allowing(key: str) -> None:
    perform(ALLOW_SENDER, SYSTEM, of_users([User.objects.get(email=key)]), {"sender": "far.test"})


def _ours(key: str) -> object:
    """Only senders of this server can be blocked outbound."""
    return Domain.objects.get_or_create(name=key.rpartition("@")[2])


def _ours_blocked(key: str) -> None:
    _ours(key)
    _blocked("outbound")(key)


CASES: dict[tuple[str, str], Case] = {
    ("user", "password"): Case({"password": PASSWORD}, "account user password", ("--password", PASSWORD)),
    ("user", "drop"): Case(command="account user drop"),
    ("user", "receiving"): Case(command="account user receiving"),
    ("user", "enable"): Case(command="account user enable", before=_status(Status.DISABLED)),
    ("user", "disable"): Case(command="account user disable"),
    ("user", "contain"): Case({"password": PASSWORD}, "account user contain", ("--password", PASSWORD)),
    ("user", "contain-again"): Case(before=_contained),
    ("user", "uncontain"): Case({"old_password": "1"}, "account user uncontain", ("--old-password",), _contained),
    ("user", "forwarding"): Case(
        command="account user forwarding",
        before=lambda key: User.objects.filter(email=key).update(forward_to="x@far.test"),
    ),
    ("user", "allow-sender"): Case({"sender": "Pal@far.test"}, "quarantine allow", ("--sender", "Pal@far.test")),
    ("user", "block-sender"): Case({"sender": "*@far.test"}, "quarantine block", ("--sender", "far.test"), _allowing),
    ("user", "unlist-sender"): Case({"sender": "far.test"}, "quarantine unlist", ("--sender", "far.test"), _allowing),
    ("user", "release-login"): Case(command="block login release", before=_closed),
    ("user", "release"): Case(command="throttle release", before=_throttled),
    ("user", "limits"): Case({"messages_per_hour": "9"}, "throttle set", ("--messages-per-hour", "9")),
    ("user", "raise"): Case({"metric": "messages", "limit": "9"}, before=_limited, has_page=False),
    ("domain", "receiving"): Case(command="account domain receiving"),
    ("domain", "enable"): Case(command="account domain enable", before=_status(Status.DISABLED)),
    ("domain", "disable"): Case(command="account domain disable"),
    ("domain", "block"): Case(),
    ("domain", "end-block"): Case(before=_blocked("inbound")),
    ("domain", "block-outbound"): Case(),
    ("domain", "end-block-outbound"): Case(before=_blocked("outbound")),
    ("domain", "release"): Case(command="throttle release", before=_throttled),
    ("domain", "limits"): Case({"bounces_per_hour": "9"}, "throttle set", ("--bounces-per-hour", "9")),
    ("domain", "raise"): Case({"metric": "messages", "limit": "9"}, before=_limited, has_page=False),
    ("alias", "disable"): Case(command="account alias disable"),
    ("alias", "enable"): Case(command="account alias enable", before=_off),
    ("list", "disable"): Case(command="account list disable"),
    ("list", "enable"): Case(command="account list enable", before=_off),
    ("list", "release"): Case(command="throttle release", before=_throttled),
    ("list", "limits"): Case(
        {"messages_per_hour": "9", "action": "reject"},
        "throttle set",
        ("--messages-per-hour", "9", "--action", "reject"),
    ),
    ("list", "raise"): Case({"metric": "messages", "limit": "9"}, before=_limited, has_page=False),
    ("ip", "blacklist"): Case({"description": "Spam"}),
    ("ip", "unblock"): Case(before=_blacklisted),
    ("ip", "unblacklist"): Case(command="block ip remove", before=_blacklisted),
    ("ip", "whitelist"): Case({"spam_bypass": "on"}, "allow add", ("--spam-bypass",)),
    ("ip", "unwhitelist"): Case(command="allow remove", before=lambda key: security.whitelist(SYSTEM, key)),
    ("ip", "release-login"): Case(command="block login release", before=_closed),
    ("ip", "release"): Case(command="throttle release", before=_throttled),
    ("sender", "block"): Case({"description": "Spam"}),
    ("sender", "end-block"): Case(before=_blocked("inbound")),
    ("sender", "block-outbound"): Case(before=_ours),
    ("sender", "end-block-outbound"): Case(before=_ours_blocked),
    ("sender", "trust"): Case({"description": "Newsletter"}),
    ("sender", "distrust"): Case(before=lambda key: perform(TRUST, SYSTEM, Target.of("sender", key))),
    ("sender", "unblock"): Case(
        {"direction": "inbound"}, "block sender remove", ("--direction", "inbound"), _blocked("both")
    ),
    ("domain", "unblock"): Case(
        {"direction": "inbound"}, "block domain remove", ("--direction", "inbound"), _blocked("both")
    ),
    ("user", "stop"): Case(
        {"account": "1", "ips": ["192.0.2.7"]},
        "incident stop",
        ("--account", "--block-ip", "192.0.2.7", "--yes"),
        before=_unlisted,
    ),
    ("user", "false-alarm"): Case({}, "incident false-alarm", ("--yes",), _stopped),
    ("ip", "stop"): Case({"ips": ["192.0.2.7"]}, "incident stop", ("--block-ip", "192.0.2.7", "--yes"), _unlisted),
    ("ip", "false-alarm"): Case({}, "incident false-alarm", ("--yes",), _stopped),
    ("sender", "stop"): Case({"refuse": "1"}, "incident stop", ("--refuse", "--yes")),
    ("sender", "false-alarm"): Case({}, "incident false-alarm", ("--yes",), _stopped),
    ("domain", "stop"): Case({"refuse": "1"}, "incident stop", ("--refuse", "--yes")),
    ("domain", "false-alarm"): Case({}, "incident false-alarm", ("--yes",), _stopped),
    ("login", "release-login"): Case(command="block login release", before=_closed),
    ("domain", "suppress"): Case({"addresses": "new@far.test"}, "suppression add", ("--addresses", "new@far.test")),
    ("suppressed", "unsuppress"): Case(command="suppression remove"),
    ("domain", "dkim-add"): Case({"algorithm": "rsa"}, "dkim add"),
    ("dns", "dns-check"): Case(command="dns check"),
    ("dns", "dns-publish"): Case(
        {"records": ["TLS-RPT"]},
        "dns publish",
        ("--record", "TLS-RPT"),
        lambda key: looking.look_at(key, timezone.now()),
    ),
    ("dkim", "dkim-check"): Case(command="dkim check"),
    ("dkim", "dkim-publish"): Case(command="dkim publish"),
    ("dkim", "dkim-retire"): Case(command="dkim retire"),
    ("dkim", "dkim-remove"): Case(command="dkim remove"),
    ("destination", "destination-slow"): Case({"rate": "30"}, "destinations slow", ("--rate", "30")),
    ("destination", "destination-suspend"): Case(
        {"hours": "2"}, "destinations suspend", ("--hours", "2"), before=_goes_on
    ),
    ("destination", "destination-resume"): Case(command="destinations resume"),
    ("destination", "destination-retry"): Case(command="destinations retry", before=_waits_for),
    ("destination", "destination-forget"): Case(command="destinations forget"),
    ("machine", "machine-drain"): Case(command="machine drain"),
    ("machine", "machine-resume"): Case(command="machine resume", before=lambda key: machines.drain(key, ROOT)),
    ("machine", "machine-forget"): Case(command="machine forget"),
    ("job", "job-retry"): Case(command="jobs retry"),
    ("job", "job-forget"): Case(command="jobs forget"),
    ("jobs", "job-retry"): Case(command="jobs retry --kind", options=("--yes",)),
    ("jobs", "job-forget"): Case(command="jobs forget --kind", options=("--yes",)),
}
# What is done to what was typed, to a list of it or to rows: their doors are commands and the pages of the lists.
BY_ROWS = {"network", "pattern"}


@pytest.fixture(autouse=True)
def things(people: None) -> None:
    domain = actions.get_domain("example.org")
    for key in KEYS["user"]:
        if not User.objects.filter(email=key).exists():
            user = User(email=key, domain=domain)
            user.set_unusable_password()
            user.save()
    for key in KEYS["domain"]:
        actions.add_domain(key)
        lifecycle.make(key, "ed25519", timezone.now(), "s")
    for key in KEYS["alias"]:
        actions.add_alias(key, ["x@far.test"])
    for key in KEYS["list"]:
        actions.add_list(key, ["x@far.test"])
    now = timezone.now()
    for key in KEYS["destination"]:
        Destination.objects.create(site=key, rate=5, suspended_until=now + timedelta(hours=1), since=now, changed=now)
    for key in KEYS["suppressed"]:
        domain, _, address = key.partition(":")
        Suppression.objects.create(domain=domain, address=address, reason="bounce", since=now)
    for key in KEYS["machine"]:
        Machine.objects.create(name=key, since=now)
    fail_many(KEYS["job"])
    for key in KEYS["jobs"]:
        fail(_job_of(key), key)


@pytest.fixture(autouse=True)
def dns(things: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Shows the record of each key, and what else mail needs."""
    with DNSServer() as server:
        for key in DkimKey.objects.all():
            server.add(key.domain, "SOA", f"ns.{key.domain}. root.{key.domain}. 1 3600 600 86400 60")
            server.add(key.domain, "NS", f"ns.{key.domain}.")
            server.add(f"ns.{key.domain}", "A", "127.0.0.1")
            server.add(key.name, "TXT", in_pieces(key.record))
            server.add(key.domain, "MX", f"10 {settings.MAILSPOOL_HOSTNAME}.")
            server.add(key.domain, "TXT", '"v=spf1 mx -all"')
            server.add(f"_dmarc.{key.domain}", "TXT", '"v=DMARC1; p=none"')
        for made in ((lifecycle, "servers_of_domains"), (asking, "servers")):
            monkeypatch.setattr(*made, lambda: NameServers(server.address, server.port))
        settings.MAILSPOOL_DNS = server.address
        yield


@pytest.fixture(autouse=True)
def updates(things: None, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """What publishes has a name server that takes updates of all domains."""
    if not request.node.name.endswith("-publish]"):
        yield
        return
    with Knot(tmp_path, *KEYS["dns"]) as knot:
        UpdateServer.objects.create(
            domain="*", host="127.0.0.1", port=knot.port, key_name=KEY_NAME, sealed_secret=seal(SECRET)
        )
        yield


def all_of(action: SingleAction[Any]) -> list[tuple[str, str]]:
    return [(kind, action.name) for kind in action.kinds if kind not in BY_ROWS and kind in KEYS]


def test_each_action_is_listed() -> None:
    registered = {one for action in registry.all_actions() if not isinstance(action, Opening) for one in all_of(action)}
    assert registered == set(CASES), "a new action: say what it is given, and which command does the same"


def _job_of(function: str) -> str:
    """The job that calls it."""
    return f"of-{function.rpartition('.')[2]}"


def state(key: str) -> list[Any]:
    """How things are with a key, whatever it names; without what is its own, as its number."""
    user = User.objects.filter(email=key).first()
    tables: list[Any] = [
        User.objects.filter(email=key).values("status", "forward_to", "messages_per_hour", "messages_action"),
        Domain.objects.filter(name=key).values("status", "messages_per_hour", "messages_action", "bounces_per_hour"),
        Alias.objects.filter(address=key).values("enabled"),
        MailingList.objects.filter(address=key).values("enabled", "messages_per_hour", "messages_action"),
        BlacklistEntry.objects.filter(network=key).values("smtp", "web", "source", "description", "expires_at"),
        WhitelistEntry.objects.filter(network=key).values("smtp", "web", "spam_bypass", "auth_bypass", "login_bypass"),
        SMTPBlock.objects.filter(pattern=key).values("direction", "source", "description", "spool_direction"),
        LoginBlock.objects.filter(account=key, until__gt=timezone.now()).values("failures"),
        LoginBlock.objects.filter(ip=key, until__gt=timezone.now()).values("failures"),
        ThrottleEvent.objects.filter(name=key, ended=None).values("metric"),
        DkimKey.objects.filter(domain=key).exclude(selector="s").values("algorithm", "state"),
        DkimKey.objects.filter(domain=key.partition("._domainkey.")[2]).values("state", "found", "send_problem"),
        Suppression.objects.filter(domain=key.partition(":")[0]).values("address", "reason", "evidence", "expires"),
        Destination.objects.filter(site=key).values("rate", "rate_by_hand", "suspended_until__hour", "note"),
        Machine.objects.filter(name=key).values("drain_since__hour"),
        ListedSender.objects.filter(user__email=key).values("pattern", "listing"),
        Containment.objects.filter(user__email=key, closed=None).values("status_before"),
    ]
    password = user is not None and (user.check_password(PASSWORD), user.has_usable_password())
    jobs = Job.fetch_many([key, _job_of(key)], connection=redis_client.redis())
    return [*map(list, tables), password, [job and str(job.get_status()) for job in jobs]]


def records(since: int, key: str) -> list[Any]:
    """What was written down, with the thing's own name left out."""
    found = AuditEvent.objects.filter(pk__gt=since).exclude(source="system").order_by("pk")
    return [
        (one.action, one.on.replace(key, "KEY"), one.outcome.replace(key, "KEY"), one.done, _named(one.parameters, key))
        for one in found
    ]


def _named(parameters: dict[str, Any], key: str) -> Any:
    text = re.sub(r"no\. \d+|\b\d{4,}\b", "PK", json.dumps(parameters))
    return json.loads(text.replace(_job_of(key), "JOB").replace(key, "KEY"))


def _posted(client: Client, kind: str, name: str, key: str, given: dict[str, Any]) -> str:
    typed = {"key": key, **{f"p-{one}": value for one, value in given.items()}}
    asked = client.post(reverse("thing_dialog", args=[kind, name]), typed)
    assert asked.status_code == 200 and 'id="confirm-title"' in asked.content.decode()
    answer = client.post(reverse("thing_act", args=[kind, name]), typed)
    assert answer.status_code == 200 and answer.headers.get("HX-Trigger") == "ms-done", answer.content.decode()
    return answer.content.decode()


@pytest.mark.parametrize(("kind", "name"), sorted(CASES))
def test_every_door_does_the_same_and_leaves_the_same_record(
    kind: str, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    case, action = CASES[kind, name], registry.find(kind, name)
    assert action is not None
    by_page, by_command, by_function = KEYS[kind]

    def through_the_page() -> None:
        _posted(browser(ROOT), kind, name, by_page, case.given)

    def through_the_command() -> None:
        words = case.command.split()
        ran = manage_with(capsys, monkeypatch, get_commands()[words[0]])(*words, by_command, *case.options)
        assert ran.status == 0, ran.err or ran.out

    def through_the_function() -> None:
        target = registry.thing(kind, by_function)
        assert target is not None
        assert preview(action, ADMINISTRATOR, target, case.given).count == 1
        assert perform(action, ADMINISTRATOR, target, case.given).sentence

    doors = [(by_function, through_the_function)]
    doors += [(by_page, through_the_page)] if case.has_page else []
    doors += [(by_command, through_the_command)] if case.command else []
    found = []
    for key, go in doors:
        case.before(key)
        was, last = state(key), AuditEvent.objects.order_by("pk").values_list("pk", flat=True).last() or 0
        go()
        found.append((was, state(key), records(last, key)))
    first = found[0]
    for one in found[1:]:
        assert one == first
    assert first[2], "nothing was written down"
    assert PASSWORD not in str(first[2])


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
def test_no_action_is_offered_to_nor_done_for_who_may_not(role: Role) -> None:
    """All of them at once: none changes what the next one finds."""
    stranger = Actor("eve@other.test", role, "other.test")
    offered, done = [], []
    for (kind, name), case in sorted(CASES.items(), key=lambda one: one[0]):
        action, target = registry.find(kind, name), registry.thing(kind, KEYS[kind][0])
        assert action is not None and target is not None, (kind, name)
        if registry.is_offered(action, target, stranger):
            offered.append((kind, name))
        for do in (preview, perform):
            try:
                do(action, stranger, target, case.given)
            except NotAllowed:
                continue
            done.append((kind, name, do.__name__))
    assert (offered, done) == ([], [])


def test_what_a_menu_offers_asks_first_when_it_is_dangerous() -> None:
    """A dangerous action is described, and its description is no empty sentence."""
    for action in registry.all_actions():
        assert action.label and action.summary and action.icon
        if action.danger and not isinstance(action, Opening):
            for kind in action.kinds if action.menu_kinds is None else action.menu_kinds:
                target = registry.thing(kind, KEYS[kind][0])
                assert target is not None
                if not action.suits(target):
                    continue
                assert len(preview(action, ADMINISTRATOR, target).effect) > 20


def test_whatever_an_action_says_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its dialog, its answer and its record: all of them at once, each as far as the one before has left it to do."""
    brackets.put_around_messages(monkeypatch)
    # What was stored in English is said anew for everybody but English people.
    User.objects.update(language="de")
    client, found, done = browser(ROOT), {}, 0
    for (kind, name), case in CASES.items():
        # Without a server that takes updates, its answer is that of the DNS.
        if not case.has_page or name.endswith("-publish"):
            continue
        key = KEYS[kind][0]
        case.before(key)
        typed = {"key": key, **{f"p-{one}": value for one, value in case.given.items()}}
        for door in ("thing_dialog", "thing_act"):
            answer = client.post(reverse(door, args=[kind, name]), typed)
            done += answer.headers.get("HX-Trigger") == "ms-done"
            found |= dict.fromkeys(brackets.outside(answer.content.decode()), f"{door} {kind} {name}")
    for event in AuditEvent.objects.exclude(source="system"):
        with translation.override("de"):
            outcome = event.outcome
        found |= {text: event.action for text in [brackets.outside_of(outcome)] if text}
        found |= {event.title: "title"} if event.title == event.action else {}
    assert found == {}
    assert done > 60


@pytest.mark.parametrize(
    ("kind", "name"), [one for one in sorted(CASES) if (found := registry.find(*one)) and found.undoable]
)
def test_undo_is_offered_and_takes_it_back(kind: str, name: str) -> None:
    case, action, key = CASES[kind, name], registry.find(kind, name), KEYS[kind][2]
    assert action is not None
    case.before(key)
    was, target = state(key), registry.thing(kind, key)
    assert target is not None
    done = perform(action, ADMINISTRATOR, target, case.given)
    assert done.undo is not None
    back = registry.find(done.undo.target.kind, done.undo.action)
    assert back is not None
    again = registry.thing(kind, key) or Target.of(kind, key)
    perform(back, ADMINISTRATOR, again if back.kinds and kind in back.kinds else done.undo.target, done.undo.given)
    assert state(key) == was
