"""Mail to people in their language: the part that people read, and nothing of what programs read."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from django.utils import translation

from accounts import actions, directory
from accounts.models import HourlyLimit, Metric, Role, ThrottleAction, User
from base.languages import OFFERED, SOURCE
from base.times import span
from quarantine import digest, release_requests
from quarantine.models import AntispamSettings, Item, ItemKind
from spool import languages
from spool.dsn.compose import compose
from spool.dsn.report import Action, Report, ReportedRecipient
from spool.models import Entry, Outcome, Settings
from spool.models.entry import Origin
from spool.models.recipient import Kind
from spool.places import contents
from tests.languages import brackets
from tests.languages.texts import texts_of
from tests.support.messages import a_submission
from tests.support.spool_states import attempt, take_in
from throttling import guard, notices
from throttling.models import GuardAction, GuardEvent
from throttling.subjects import Subject, SubjectKind
from throttling.wording import Reached

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ORIGINAL = b"From: ann@example.org\r\nSubject: Hello %(name)s {}\r\n\r\nHi\r\n"


def a_report(language: str, action: Action = Action.FAILED, **known: object) -> Report:
    status = {"failed": "5.1.1", "delayed": "4.2.1"}.get(action.value, "2.0.0")
    recipient = ReportedRecipient(
        "x@far.test", action, status, reply=f"{status[0]}50 {status} Sorry", host="mx.far.test", last_attempt=NOW
    )
    values: dict[str, object] = {
        "reporting_mta": "mail.example.org",
        "postmaster": "postmaster@example.org",
        "reverse_path": "ann@example.org",
        "recipients": (recipient,),
        "message_id": "<1.dsn@mail.example.org>",
        "date": NOW,
        "arrival": NOW - timedelta(hours=3),
        "file_name": "abc.eml",
        "subject": "Hello %(name)s {}",
        "language": language,
    }
    return Report(**{**values, **known})  # type: ignore[arg-type]


def read(report: Report) -> EmailMessage:
    message = email.message_from_bytes(compose(report, ORIGINAL).content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def part(message: EmailMessage, kind: str) -> str:
    [found] = [one for one in message.walk() if one.get_content_type() == kind]
    return found.as_string()


def text_of(message: EmailMessage) -> str:
    [found] = [one for one in message.walk() if one.get_content_type() == "text/plain"][:1]
    return str(found.get_content())


class TestNotices:
    @pytest.mark.parametrize("action", list(Action))
    @pytest.mark.parametrize("language", [code for code, _ in OFFERED])
    def test_only_what_people_read_is_in_a_language(self, language: str, action: Action) -> None:
        message, english = read(a_report(language, action)), read(a_report(SOURCE, action))
        assert part(message, "message/delivery-status") == part(english, "message/delivery-status")
        same = set(text_of(message).split("\n\n")) & set(text_of(english).split("\n\n"))
        if language != SOURCE:
            assert same <= {"x@far.test"} or action is not Action.FAILED
            assert message["Subject"] != english["Subject"]
        for name in ("Date", "From", "To", "Message-ID", "Auto-Submitted"):
            assert message[name] == english[name]

    def test_a_german_notice_is_german(self) -> None:
        message = read(a_report("de"))
        text = text_of(message)
        assert message["Subject"] == "Nicht zugestellt: Hello %(name)s {}"
        assert 'Ihre Nachricht "Hello %(name)s {}", angenommen am 30.11.2026 09:00:00 UTC,' in " ".join(text.split())
        assert "konnte den folgenden Empfängern nicht zugestellt werden." in " ".join(text.split())
        assert "mx.far.test antwortete: 550 5.1.1 Sorry" in text and "Prüfen Sie die Adresse auf Tippfehler" in text

    def test_its_text_survives_servers_of_seven_bits(self) -> None:
        content = compose(a_report("de"), ORIGINAL).content
        assert content.isascii()
        header, _, _ = content.partition(b"\r\n\r\n")
        assert b"=C3=A4" in content and max(map(len, content.split(b"\r\n"))) <= 998
        assert b"\nSubject: Nicht zugestellt: Hello %(name)s {}" in header

    def test_a_subject_beyond_ascii_is_encoded_words(self) -> None:
        content = compose(a_report("fr", Action.DELAYED, subject="Déjeuner"), ORIGINAL).content
        header = content.partition(b"\r\n\r\n")[0]
        assert b"Subject: =?utf-8?" in header and header.isascii()
        assert read(a_report("fr", Action.DELAYED, subject="Déjeuner"))["Subject"] == "Retardé : Déjeuner"

    def test_the_language_of_one_notice_is_not_that_of_the_next(self) -> None:
        read(a_report("de"))
        assert translation.get_language() == SOURCE
        assert read(a_report(SOURCE))["Subject"].startswith("Not delivered: ")

    @pytest.mark.parametrize("language", ["xx", "", "../de", "de-AT-1901", "%s"])
    def test_what_is_no_language_costs_nobody_a_notice(self, language: str) -> None:
        assert "x@far.test" in text_of(read(a_report(language)))


@pytest.mark.parametrize(
    ("language", "one", "more"),
    [("en", "1 day", "2 days 3 hours"), ("de", "1 Tag", "2 Tagen 3 Stunden"), ("fr", "1 jour", "2 jours 3 heures")],
)
def test_spans_have_the_plurals_of_the_language(language: str, one: str, more: str) -> None:
    with translation.override(language):
        assert (span(86_400), span(2 * 86_400 + 3 * 3600)) == (one, more)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis", "home")
class TestWhose:
    @pytest.fixture(autouse=True)
    def _people(self) -> None:
        domain = actions.add_domain("example.org")
        for name, language in (("ann", "de"), ("bob", ""), ("eve", "xx")):
            user = User(email=f"{name}@example.org", domain=domain, language=language)
            user.set_unusable_password()
            user.save()
        directory.forget()

    def test_the_persons_else_the_servers(self) -> None:
        settings = Settings.load()
        settings.language = "fr"
        settings.save()
        Settings.forget()
        assert languages.of_address("ann@example.org") == "de"
        assert languages.of_address("Ann+tag@Example.org") == "de"
        for address in ("bob@example.org", "x@far.test", "", "eve@example.org"):
            assert languages.of_address(address) == "fr"

    def test_a_user_who_reads_german_gets_a_german_bounce(self) -> None:
        for name, said in (("ann", "Nicht zugestellt"), ("bob", "Not delivered")):
            (entry,) = take_in(a_submission(f"{name}@example.org", ["x@far.test"], Kind.REMOTE, subject="Hello"))
            attempt([entry], "550 5.1.1 No such user", outcome=Outcome.BOUNCED)
            notice = Entry.objects.filter(origin=Origin.DSN).order_by("-id")[0]
            with contents.source_of(notice).open("rb") as file:
                message = email.message_from_binary_file(file, policy=email.policy.default)
            assert message["Subject"] == f"{said}: Hello"
            assert notice.subject == f"{said}: Hello"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("redis", "home")
def test_no_mail_to_people_says_what_is_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest, a notice of each limit, the guard's, and each kind of a notice about mail."""
    brackets.put_around_messages(monkeypatch)
    with translation.override("de"):
        said = list(_said_to_people())
    assert {left for text in said if (left := brackets.outside_of(text))} == set()


