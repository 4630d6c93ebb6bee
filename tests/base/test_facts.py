"""Sentences that are kept as templates and values."""

from __future__ import annotations

import json

from django.utils import translation

from base.facts import Fact, counted_fact, fact, few, kept_as, shown, shown_for, whole


def test_what_is_kept_is_said_in_the_language_of_whoever_looks() -> None:
    said = fact(
        "TLS with %(host)s [%(ip)s] failed: %(why)s", host="mx.far.test", ip="192.0.2.1", why=fact("not in time")
    )
    kept = json.loads(json.dumps(said.kept))
    with translation.override("de"):
        assert str(kept_as(kept)) == "TLS mit mx.far.test [192.0.2.1] ist gescheitert: nicht rechtzeitig"
        assert kept_as(kept).english == "TLS with mx.far.test [192.0.2.1] failed: not in time"


def test_numbers_are_as_people_read_them_and_choose_the_plural() -> None:
    kept = [counted_fact("%(number)s bounce", "%(number)s bounces", number).kept for number in (1, 1_600)]
    assert shown(kept) == ["1 bounce", "1,600 bounces"]
    names = whole(fact("from %(names)s", names=few(["ann", "bob", "cid", "dan"], 2))).kept
    assert str(kept_as(names)) == "From ann, bob and 2 more."


def test_what_other_versions_kept_is_shown_as_it_stands() -> None:
    old, newer, odd = "Sent 9 messages, 50 % of them at once.", {"say": "%(gone)s", "with": {"new": "x"}}, {"what": 1}
    assert shown([old, newer, odd, None]) == [old, "%(gone)s", "", ""] and not Fact("")


def test_a_fact_is_shown_for_the_text_beside_it_until_another_version_writes_that() -> None:
    said = fact("the domain %(domain)s does not exist", domain="far.test")
    with translation.override("de"):
        assert shown_for(said.english, said.kept) == "die Domain far.test gibt es nicht"
        assert shown_for("not yet looked for", said.kept) == "not yet looked for"
        assert shown_for("", said.kept) == "" and shown_for("As before.", None) == "As before."


def test_what_strangers_wrote_has_bounds() -> None:
    assert len(json.dumps(fact("%(why)s", why="x" * 10_000).kept)) < 400
