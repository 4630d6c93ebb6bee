"""Each verb of each command: what it changes is written down, in the name of who is at the shell."""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.utils import timezone

from accounts import actions, containing
from accounts.account_actions import of_users
from accounts.models import DomainDefaults, SecondFactor, Status, User, UserDefaults
from base.actions.perform import perform
from mailspool.incident.stop import STOP
from quarantine.actions.listed import BLOCK_SENDER
from quarantine.actions.verbs import ACTIONS as OF_ITEMS
from quarantine.models import AntispamSettings, Check, Greylisted, TrustedSender
from security import actions as security
from security.models import BlockReason, LoginBlock, Protocol
from spool.actions import Actor
from spool.actions.verbs import OF_ENTRIES, OF_TRASH
from spool.delivery.shaping import domains
from spool.delivery.shaping.limits import Key
from spool.files import marks, store
from spool.models import (
    AlertRule,
    AuditEvent,
    Destination,
    DestinationRule,
    Machine,
    Route,
    SourceAddress,
    UpdateServer,
)
from spool.signing import lifecycle
from tests.doors.conftest import ANN, PASSWORD, ROOT
from tests.doors.record import nothing_changes_unrecorded
from tests.support.commands import Manage, manage_with
from tests.support.failed_jobs import fail
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in
from throttling.models import GuardPolicy

# A command closes the connections to the database when it is done.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.alike]
SYSTEM = Actor.system()
ROOMS = ("accounts", "security", "spool", "throttling", "quarantine", "mailspool")

FILE: Path = settings.HOME.root / "new.csv"
WHO = f"{getpass.getuser()} (shell)"


def _with_a_second_factor() -> None:
    SecondFactor.objects.create(user=User.objects.get(email=ANN), kind="totp", name="Phone", created=timezone.now())


def _with_a_rule() -> None:
    DestinationRule.objects.create(scope="domain", name="near.test", rate_per_minute=30)


def _stop() -> None:
    perform(STOP, SYSTEM, of_users([User.objects.get(email=ANN)]), {"account": "1"})


def _list_a_sender() -> None:
    perform(BLOCK_SENDER, SYSTEM, of_users([User.objects.get(email=ANN)]), {"sender": "far.test"})


def _write_a_file() -> None:
    FILE.write_text(f"kind,address,password\nuser,new@example.org,{{PLAIN}}{PASSWORD}\n")


def _unmark() -> None:
    for folder in marks.accept():
        (folder / marks.FILE).unlink()
    marks.forget()


def _with_mail_for_a_site() -> None:
    domains.remember([("slow.test", Key("mx.slow.test"))], timezone.now())
    attempt(take_in(a_submission(to=["bob@slow.test"])))


def _with_a_slow_site() -> None:
    now = timezone.now()
    suspended = now + timedelta(hours=1)
    Destination.objects.create(site="mx.slow.test", rate=5, suspended_until=suspended, since=now, changed=now)


def _with_a_dkim_key() -> None:
    lifecycle.make("example.com", "ed25519", timezone.now(), "s")


def _without_administrators() -> None:
    User.objects.filter(email=ROOT).delete()


def _leave_a_stray_file() -> None:
    folder = store.spool_root() / "subspool1"
    folder.mkdir(parents=True, exist_ok=True)
    stray = folder / "20200101000000-stray.eml"
    stray.write_bytes(b"Subject: x\r\n\r\nx\r\n")
    os.utime(stray, (0, 0))