def _said_to_people() -> Iterator[str]:
    domain = actions.add_domain("example.org")
    roles = (Role.USER, Role.DOMAIN_ADMINISTRATOR)
    people = [User(email=f"{role.value}@example.org", role=role, domain=domain, language="de") for role in roles]
    known = {"sender": "x@example.net", "addresses": "user@example.org", "at": NOW, "asked_at": NOW}
    items = [Item(file_name="1.eml", kind=kind, why="Eicar (clamd)", **known) for kind in ItemKind]
    mail = [digest._message(user, items, AntispamSettings.load(), NOW) for user in people]
    for metric in Metric:
        for kind, name in ((SubjectKind.USER, "user@example.org"), (SubjectKind.DOMAIN, "example.org")):
            reached = Reached(Subject(kind, name), HourlyLimit(metric, 9, ThrottleAction.DELAY), 12)
            mail += [notices._compose(reached, level, "user@example.org").as_bytes() for level in (80, notices.FULL)]
    for done in GuardAction:
        event = GuardEvent(user="user@example.org", action=done, dry_run=done is GuardAction.HOLD, evidence=[])
        mail += [guard._notice(event, "x@example.org", of_the_user=one).as_bytes() for one in (True, False)]
    mail += [compose(a_report("de", action), ORIGINAL).content for action in Action]
    yield release_requests._subject(2)
    yield release_requests._text("example.org", items, 2, "/me/quarantine/")
    for content in mail:
        yield from _read_by_people(content)


def _read_by_people(content: bytes) -> Iterator[str]:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    yield message["Subject"]
    for one in message.walk():
        if one.get_content_type() == "text/plain":
            yield one.get_content()
        elif one.get_content_type() == "text/html":
            yield from texts_of(one.get_content())
