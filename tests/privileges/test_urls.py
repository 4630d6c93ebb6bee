"""Who gets to which page: every URL of the URLconf, every role. A new page is closed here before it is anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from accounts import actions as accounts
from accounts.models import Role, SignInSettings, Status, User
from base.audit.models import AuditEvent
from tests.privileges.urls import Place, places

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis")]

# Pages for those who are not logged in, and why.
OPEN = {
    "": "leads to the console, which asks for a login",
    "admin/login/": "where one logs in",
    "admin/logout/": "logging out twice is no harm",
    "me/logout/": "logging out twice is no harm",
    "quarantine/release/<str:token>/": "asks for the token that was mailed to whom the message is for",
    "unsubscribe/<str:token>": "asks for the token that was mailed to the member whom it takes off a list",
    "me/login/": "where users log in",
    "session/": "says who is logged in, and to others that nobody is",
    "session/signed-in/": "says that one can go back to another tab",
    "me/login/passkey/": "what a passkey of anybody is to sign",
    "me/login/second-factor/": "asks for a right password before",
    "me/login/second-factor/passkey/": "asks for a right password before",
    "me/login/provider/": "leads to the provider for single sign-on, or back to the login",
    "me/login/provider/back/": "takes what the provider says of somebody who began here",
    "readyz": "says yes or no to everybody, and more to who may see the metrics",
    "metrics": "has a token of its own; without one it answers this machine alone",
}
# Pages below these are for every user who is logged in; what of them is somebody's own is tested beside them.
OF_EVERY_USER = ("me/", "hijack/")
# Of those, pages below these are for domain administrators.
OF_DOMAIN_ADMINISTRATORS = ("me/domain/",)
ALL = sorted(places(), key=str)
# Of the console's pages, which those look at who work there and administer nothing; who sends something to which; and
# which show what stands in messages. Every other page is for system administrators alone.
LOOKED_AT = {
    "mailspool.overview.views.overview",
    "admin:index",
    "overview_behind",
    "admin:accounts_user_changelist",
    "admin:accounts_user_change",
    "admin:quarantine_item_changelist",
    "admin:quarantine_item_dialog",
    "admin:quarantine_item_message",
    "admin:quarantine_item_perform",
    "listed_senders",
    "attention",
    "attention_alert",
    "incident",
    "admin:spool_alertevent_changelist",
    "admin:quarantine_item_spam",
    "admin:quarantine_item_virus",
    "admin:spool_entry_backlog",
    "destinations",
    "destination",
    "mail_reports",
    "mail_reports_domain",
    "machines",
    "admin:spool_entry_cancel_job",
    "admin:spool_entry_change",
    "admin:spool_entry_changelist",
    "admin:spool_entry_dialog",
    "admin:spool_entry_forget_view",
    "admin:spool_entry_job",
    "admin:spool_entry_message",
    "admin:spool_entry_perform",
    "admin:spool_entry_recipients",
    "admin:spool_entry_save_layout",
    "admin:spool_entry_save_view",
    "admin:spool_entry_waiting",
    "admin:spool_trace_changelist",
    "admin:throttling_throttleevent_changelist",
    "admin:throttling_throttleevent_domains",
    "admin:throttling_throttleevent_users",
}
SENT_TO = {
    "admin:quarantine_item_dialog",
    "admin:quarantine_item_perform",
    "listed_senders",
    "admin:spool_entry_cancel_job",
    "admin:spool_entry_dialog",
    "admin:spool_entry_forget_view",
    "admin:spool_entry_perform",
    "admin:spool_entry_save_view",
}
CONTENT = {
    "admin:quarantine_item_content",
    "admin:quarantine_item_preview",
    "admin:quarantine_item_source",
    "admin:spool_entry_content",
    "admin:spool_entry_download",
    "admin:spool_entry_preview",
    "admin:spool_entry_source",
}
# Of everybody who is logged in at the console.
FRAME = {"admin:app_list", "admin:jsi18n", "admin:search", "search", "messages_menu", "admin/password_change/"}
SAFE = ("get", "head", "options")
OTHERS = ("put", "delete", "patch", "options")


def a_user(email: str, **fields: Any) -> User:
    user: User = accounts.add_user(email, "a-rather-long-secret", **fields)
    return user


@pytest.fixture(scope="module")
def _people(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, int]]:
    """Made once: each costs a slow hash."""
    with django_db_blocker.unblock():
        before = set(AuditEvent.objects.values_list("pk", flat=True))
        accounts.add_domain("people.test")
        people = {
            "user": a_user("user@people.test"),
            "domain administrator": a_user("domain@people.test", role=Role.DOMAIN_ADMINISTRATOR),
            "help desk": a_user("help@people.test", role=Role.HELP_DESK),
            "read only": a_user("reader@people.test", role=Role.READ_ONLY),
            "disabled help desk": a_user("gone@people.test", role=Role.HELP_DESK),
            "disabled administrator": a_user("off@people.test", role=Role.SYSTEM_ADMINISTRATOR),
            "administrator who only receives": a_user("rec@people.test", role=Role.SYSTEM_ADMINISTRATOR),
            "administrator": a_user("admin@people.test", role=Role.SYSTEM_ADMINISTRATOR),
        }
        for name, status in (
            ("disabled administrator", Status.DISABLED),
            ("disabled help desk", Status.DISABLED),
            ("administrator who only receives", Status.RECEIVING),
        ):
            User.objects.filter(pk=people[name].pk).update(status=status)
        yield {name: user.pk for name, user in people.items()}
        for user in people.values():
            user.delete()
        accounts.remove(accounts.get_domain("people.test"))
        AuditEvent.objects.exclude(pk__in=before).delete()


@pytest.fixture
def people(_people: dict[str, int]) -> dict[str, Client]:
    browsers = {"nobody": Client()}
    for name, pk in _people.items():
        browsers[name] = Client()
        browsers[name].force_login(User.objects.get(pk=pk))
    return browsers


def is_refused(answer: HttpResponse) -> bool:
    """Sent to the login, forbidden, or told that there is nothing."""
    if answer.status_code == 302:
        return answer["Location"].startswith((reverse("admin:login"), reverse("portal:login")))
    return answer.status_code in (401, 403, 404)


def is_of_every_user(place: Place) -> bool:
    return place.route.startswith(OF_EVERY_USER) and place.route not in OPEN


def test_the_walk_finds_the_pages_that_there_are() -> None:
    names = {place.name for place in ALL}
    assert {"admin:index", "admin:spool_entry_perform", "admin:security_blacklistentry_import"} <= names
    assert len(ALL) > 150


def may_be_asked(role: str, place: Place, method: str, *, reads_content: bool = False) -> bool:
    """Whether the console answers somebody there who does not administer it."""
    name = place.name or _view_name(place)
    if role not in ("help desk", "read only"):
        return False
    if method not in SAFE:
        return (role == "help desk" and name in SENT_TO) or name == "admin:spool_entry_save_layout"
    return name in LOOKED_AT or place.name in FRAME or place.route in FRAME or (reads_content and name in CONTENT)


def _view_name(place: Place) -> str:
    return f"{place.view.__module__}.{place.view.__name__}"


@pytest.mark.parametrize(
    ("method", "reads_content"),
    [("get", False), ("post", False), ("get", True)]
    + [pytest.param("post", True, marks=pytest.mark.long)]
    + [pytest.param(method, False, marks=pytest.mark.long) for method in ("head", "options", "put", "patch", "delete")],
)
def test_each_role_gets_to_the_pages_that_are_its_own(
    people: dict[str, Client], method: str, reads_content: bool
) -> None:
    SignInSettings.objects.update_or_create(pk=1, defaults={"helpers_read_content": reads_content})
    SignInSettings.forget()
    wrong, seen = [], set()
    for place in ALL:
        if place.route in OPEN or not place.route.startswith("admin/"):
            continue
        for role in ("help desk", "read only"):
            people[role].raise_request_exception = False
            status = getattr(people[role], method)(place.path).status_code
            seen.add(place.name)
            may = may_be_asked(role, place, method, reads_content=reads_content)
            if may == (status == 403) or status >= 500:
                wrong.append(f"{method.upper()} {place} ({place.name}) for {role}: {status}, may: {may}")
    assert wrong == []
    assert (LOOKED_AT | CONTENT) - {"mailspool.overview.views.overview"} <= seen


@pytest.mark.parametrize("method", ["get", "post", *(pytest.param(one, marks=pytest.mark.long) for one in OTHERS)])
def test_pages_of_administrators_are_closed_to_everybody_else(people: dict[str, Client], method: str) -> None:
    open_to_others = []
    for place in ALL:
        if place.route in OPEN or is_of_every_user(place):
            continue
        for role, browser in people.items():
            if role == "administrator" or may_be_asked(role, place, method):
                continue
            answer = getattr(browser, method)(place.path)
            if not is_refused(answer):
                open_to_others.append(f"{method.upper()} {place} ({place.name}) for {role}: {answer.status_code}")
    assert open_to_others == []


def test_pages_of_every_user_are_closed_to_those_who_are_not_logged_in(people: dict[str, Client]) -> None:
    for place in ALL:
        if is_of_every_user(place) and place.route not in OPEN:
            for role in ("nobody", "disabled administrator", "disabled help desk", "administrator who only receives"):
                for method in ("get", "post"):
                    answer = getattr(people[role], method)(place.path)
                    assert answer.status_code in (302, 403, 404, 405), f"{method} {place} for {role}"
                    if answer.status_code == 302:
                        assert "login" in answer["Location"], f"{method} {place} for {role}: {answer['Location']}"


@pytest.mark.parametrize("method", ["get", "post"])
def test_pages_of_domain_administrators_are_closed_to_others(people: dict[str, Client], method: str) -> None:
    tried, reached = 0, []
    for place in ALL:
        if place.route.startswith(OF_DOMAIN_ADMINISTRATORS):
            for role in ("user", "help desk", "read only"):
                tried += 1
                answer = getattr(people[role], method)(place.path)
                if answer.status_code not in (302, 403, 404, 405):
                    reached.append(f"{place} for {role}: {answer.status_code}")
    assert tried > 10
    assert reached == []


def test_nobody_but_an_administrator_begins_to_be_somebody_else(
    people: dict[str, Client], _people: dict[str, int]
) -> None:
    for role in ("nobody", "user", "domain administrator", "help desk", "read only", "disabled administrator"):
        answer = people[role].post(reverse("hijack:acquire"), {"user_pk": _people["administrator"]})
        assert is_refused(answer), f"{role}: {answer.status_code}"
        assert people[role].get(reverse("admin:spool_route_changelist")).status_code in (302, 403)


def test_no_page_fails_for_an_administrator_whatever_its_arguments(people: dict[str, Client]) -> None:
    browser = people["administrator"]
    browser.raise_request_exception = False
    failed = []
    for place in ALL:
        answer = browser.get(place.path)
        # Nothing runs here, and that page is there to say so.
        if answer.status_code >= 500 and place.path != "/readyz":
            failed.append(f"{place}: {answer.status_code}")
    assert failed == []


@pytest.mark.both
def test_no_page_is_asked_for_with_a_null_character(people: dict[str, Client]) -> None:
    browser = people["administrator"]
    for place in ALL:
        if place.path not in ("/readyz", "/metrics", "/healthz"):
            for path in {f"{place.path}?q=a%00", place.path_with("%00") + "?"}:
                if "%00" in path:
                    answer = browser.get(path)
                    assert (answer.status_code, b"null character" in answer.content) == (400, True), path
            answer = browser.post(place.path, {"q": "a\0"})
            assert answer.status_code == 400, place


@pytest.mark.parametrize(
    "role", ["nobody", "user", "domain administrator", "help desk", "read only", "disabled administrator"]
)
def test_no_action_of_any_list_is_done_for_others(people: dict[str, Client], role: str) -> None:
    done = []
    tried = 0
    for model, model_admin in admin.site._registry.items():
        names = [*(model_admin.actions or ()), "delete_selected"]
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for name in names:
            name = name if isinstance(name, str) else name.__name__
            tried += 1
            answer = people[role].post(page, {"action": name, "_selected_action": ["1", "2"], "post": "yes"})
            if not is_refused(answer):
                done.append(f"{name} of {model.__name__}: {answer.status_code}")
    assert tried > 20
    assert done == []


class TestForgery:
    def test_no_change_is_taken_without_the_token_of_the_own_page(self, _people: dict[str, int]) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(User.objects.get(pk=_people["administrator"]))
        taken = []
        for place in ALL:
            answer = browser.post(place.path)
            if answer.status_code not in (403, 404):
                taken.append(f"{place} ({place.name}): {answer.status_code}")
        assert taken == []

    def test_no_view_is_let_off(self) -> None:
        let_off = {place.name for place in ALL if getattr(place.view, "csrf_exempt", False)}
        # RFC 8058 3.1: mail programs send no cookie; its token is the permission, and no login counts there.
        assert let_off == {"unsubscribe"}

    def test_a_get_logs_nobody_out(self, people: dict[str, Client]) -> None:
        browser = people["administrator"]
        assert browser.get(reverse("admin:logout")).status_code == 405
        assert browser.get(reverse("admin:index")).status_code in (200, 302)


def test_no_page_may_be_framed_and_each_says_what_it_may_load(people: dict[str, Client]) -> None:
    browser, missing = people["administrator"], []
    browser.raise_request_exception = False
    for place in ALL:
        answer = browser.get(place.path)
        if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            # The preview of a message is framed by the message's own page, and sandboxed.
            framed = answer.get("X-Frame-Options") in ("DENY", "SAMEORIGIN")
            if not framed or "frame-ancestors" not in answer.get("Content-Security-Policy", ""):
                missing.append(str(place))
            if answer.get("X-Content-Type-Options") != "nosniff" or not answer.get("Referrer-Policy"):
                missing.append(f"{place}: nosniff, referrer")
    assert missing == []