# What only looks, with what it needs to be told.
LOOKS: dict[str, list[str]] = {
    "account alias list": [],
    "account alias show": ["sales@example.org"],
    "account domain defaults show": [],
    "account domain list": [],
    "account domain show": ["example.org"],
    "account list list": [],
    "account list member list": ["news@example.org"],
    "account list show": ["news@example.org"],
    "account user connections": [],
    "account user defaults show": [],
    "account user history": [ANN],
    "account user list": [],
    "account user logins": [ANN],
    "account user show": [ANN],
    "alerts list": [],
    "alerts show": ["Ours"],
    "allow list": [],
    "block domain list": [],
    "block ehlo list": [],
    "block ip list": [],
    "block login list": [],
    "block sender list": [],
    "checks list": [],
    "checks show": ["Ours"],
    "firstrun": [],
    "guard list": [],
    "guard show": ["*"],
    "destinations list": [],
    "destinations show": ["mx.slow.test"],
    "destinations choices": ["far.test"],
    "sources list": [],
    "dkim list": [],
    "dkim show": [],
    "suppression list": [],
    "suppression export": [],
    "dns show": [],
    "incident show": [ANN],
    "jobs list": [],
    "machine list": [],
    "jobs queues": [],
    "jobs show": ["x"],
    "jobs workers": [],
    "quarantine list": [],
    "quarantine senders": [ANN],
    "quarantine show": ["x"],
    "reports list": [],
    "reports received": [],
    "reports senders": ["example.org"],
    "reports tls": ["example.org"],
    "routes list": [],
    "routes show": ["far.test"],
    "settings get": ["postmaster"],
    "settings list": [],
    "spool audit": [],
    "spool list": [],
    "spool show": ["x"],
    "spool stats": [],
    "spool trace": [],
    "throttle list": [],
    "trusted list": [],
    "trusted show": ["far.test"],
    "updateservers list": [],
    "updateservers show": ["far.test"],
}
# What changes something, with what it needs to be told.
DOES: dict[str, list[str]] = {
    "account alias add": ["info@example.org", "--to", ANN],
    "account alias disable": ["sales@example.org"],
    "account alias enable": ["off@example.org"],
    "account alias remove": ["sales@example.org"],
    "account alias set": ["sales@example.org", "--to", "b@far.test"],
    "account domain add": ["example.net"],
    "account domain defaults propagate": ["--field", "max_users", "--all", "--yes"],
    "account domain defaults set": ["--max-users", "9"],
    "account domain disable": ["example.com"],
    "account domain enable": ["off.test"],
    "account domain receiving": ["example.com"],
    "account domain remove": ["example.com"],
    "account domain set": ["example.com", "--description", "Ours"],
    "account export": ["--format", "json"],
    "account import": [str(FILE)],
    "account list add": ["all@example.org"],
    "account list disable": ["news@example.org"],
    "account list enable": ["old@example.org"],
    "account list member add": ["news@example.org", "b@far.test"],
    "account list member remove": ["news@example.org", "a@far.test"],
    "account list remove": ["news@example.org"],
    "account list set": ["news@example.org", "--subject-prefix", "[news]"],
    "account user add": ["eve@example.org", "--password", PASSWORD],
    "account user contain": [ANN],
    "account user defaults propagate": ["--field", "mailbox_mb", "--all", "--yes"],
    "account user defaults set": ["--mailbox-mb", "9"],
    "account user disable": [ANN],
    "account user drop": [ANN],
    "account user enable": ["closed@example.org"],
    "account user forwarding": [ANN],
    "account user factors": [ANN, "--remove"],
    "account user password": [ANN, "--password", PASSWORD],
    "account user receiving": [ANN],
    "account user remove": [ANN],
    "account user set": [ANN, "--name", "Ann"],
    "account user uncontain": ["shut@example.org"],
    "alerts remove": ["Ours"],
    "alerts set": ["Ours", "--kind", "depth", "--threshold", "500", "--mail-to", ANN],
    "allow add": ["198.51.100.1"],
    "allow remove": ["203.0.113.2"],
    "block domain add": ["new.test"],
    "block domain remove": ["spam.test"],
    "block ehlo add": ["new.test"],
    "block ehlo remove": ["ehlo.test"],
    "block ip add": ["198.51.100.2"],
    "block ip remove": ["203.0.113.3"],
    "block login release": [ANN],
    "block sender add": ["new@spam.test"],
    "block sender remove": ["eve@spam.test"],
    "check": ["--mark"],
    "checks remove": ["Ours"],
    "checks set": ["Ours", "--kind", "spf", "--weight", "3"],
    "destinations forget": ["mx.slow.test"],
    "destinations resume": ["mx.slow.test"],
    "destinations retry": ["mx.slow.test"],
    "destinations slow": ["mx.slow.test", "--rate", "30"],
    "destinations suspend": ["mx.slow.test", "--hours", "2"],
    "destinations set": ["far.test", "--rate", "30", "--on", "greylisting: 5, 10"],
    "destinations unset": ["near.test"],
    "sources set": ["192.0.2.7", "--weight", "2", "--senders", "far.test", "--warm-up-since", "today"],
    "sources remove": ["192.0.2.8"],
    "dkim add": ["example.com"],
    "suppression add": ["example.com", "--addresses", "dead@far.test"],
    "dkim remove": ["s._domainkey.example.com"],
    "dkim retire": ["s._domainkey.example.com"],
    "firstadmin": [],
    "guard remove": ["example.com"],
    "guard set": ["example.com", "--no-dry-run", "--exempt", ANN],
    "incident stop": [ANN, "--account", "--yes"],
    "incident false-alarm": [ANN, "--yes"],
    "jobs forget": ["one"],
    "jobs retry": ["one"],
    "machine drain": ["mx9"],
    "machine forget": ["mx9"],
    "machine resume": ["mx9"],
    "quarantine allow": [ANN, "--sender", "x@far.test"],
    "quarantine block": [ANN, "--sender", "far.test"],
    "quarantine unlist": [ANN, "--sender", "far.test"],
    "quarantine greylist": ["--forget-all"],
    "routes remove": ["far.test"],
    "routes set": ["far.test", "--host", "relay.test", "--tls", "verify"],
    "settings reset": ["antispam.keep_days"],
    "settings set": ["antispam.keep_days", "29"],
    "spool doctor": ["--mend"],
    "throttle set": [ANN, "--messages-per-hour", "7"],
    "trusted remove": ["far.test"],
    "trusted set": ["far.test", "--description", "Theirs"],
    "updateservers remove": ["far.test"],
    "updateservers set": ["example.com", "--host", "192.0.2.1", "--key-name", "k.", "--secret-file", str(FILE)],
}


