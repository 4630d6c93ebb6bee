"""The console as help desk and who only reads see it: what is drawn works, and what is not theirs is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone

from accounts import actions as accounts
from accounts.actor import NotAllowed
from accounts.models import Role, SignInSettings, User
from accounts.reach import opens
from mailspool.attention import items
from quarantine.models import Item, ItemKind
from spool.actions import Actor, perform
from spool.models import AlertEvent, AlertRule, AuditEvent, BulkJob, Entry, Outcome, Trace
from tests.quarantine.conftest import quarantined, spooled
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in
from tests.throttling.made import an_event

__all__ = ["quarantined", "spooled"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home"), pytest.mark.alike]
HELP, READER, ADMIN = "help@example.org", "reader@example.org", "root@example.org"
ROLES = {HELP: Role.HELP_DESK, READER: Role.READ_ONLY, ADMIN: Role.SYSTEM_ADMINISTRATOR}
HTMX = {"HX-Request": "true"}
LINK = re.compile(r"""\b(href|hx-get|hx-post|data-ask|data-menu|data-open|action)="([^"]*)\"""")


@pytest.fixture
def people() -> dict[str, Client]:
    accounts.add_domain("example.org")
    browsers = {}
    for email, role in ROLES.items():
        user = User(email=email, role=role, domain=accounts.get_domain("example.org"))
        user.set_unusable_password()
        user.save()
        browsers[email] = Client()
        browsers[email].force_login(user)
    return browsers


@pytest.fixture
def mail(people: dict[str, Client], quarantined: Callable[..., Item]) -> dict[str, Any]:
    """A message that waits, one that left, one of each quarantine, and somebody who is throttled."""
    spam, virus = quarantined(sender="eve@far.test"), quarantined(ItemKind.VIRUS, "Eicar", sender="mal@far.test")
    (gone,) = take_in(a_submission("ann@example.org", ["gone@far.test"], subject="Gone"))
    attempt([gone], "550 5.1.1 No such user", outcome=Outcome.BOUNCED)
    (waiting,) = take_in(a_submission("ann@example.org", ["bob@far.test"], subject="Waits"))
    attempt([waiting])
    rule = AlertRule.objects.create(name="Flood", kind="flood-user", threshold=3)
    values = {"rule": rule, "rule_name": rule.name, "kind": rule.kind, "key": HELP, "threshold": 3}
    alert = AlertEvent.objects.create(value=9, highest=9, began=timezone.now(), **values)
    items.look_again()
    return {
        "alert": alert,
        "spam": spam,
        "virus": virus,
        "gone": gone,
        "waiting": waiting,
        "event": an_event(HELP),
    }


def pages(mail: dict[str, Any]) -> list[str]:
    names = (
        "admin:index",
        "admin:spool_entry_changelist",
        "admin:spool_entry_waiting",
        "admin:spool_entry_backlog",
        "destinations",
        "admin:quarantine_item_spam",
        "admin:quarantine_item_virus",
        "admin:spool_trace_changelist",
        "admin:throttling_throttleevent_users",
        "admin:throttling_throttleevent_domains",
        "admin:throttling_throttleevent_changelist",
        "admin:accounts_user_changelist",
        "admin:spool_alertevent_changelist",
    )
    return [
        *map(reverse, names),
        *(f"{reverse(name)}?group=sender" for name in names[1:3]),
        *(reverse("admin:spool_entry_message", args=[mail[name].file_name]) for name in ("waiting", "gone")),
        *(reverse("admin:quarantine_item_message", args=[mail[name].file_name]) for name in ("spam", "virus")),
        reverse("admin:accounts_user_change", args=[User.objects.get(email=HELP).pk]),
        reverse("attention_alert", args=[mail["alert"].pk]),
        *(
            reverse("incident", args=about)
            for about in (("user", HELP), ("sender", "ann@example.org"), ("domain", "far.test"))
        ),
    ]


def drawn(text: str) -> set[tuple[str, str]]:
    """Each place in the console that a page leads to, and how it is asked."""
    found = set()
    for tag in re.findall(r"<[a-z][^>]*>", text):
        for attribute, value in LINK.findall(tag):
            path = unescape(value).partition("?")[0].partition("#")[0]
            if path.startswith("/admin/"):
                sends = attribute == "hx-post" or (attribute == "action" and 'method="post"' in tag)
                found.add((path, "POST" if sends else "GET"))
    return found


@pytest.mark.parametrize("reads_content", [False, True])
@pytest.mark.parametrize("who", [HELP, READER])
def test_whatever_a_page_leads_to_is_within_reach(
    people: dict[str, Client], mail: dict[str, Any], who: str, reads_content: bool
) -> None:
    _content(reads_content)
    user, refused, tried = User.objects.get(email=who), [], 0
    for page in pages(mail):
        answer = people[who].get(page)
        # Of a message that has left there is a page all the same, with what became of it.
        assert answer.status_code == (404 if mail["gone"].file_name in page else 200), page
        for path, method in drawn(answer.content.decode()):
            try:
                found = resolve(path)
            except Resolver404:
                continue
            tried += 1
            name = found.view_name if found.url_name else next(n for n in _REPLACED if reverse(n) == path)
            if not opens(user, name, method):
                refused.append(f"{page}: {method} {path}")
    assert not refused, "\n".join(refused)
    assert tried > 100


_REPLACED = ("admin:index", "admin:login", "admin:password_change")


def _content(is_read: bool) -> None:
    SignInSettings.objects.update_or_create(pk=1, defaults={"helpers_read_content": is_read})
    SignInSettings.forget()


def _buttons(text: str) -> list[str]:
    return re.findall(r'data-act="([a-z-]+)"', text)


def test_help_desk_has_the_buttons_that_help_mail_along_and_no_others(
    people: dict[str, Client], mail: dict[str, Any]
) -> None:
    shown = _buttons(people[HELP].get(reverse("admin:spool_entry_changelist")).content.decode())
    assert shown == ["force", "reset", "hold", "release"]
    assert _buttons(people[HELP].get(reverse("admin:quarantine_item_spam")).content.decode()) == ["resend"]
    assert _buttons(people[HELP].get(reverse("admin:quarantine_item_virus")).content.decode()) == []
    for page in pages(mail):
        assert _buttons(people[READER].get(page).content.decode()) == [], page


def test_help_desk_holds_a_message_and_releases_one_from_quarantine(
    people: dict[str, Client], mail: dict[str, Any]
) -> None:
    chosen = {"ids": str(mail["waiting"].pk), "p-reason": "asked for"}
    assert people[HELP].post(reverse("admin:spool_entry_perform", args=["hold"]), chosen).status_code == 200
    assert Entry.objects.get(pk=mail["waiting"].pk).hold
    released = {"ids": str(mail["spam"].pk), "page": "admin:quarantine_item_spam"}
    assert people[HELP].post(reverse("admin:quarantine_item_perform", args=["resend"]), released).status_code == 200
    assert Entry.objects.filter(file_name=mail["spam"].file_name).exists()
    assert set(AuditEvent.objects.filter(actor=HELP).values_list("action", flat=True)) == {"hold", "quarantine-resend"}


@pytest.mark.parametrize("who", [HELP, READER])
def test_what_is_not_theirs_is_refused_and_changes_nothing(
    people: dict[str, Client], mail: dict[str, Any], who: str
) -> None:
    before = list(Entry.objects.order_by("pk").values_list("pk", "hold", "priority")), Item.objects.count()
    entry, spam, virus = (str(mail[name].pk) for name in ("waiting", "spam", "virus"))
    of_spam, of_virus = "admin:quarantine_item_spam", "admin:quarantine_item_virus"
    asked = [("spool_entry", name, {"ids": entry}) for name in ("delete", "move", "redirect", "priority", "export")]
    asked += [("quarantine_item", name, {"ids": spam, "page": of_spam}) for name in ("delete", "rescan", "export")]
    asked += [("quarantine_item", "resend", {"ids": virus, "page": page}) for page in (of_spam, of_virus)]
    asked += [("quarantine_item", "resend", {"all": "1", "page": of_virus})]
    for room, name, chosen in asked:
        for door in ("dialog", "perform"):
            answer = people[who].post(reverse(f"admin:{room}_{door}", args=[name]), chosen)
            assert answer.status_code in (403, 404), (room, name, door)
    assert before == (list(Entry.objects.order_by("pk").values_list("pk", "hold", "priority")), Item.objects.count())
    assert not AuditEvent.objects.filter(actor=who).exists()


def test_help_desk_neither_trusts_senders_nor_teaches_engines(people: dict[str, Client], mail: dict[str, Any]) -> None:
    of_spam = {"ids": str(mail["spam"].pk), "page": "admin:quarantine_item_spam"}
    dialog = people[HELP].post(reverse("admin:quarantine_item_dialog", args=["resend"]), of_spam).content.decode()
    assert "Resend: 1 message" in dialog and "p-trust" not in dialog and "p-learn" not in dialog
    actor = Actor(HELP, Role.HELP_DESK, "example.org")
    with pytest.raises(NotAllowed, match="trust"):
        perform("quarantine-resend", [mail["spam"].pk], actor, trust=True)


def test_the_content_of_messages_is_a_setting(people: dict[str, Client], mail: dict[str, Any]) -> None:
    for who in (HELP, READER):
        for room, name in (("spool_entry", "waiting"), ("quarantine_item", "spam")):
            message = reverse(f"admin:{room}_message", args=[mail[name].file_name])
            source = reverse(f"admin:{room}_source", args=[mail[name].file_name])
            _content(False)
            text = people[who].get(message, headers=HTMX).content.decode()
            assert "tab-headers" in text and "tab-content" not in text and "tab-source" not in text
            assert people[who].get(source).status_code == 403
            _content(True)
            text = people[who].get(message, headers=HTMX).content.decode()
            assert "tab-content" in text and "tab-source" in text
            assert people[who].get(source).status_code == 200


def test_help_desk_stops_its_own_jobs_alone(people: dict[str, Client], mail: dict[str, Any]) -> None:
    jobs = {
        who: BulkJob.objects.create(
            action="hold",
            filter={},
            ids=[mail["waiting"].pk],
            parameters={},
            actor=who,
            total=1,
            last_id=mail["waiting"].pk,
            created=timezone.now(),
            event=AuditEvent.objects.create(actor=who, action="hold", at=timezone.now()),
        )
        for who in (HELP, ADMIN)
    }
    link = {who: reverse("admin:spool_entry_cancel_job", args=[job.pk]) for who, job in jobs.items()}
    page = people[HELP].get(reverse("admin:spool_entry_changelist")).content.decode()
    shown = {who: reverse("admin:spool_entry_job", args=[job.pk]) in page for who, job in jobs.items()}
    assert shown == {HELP: True, ADMIN: False}
    assert people[HELP].post(link[ADMIN]).status_code == 403
    assert people[READER].post(link[HELP]).status_code == 403
    assert people[HELP].post(link[HELP]).status_code == 200
    states = {who: BulkJob.objects.get(pk=job.pk).state for who, job in jobs.items()}
    assert states == {HELP: "cancelled", ADMIN: "queued"}


def test_users_are_looked_at_and_not_changed(people: dict[str, Client]) -> None:
    user = User.objects.get(email=ADMIN)
    page = reverse("admin:accounts_user_change", args=[user.pk])
    for who in (HELP, READER):
        text = people[who].get(page).content.decode()
        assert ADMIN in text and 'name="role"' not in text and "new_password" not in text
        assert people[who].post(page, {"role": "user"}).status_code == 403
    user.refresh_from_db()
    assert user.role == Role.SYSTEM_ADMINISTRATOR


def test_no_role_of_the_console_is_reached_from_a_domain(people: dict[str, Client]) -> None:
    chief = Actor("chief@example.org", Role.DOMAIN_ADMINISTRATOR, "example.org")
    for who in (HELP, READER):
        user = User.objects.select_related("domain").get(email=who)
        with pytest.raises(NotAllowed):
            chief.require_user(user)
        with pytest.raises(NotAllowed):
            accounts.change(user, actor=chief, name="Mine")


def test_a_trace_is_found(people: dict[str, Client], mail: dict[str, Any]) -> None:
    assert Trace.objects.filter(recipient="gone@far.test").exists()
    for who in (HELP, READER):
        text = people[who].get(reverse("admin:spool_trace_changelist"), {"q": "gone@far.test"}).content.decode()
        assert "No such user" in text


def test_the_menu_of_a_group_has_what_the_role_may_do(people: dict[str, Client], mail: dict[str, Any]) -> None:
    asked = {"page": "admin:spool_entry_changelist", "query": "sender=gone@far.test", "sender": "gone@far.test"}
    menu = people[HELP].get(reverse("messages_menu"), asked).content.decode()
    assert "Hold" in menu and "Delete" not in menu and "Block" not in menu and "Allow" not in menu
    assert "menuitem" not in people[READER].get(reverse("messages_menu"), asked).content.decode()
    for who in (HELP, READER):
        assert "Export" not in people[who].get(reverse("admin:spool_trace_changelist")).content.decode()
        assert people[who].post(reverse("admin:spool_trace_export"), {"format": "csv"}).status_code == 403
