"""Sentences that were stored beside mail are in the language of whoever looks; what others wrote is not touched."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from django.utils import translation

from accounts.models import HourlyLimit, Metric, ThrottleAction
from base.stored_texts import said
from spool.delivery.remote import client, destination, error_texts, host_choice, mx, safeguards
from spool.delivery.remote.error_texts import in_words
from tests.languages.test_pages import LANGUAGES
from throttling.subjects import Subject, SubjectKind
from throttling.wording import Reached, reason

# What a worker or an administrator's action wrote, and the same in German.
IN_GERMAN = [
    (
        "connecting to mx.far.test [192.0.2.1]: connection refused",
        "Verbindung zu mx.far.test [192.0.2.1]: Verbindung abgelehnt",
    ),
    (
        "waits until its host is tried again: TLS with mx.far.test [192.0.2.1] failed: no answer in time",
        "wartet, bis der Host wieder versucht wird: TLS mit mx.far.test [192.0.2.1] ist gescheitert:"
        " keine rechtzeitige Antwort",
    ),
    ("the domain far.test does not exist", "die Domain far.test gibt es nicht"),
    ("Removed by root@example.org (web)", "Entfernt von root@example.org (web)"),
    ("Redirected to a@far.test, b@far.test by root@x.org", "An a@far.test, b@far.test umgeleitet von root@x.org"),
    ("Set aside after 3 errors; see its traceback.", "Nach 3 Fehlern zurückgelegt; siehe Traceback."),
    (
        "452 4.2.2 <ann@example.org>: the mailbox is full (limit 50 MB)",
        "452 4.2.2 <ann@example.org>: das Postfach ist voll (Grenze 50 MB)",
    ),
    (
        "250 2.0.0 ann@example.org: forwarded to x@far.test, and kept",
        "250 2.0.0 ann@example.org: weitergeleitet an x@far.test und behalten",
    ),
    (
        "250 2.0.0 stored in ann@example.org's Maildir",
        "250 2.0.0 im Maildir von ann@example.org abgelegt",
    ),
    (
        "slowed: mx.far.test takes only so much mail from us at a time",
        "gebremst: mx.far.test nimmt auf einmal nur begrenzt Mails von uns an",
    ),
    ("Not checked for spam: no answer of Rspamd", "Nicht auf Spam geprüft: keine Antwort von Rspamd"),
]


@pytest.mark.parametrize(("text", "german"), IN_GERMAN)
def test_our_sentences_are_said_in_the_readers_language(text: str, german: str) -> None:
    with translation.override("de"):
        assert said(text) == german
    with translation.override("en"):
        assert said(text) == text


@pytest.mark.parametrize(
    "text", ["", "450 4.2.0 Greylisted, try again later", "Lunch is over", "connecting the dots", "Removed"]
)
def test_whatever_else_was_written_stays(text: str) -> None:
    for language in LANGUAGES:
        with translation.override(language):
            assert said(text) == text


def test_what_another_server_answered_stays_even_if_it_says_what_we_would() -> None:
    text = "452 4.2.2 <ann@example.org>: the mailbox is full (limit 50 MB)"
    with translation.override("de"):
        assert said(text, is_ours=False) == text


@pytest.mark.parametrize("metric", Metric)
@pytest.mark.parametrize(("kind", "name"), [(SubjectKind.USER, "ann@example.org"), (SubjectKind.IP, "192.0.2.7")])
def test_a_limits_reason_is_the_one_that_would_have_been_stored(metric: Metric, kind: SubjectKind, name: str) -> None:
    subject = Subject(kind, name)
    for used in (1, 1_200_000):
        reached = Reached(subject, HourlyLimit(metric, 2_400_000, ThrottleAction.DELAY), used)
        with translation.override("en"):
            stored = reason(reached)
        for language in LANGUAGES:
            with translation.override(language):
                found, wanted = said(stored), reason(reached)
            # What is stored of a bandwidth is rounded.
            assert found == wanted and found != stored


def sentences_of(module: ModuleType) -> Iterator[str]:
    """What a module says: its texts of three words and more, with something in their places; no docstrings, no lines of
    the program's log."""
    tree = ast.parse(Path(module.__file__ or "").read_text())
    inside = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    alone = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if node in inside or node in alone:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "x" for part in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if len(re.findall(r"[a-z]{2,}", text)) >= 3 and not text.startswith("%s"):
            yield text


# The beginning of a sentence.
_NONE = re.compile(r"the mail hosts of x \(x\) have no address|x has no address|x in the DNS")


@pytest.mark.parametrize("module", [error_texts, mx, host_choice, client, destination, safeguards])
def test_each_sentence_of_remote_delivery_is_known(module: ModuleType) -> None:
    with translation.override("de"):
        left = {text for text in sentences_of(module) if said(re.sub(r"^\d\.\d\.\d ", "", text)) == text}
    assert {text for text in left if not _NONE.fullmatch(text)} == set()


def test_errors_of_connections_have_a_language() -> None:
    with translation.override("fr"):
        assert said(in_words(ConnectionRefusedError(111, "x"))) == "connexion refusée"
        assert said(in_words(TimeoutError())) == "pas de réponse à temps"


def test_a_long_text_that_nearly_fits_costs_little() -> None:
    text = ("x has sent x in the last hour, of " * 20)[:500]
    started = time.process_time()
    with translation.override("de"):
        for _ in range(20):
            assert said(text) == text
    assert time.process_time() - started < 2