def _machine(*, drains: bool) -> None:
    Machine.objects.filter(name="mx9").delete()
    now = timezone.now()
    Machine.objects.create(name="mx9", since=now, drain_since=now if drains else None)


# What has to be so before.
PREPARED: dict[str, Callable[[], object]] = {
    "account user factors": _with_a_second_factor,
    "account user forwarding": lambda: User.objects.filter(email=ANN).update(forward_to="x@far.test"),
    "account import": _write_a_file,
    "alerts remove": lambda: AlertRule.objects.create(name="Ours", kind="depth", threshold=5),
    "check": _unmark,
    "checks remove": lambda: Check.objects.create(name="Ours", kind="spf"),
    "guard remove": lambda: GuardPolicy.objects.create(domain=actions.get_domain("example.com")),
    "destinations forget": _with_a_slow_site,
    "destinations resume": _with_a_slow_site,
    "destinations unset": _with_a_rule,
    "sources remove": lambda: SourceAddress.objects.create(address="192.0.2.8"),
    "destinations retry": _with_mail_for_a_site,
    "dkim remove": _with_a_dkim_key,
    "dkim retire": _with_a_dkim_key,
    "firstadmin": _without_administrators,
    "jobs forget": lambda: fail("one"),
    "jobs retry": lambda: fail("one"),
    "machine drain": lambda: _machine(drains=False),
    "machine forget": lambda: _machine(drains=False),
    "machine resume": lambda: _machine(drains=True),
    "quarantine senders": _list_a_sender,
    "quarantine unlist": _list_a_sender,
    "routes remove": lambda: Route.objects.create(domain="far.test", host="relay.test"),
    "settings reset": lambda: AntispamSettings.objects.update_or_create(pk=1, defaults={"keep_days": 29}),
    "spool doctor": _leave_a_stray_file,
    "incident false-alarm": _stop,
    "trusted remove": lambda: TrustedSender.objects.create(pattern="far.test"),
    "updateservers remove": lambda: UpdateServer.objects.create(domain="far.test", host="192.0.2.1", key_name="k."),
    "updateservers set": lambda: FILE.write_text("c2VjcmV0IHNlY3JldCBzZWNyZXQ=\n"),
}
# By a function whose records are tested beside it, for all of its doors; or by nobody who could be named.
ELSEWHERE = {
    **dict.fromkeys(
        (
            *(f"spool {verb.short}" for verb in (*OF_ENTRIES, *OF_TRASH)),
            *(f"quarantine {verb.short}" for verb in OF_ITEMS),
        ),
        "spool.actions.perform writes down each verb",
    ),
    "backup": "a copy; it changes nothing",
    "dkim check": "tests/doors/test_actions.py",
    "suppression remove": "tests/doors/test_actions.py",
    "suppression import": "tests/spool/test_suppression.py",
    "dkim publish": "tests/doors/test_actions.py",
    "dns check": "tests/doors/test_actions.py",
    "dns publish": "tests/doors/test_actions.py",
    "quarantine export": "tests/quarantine/test_commands.py",
    "restore": "tests/backup/test_restore.py",
    "scan": "says what the engines find in a file; it changes nothing",
    "scheduler": "a program",
    "send": "hands in a message like any client",
    "smtpd": "a program",
    "spool export": "tests/spool/test_spool_command.py",
    "spool import": "tests/spool/test_transfer.py",
    "spool jobs": "what was cancelled is written into the record of the action",
    "spool put-back": "tests/spool/actions/test_moving.py",
    "spool relocate": "tests/spool/test_in_database.py",
    "spool undo": "tests/spool/actions/test_jobs.py",
    "throttle release": "tests/throttling/test_actions.py",
}


def verbs() -> Iterator[str]:
    """Each command of ours, or each verb of it that has none below."""
    for name, room in sorted(get_commands().items()):
        if room in ROOMS:
            yield from _below(name, load_command_class(room, name).create_parser("manage.py", name))


