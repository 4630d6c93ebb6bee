"""Each page of the user site in each language: none says a word of English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import actions
from accounts.models import (
    Alias,
    AppPassword,
    Domain,
    ExternalIdentity,
    FactorKind,
    Login,
    MailingList,
    Metric,
    Role,
    SecondFactor,
    ThrottleAction,
    User,
)
from accounts.sign_in import recovery_codes
from base.languages import OFFERED, SOURCE
from quarantine.models import Item, ItemKind
from spool.actions import Actor
from spool.models import Entry, Outcome, Settings, Status
from spool.models.recipient import Kind
from tests.languages.texts import texts_of
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in
from throttling.models import ThrottleEvent
from throttling.subjects import SubjectKind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis", "home"), pytest.mark.alike]
ANN, BOB, BOSS = "ann@example.org", "bob@example.org", "boss@example.org"
LANGUAGES = [code for code, _ in OFFERED if code != SOURCE]

# What people wrote, names and numbers: what is left of a text without them is in a language.
_VALUES = re.compile(
    # The subject of a notice is as it was written to whom it was for.
    r"Not delivered: Hello \d"
    r"|\S+@\S+|\S*example\.(?:org|net)\S*|\S+\.test\b|\S+://\S+|Hello(?: \w+)?,?(?: later| nobody)?"
    r"|Thunderbird(?: \d+)?"
    r"|Mailspool|URIBL|Eicar-Test \(clamd\)|Phone|Sales|\b[A-Z2-7]{4}(?: [A-Z2-7]{4})+\b|\d[\d.,:/]*"
)
# What is nobody's language: terms of the field, names of header fields, units, names of languages.
_TERMS = re.compile(
    r"(?:SMTP|Web|IMAP|UTC|Message-ID|Received|From|To|Subject|Date|X-\S+|KB|MB|B|s|min|h|d|ann|eml|points"
    r"|TLSv TLS_AES__GCM_SHA|English|Deutsch|Español|Français|[\W_]+)*"
)
# Words that a language really has in common with English.
_COMMON = {
    "de": {
        "Name",
        "Status",
        "Limit",
        "Limits",
        "Code",
        "Spam",
        "Administrator",
        "Single Sign-on",
        "Passkey",
        "Alias",
        "Virus",
        "in  min",
        "in  h",
        "in  d",
        "in  d  h",
        "in  h  min",
        "in  s",
    },
    "fr": {
        "messages",
        "message",
        "Alias",
        "Messages",
        "Actions",
        "Action",
        "Message",
        "Date",
        "Code",
        "Spam",
        "Virus",
        "Type",
        "Pages",
        "Description",
        "description",
    },
    "es": {"Alias", "Spam", "Virus", "No", "Error"},
}


@pytest.fixture(autouse=True)
def people() -> None:
    actions.add_domain("example.org", max_users=9)
    for email, role in ((ANN, Role.USER), (BOB, Role.USER), (BOSS, Role.DOMAIN_ADMINISTRATOR)):
        user = User(email=email, role=role, domain=Domain.objects.get(name="example.org"), messages_per_hour=100)
        user.set_unusable_password()
        user.save()


@pytest.fixture
def life() -> None:
    """Something in each list and table of the site."""
    now, ann, boss = timezone.now(), the(ANN), the(BOSS)
    by_boss = Actor.of(boss)
    actions.add_alias("sales@example.org", [ANN, BOB], actor=by_boss)
    actions.add_list("news@example.org", [BOB], owner=ANN, actor=by_boss)
    for user, email in ((ann, ANN), (boss, BOSS)):
        actions.change(user, actor=by_boss, forward_to="x@example.net", name="Sales", spam_filter="on")
        actions.set_user_status(Actor.system(), user, user.status)  # type: ignore[arg-type]
        Login.objects.create(
            user=user, protocol="SMTP", ip="192.0.2.7", day=now.date(), first=now, last=now, agent="Thunderbird 140"
        )
        SecondFactor.objects.create(user=user, kind=FactorKind.TOTP, name="Phone", material="x", created=now)
        AppPassword.objects.create(user=user, name="Phone", selector="abcd", digest="x", created=now, ended=now)
        ExternalIdentity.objects.create(user=user, issuer="https://sso.example.net", subject=email, created=now)
        recovery_codes.renew(Actor.of(user), user)
        for action in (ThrottleAction.DELAY, ThrottleAction.REJECT, ThrottleAction.NONE):
            metric = {"delay": Metric.MESSAGES, "reject": Metric.RECIPIENTS, "none": Metric.BANDWIDTH}[action.value]
            for ended in (None, now):
                ThrottleEvent.objects.create(
                    kind=SubjectKind.USER,
                    name=user.email,
                    domain="example.org",
                    metric=metric,
                    action=action,
                    amount=100,
                    used=120,
                    since=now,
                    last=now,
                    until=now + timedelta(hours=1),
                    ended=ended,
                )
        waiting, held, gone, unreached, throttled, removed = (
            _sent(user.email, f"Hello {number}") for number in range(6)
        )
        attempt([waiting], "450 4.2.1 Hello, later", outcome=Outcome.PENDING)
        attempt([unreached], "connecting to mx.far.test [192.0.2.9]: connection refused", outcome=Outcome.PENDING)
        Entry.objects.filter(pk=held.pk).update(
            hold=True, hold_until=now + timedelta(days=2), hold_reason=f"Put on hold by {BOSS}"
        )
        reason = f"{user.email} has sent 100 messages in the last hour, of 100 allowed"
        Entry.objects.filter(pk=throttled.pk).update(status=Status.THROTTLED, last_error=reason)
        attempt([removed], f"Removed by {BOSS}", outcome=Outcome.REMOVED)
        attempt([gone], "550 5.1.1 Hello, nobody", outcome=Outcome.BOUNCED)
    _quarantine()


def _quarantine() -> None:
    entry = _sent(ANN, "Hello spam")
    now = timezone.now()
    for number, kind in enumerate(ItemKind):
        Item.objects.create(
            entry_id=10_000 + number,
            kind=kind,
            file_name=f"{number}.eml",
            subspool="x",
            sender=ANN,
            sender_domain="example.org",
            addresses="x@example.net",
            subject="Hello spam",
            auth_user=ANN,
            direction=entry.direction,
            size_bytes=2_000,
            recipients_total=1,
            created=now,
            at=now,
            removal=now + timedelta(days=9),
            why="12.5 points: URIBL 5" if kind == ItemKind.SPAM else "Eicar-Test (clamd)",
            score=12.5 if kind == ItemKind.SPAM else None,
            asked_by=ANN,
            asked_at=now,
            entry={},
            recipients=[],
        )


def _sent(login: str, subject: str) -> Entry:
    (entry,) = take_in(a_submission(login, ["x@far.test"], Kind.REMOTE, subject=subject))
    Entry.objects.filter(pk=entry.pk).update(auth_user=login)
    entry.refresh_from_db()
    return entry


def the(email: str) -> User:
    return User.objects.get(email=email)


def browser(email: str, language: str = "") -> Client:
    client = Client(headers={"Accept-Language": language} if language else {})
    client.force_login(the(email), backend="django.contrib.auth.backends.ModelBackend")
    return client


def places() -> Iterator[str]:
    """Every address of the site that shows a page."""
    plain = (
        "home",
        "settings",
        "forwarding",
        "spam",
        "password",
        "sign_in",
        "mail",
        "outcomes",
        "quarantine",
        "connections",
        "confirm",
        "users",
        "aliases",
        "lists",
        "add_users",
        "add_aliases",
        "add_lists",
        "defaults",
        "senders",
        "domain_outcomes",
        "domain_quarantine",
        "throttled",
    )
    yield from (reverse(f"portal:{name}") for name in plain)
    yield f"{reverse('portal:quarantine')}?view=virus"
    yield f"{reverse('portal:users')}?q=nobody"
    yield f"{reverse('portal:senders')}?older=x"
    for kind, row in (("users", the(ANN)), ("aliases", Alias.objects.get()), ("lists", MailingList.objects.get())):
        yield reverse(f"portal:edit_{kind}", args=[row.pk])
    for name in ("password", "drop", "receiving", "disable", "enable"):
        yield reverse("portal:act", args=["user", name, the(ANN).pk])
    for verb in ("release", "raise"):
        event = ThrottleEvent.objects.filter(name=ANN, ended=None).first()
        assert event is not None
        yield reverse("portal:throttled_act", args=[verb, event.pk])
    yield from (
        reverse("portal:domain_message", args=[name]) for name in Entry.objects.values_list("file_name", flat=True)
    )
    yield from (reverse("portal:domain_quarantine_item", args=[f"{number}.eml"]) for number in range(2))
    yield reverse("portal:message", args=["nothing.eml"])
    yield "/me/nowhere/"


def english_in(page: str, in_english: str, language: str) -> set[str]:
    """The texts of a page that its English form has as well, and that say something."""
    same = {_VALUES.sub("", text).strip(" |·:") for text in set(texts_of(page)) & set(texts_of(in_english))}
    return {text for text in same if not _TERMS.fullmatch(text)} - _COMMON[language]


@pytest.mark.usefixtures("life")
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_of_the_user_site_says_a_word_of_english(language: str) -> None:
    left: dict[str, set[str]] = {}
    for email in (BOSS, ANN):
        theirs, english = browser(email, language), browser(email, SOURCE)
        for place in places():
            page, in_english = theirs.get(place), english.get(place)
            assert page.status_code == in_english.status_code and page.status_code in (200, 302, 403, 404), place
            assert page.headers["Content-Language"] == language
            if page.status_code == 302:
                continue
            text = page.content.decode()
            assert f'<html lang="{language}"' in text, place
            if found := english_in(text, in_english.content.decode(), language):
                left[f"{email} {place}"] = found
    assert left == {}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("place", ["portal:login", "admin:login"])
def test_the_login_is_in_the_browsers_language(language: str, place: str) -> None:
    path = reverse(place)
    page = Client(headers={"Accept-Language": language}).get(path).content.decode()
    assert english_in(page, Client().get(path).content.decode(), language) == set()
    wrong = {"username": "ann@example.org", "password": "wrong"}
    page = Client(headers={"Accept-Language": language}).post(path, wrong).content.decode()
    assert english_in(page, Client().post(path, wrong).content.decode(), language) == set()


class TestWhichLanguage:
    """The person's, else the browser's, else the server's, else English."""

    @staticmethod
    def _language(client: Client, path: str = "/me/settings/") -> str:
        return str(client.get(path).headers["Content-Language"])

    def test_the_persons_choice_comes_before_the_browsers(self) -> None:
        User.objects.filter(email=ANN).update(language="fr")
        assert self._language(browser(ANN, "de")) == "fr"

    @pytest.mark.parametrize(
        ("header", "language"),
        [
            ("de", "de"),
            ("de-AT,en;q=0.5", "de"),
            ("pl,es;q=0.4,fr;q=0.8", "fr"),
            ("en-GB,de;q=0.9", "en"),
            ("pl", "en"),
            ("", "en"),
            ("*", "en"),
            ("x-klingon;q=abc, ,;;", "en"),
            ("de;q=0", "en"),
            ("../../etc/passwd", "en"),
            ("a" * 4000, "en"),
        ],
    )
    def test_the_browser_says_what_it_would_like(self, header: str, language: str) -> None:
        assert self._language(browser(ANN, header)) == language

    def test_the_servers_language_is_for_whom_nobody_else_has_said_one(self) -> None:
        settings = Settings.load()
        settings.language = "es"
        settings.save()
        Settings.forget()
        assert self._language(browser(ANN)) == self._language(browser(ANN, "pl")) == "es"
        assert self._language(browser(ANN, "en")) == "en"

    def test_what_is_no_language_of_ours_is_english_wherever_it_stands(self) -> None:
        User.objects.filter(email=ANN).update(language="xx")
        Settings.load()
        Settings.objects.update(language="tlh")
        Settings.forget()
        assert self._language(browser(ANN)) == "en"

    @pytest.mark.parametrize(
        ("own", "asked", "shown"),
        [("", "de-AT,de;q=0.9", "de"), ("en", "de", "en"), ("", "fr", "en"), ("fr", "de", "de")],
    )
    def test_the_console_is_in_a_language_only_when_it_is_whole_in_it(self, own: str, asked: str, shown: str) -> None:
        root = User(email="root@localhost", role=Role.SYSTEM_ADMINISTRATOR, language=own)
        root.set_unusable_password()
        root.save()
        page = browser("root@localhost", asked).get(reverse("admin:index"), follow=True)
        assert page.headers["Content-Language"] == shown and f'<html lang="{shown}"' in page.content.decode()

    def test_the_language_of_one_answer_is_not_that_of_the_next(self) -> None:
        assert self._language(browser(ANN, "de")) == "de"
        assert self._language(browser(BOB)) == "en"

    def test_a_person_chooses_on_the_own_page(self) -> None:
        client = browser(ANN, "es")
        client.post(reverse("portal:settings"), {"name": "Ann", "language": "de"})
        assert the(ANN).language == "de"
        assert "Gespeichert." in client.get(reverse("portal:settings")).content.decode()
        client.post(reverse("portal:settings"), {"name": "Ann", "language": "xx"})
        assert the(ANN).language == "de"


class TestWhatPagesSay:
    """Plural forms, numbers and moments are those of the language."""

    @pytest.mark.parametrize(
        ("language", "none", "one", "two"),
        [
            ("de", "0 Nachrichten von Ihnen", "1 Nachricht von Ihnen", "2 Nachrichten von Ihnen"),
            ("fr", "0 message de vous", "1 message de vous", "2 messages de vous"),
            ("es", "0 mensajes suyos", "1 mensaje suyo", "2 mensajes suyos"),
        ],
    )
    def test_plural_forms(self, language: str, none: str, one: str, two: str) -> None:
        client = browser(ANN, language)
        for wanted in (none, one, two):
            assert wanted in client.get(reverse("portal:home")).content.decode()
            _sent(ANN, "Hello")

    def test_numbers_and_moments(self) -> None:
        User.objects.filter(email=ANN).update(max_recipients=12_345)
        _sent(ANN, "Hello")
        Entry.objects.update(size_bytes=3_670_016)
        page = browser(ANN, "de").get(reverse("portal:home")).content.decode()
        assert "12.345" in page
        page = browser(ANN, "de").get(reverse("portal:mail")).content.decode()
        assert "3,5 MB" in page and re.search(r'title="\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d UTC"', page)
        assert ">vor " in page

    def test_what_people_have_written_is_no_message(self) -> None:
        _sent(ANN, "Log out %(name)s {} %s")
        page = browser(ANN, "de").get(reverse("portal:mail")).content.decode()
        assert "Log out %(name)s {} %s" in page

    def test_the_history_has_codes_and_each_reader_a_sentence(self) -> None:
        recovery_codes.renew(Actor.of(the(ANN)), the(ANN))
        for language, said in (("de", "Neue Wiederherstellungscodes"), ("en", "New recovery codes were made")):
            assert said in browser(ANN, language).get(reverse("portal:home")).content.decode()