def _below(words: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield words
    for group in groups:
        for verb, below in group.choices.items():
            yield from _below(f"{words} {verb}", below)


ALL = sorted(verbs())
LISTS = [words for words in ALL if words.endswith(" list")]


@pytest.fixture
def at_the_shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def run(words: str, given: list[str]) -> Any:
        name = words.split(maxsplit=1)[0]
        manage: Manage = manage_with(capsys, monkeypatch, get_commands()[name])
        return manage(*words.split(), *given)

    return run


@pytest.fixture
def things() -> None:
    """One of each, for the verbs to work on; and those that are off already."""
    now = timezone.now()
    actions.add_domain("example.com")
    actions.add_domain("off.test", status=Status.DISABLED)
    actions.add_alias("sales@example.org", ["a@far.test"])
    actions.add_alias("off@example.org", ["a@far.test"], enabled=False)
    actions.add_list("news@example.org", ["a@far.test"])
    actions.add_list("old@example.org", enabled=False)
    security.whitelist(SYSTEM, "203.0.113.2")
    security.blacklist(SYSTEM, "203.0.113.3")
    security.block_smtp(SYSTEM, "spam.test")
    security.block_smtp(SYSTEM, "ehlo.test", kind="ehlo")
    security.block_smtp(SYSTEM, "eve@spam.test")
    Greylisted.objects.create(
        network="203.0.113.0/24", sender="a@far.test", recipient=ANN, first_seen=now, last_seen=now
    )
    LoginBlock.objects.create(
        reason=BlockReason.PAIR,
        ip="203.0.113.9",
        account=ANN,
        failures=5,
        protocol=Protocol.WEB,
        since=now,
        until=now + timedelta(minutes=15),
    )
    for email, status in (("off@example.org", Status.DISABLED), ("shut@example.org", Status.ENABLED)):
        user = User(email=email.replace("off@", "closed@"), status=status, domain=actions.get_domain("example.org"))
        user.set_unusable_password()
        user.save()
    containing.contain(SYSTEM, User.objects.get(email="shut@example.org"))
    actions.change_defaults(DomainDefaults.load(), max_users=50)
    actions.change_defaults(UserDefaults.load(), mailbox_mb=50)


def test_each_verb_is_listed_once() -> None:
    listed = [*LOOKS, *DOES, *ELSEWHERE]
    assert sorted(listed) == ALL, "a new verb: say what it is given, or that it only looks"


def test_what_only_looks_changes_nothing(things: None, at_the_shell: Callable[..., Any]) -> None:
    for words, given in sorted(LOOKS.items()):
        with nothing_changes_unrecorded(WHO, "shell", does=False) as records:
            ran = at_the_shell(words, given)
            assert ran.status in (0, 1), f"{words}: {ran.err or ran.out}"
        assert records == [], words


@pytest.mark.parametrize("words", sorted(DOES))
def test_what_a_verb_changes_is_written_down(words: str, things: None, at_the_shell: Callable[..., Any]) -> None:
    prepare = PREPARED.get(words)
    if prepare is not None:
        prepare()
    with nothing_changes_unrecorded(WHO, "shell", does=True) as records:
        ran = at_the_shell(words, DOES[words])
        assert ran.status == 0, ran.err or ran.out
    assert PASSWORD not in str([record.__dict__ for record in records])


@pytest.mark.parametrize(
    ("words", "given", "on", "said"),
    [
        ("account domain set", ["example.com", "--description", "Ours"], "example.com", "Description: empty → Ours"),
        (
            "account alias set",
            ["sales@example.org", "--to", "b@far.test"],
            "sales@example.org",
            "Delivers to: a@far.test → b@far.test",
        ),
        (
            "account list member add",
            ["news@example.org", "b@far.test"],
            "news@example.org",
            "1 member added: b@far.test",
        ),
        ("account list disable", ["news@example.org"], "news@example.org", "Enabled: yes → no"),
        ("settings set", ["antispam.keep_days", "29"], "Antispam", "→ 29"),
        ("account user disable", [ANN], ANN, "Status: Enabled → Disabled"),
    ],
)
def test_the_record_says_what_it_was_and_what_it_is(
    words: str, given: list[str], on: str, said: str, things: None, at_the_shell: Callable[..., Any]
) -> None:
    assert at_the_shell(words, given).status == 0
    record = AuditEvent.objects.order_by("-pk")[0]
    assert (record.actor, record.source) == (WHO, "shell")
    assert on in record.on and said in record.outcome


def test_what_a_program_reads_of_a_record_are_values() -> None:
    actions.change(User.objects.get(email=ANN), messages_per_hour=7)
    record = AuditEvent.objects.get(action="change user")
    assert record.parameters == {"changed": {"messages_per_hour": [0, 7]}}


@pytest.mark.parametrize("words", LISTS)
def test_a_list_with_nothing_in_it_says_so(words: str, at_the_shell: Callable[..., Any], people: None) -> None:
    """What there is from the beginning is shown."""
    given = [*LOOKS.get(words, []), *(["--address", "nobody"] if words == "suppression list" else [])]
    shown = at_the_shell(words, given)
    assert (shown.out + shown.err).strip(), words
