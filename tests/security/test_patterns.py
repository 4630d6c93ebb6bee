"""Patterns of senders and hosts' names."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.patterns import BadPattern, NameSet, Rule, SenderSet, bare, kind_of, normal_pattern


def senders(*patterns: str) -> SenderSet:
    rules = [
        (kind_of(pattern), Rule(n, normal_pattern(bare(pattern), kind_of(pattern))))
        for n, pattern in enumerate(patterns)
    ]
    return SenderSet([r for kind, r in rules if kind == "address"], [r for kind, r in rules if kind == "domain"])


@pytest.mark.parametrize(
    ("pattern", "hits", "misses"),
    [
        ("Ann@Example.org", ["ann@example.org", "ANN@EXAMPLE.ORG"], ["ann@sub.example.org", "joann@example.org"]),
        ("bob@example.org", ["BOB@example.org", '"bob"@example.org', "bob@EXAMPLE.org."], ["bobby@example.org"]),
        ('"Bob"@example.org', ["bob@example.org"], ['"bob "@example.org']),
        ("ännchen@bücher.example", ["ÄNNCHEN@xn--bcher-kva.example", "Ännchen@BÜCHER.example"], ["annchen@x.example"]),
        ("example.org", ["a@example.org", "b@EXAMPLE.org"], ["a@sub.example.org", "a@notexample.org", ""]),
        ("@example.org", ["a@example.org"], ["a@example.com"]),
        ("*@example.org", ["a@example.org"], ["a@sub.example.org"]),
        ("*.example.org", ["a@sub.example.org", "a@deep.sub.example.org"], ["a@example.org"]),
        ("news-*@x.example", ["news-7@x.example", "news-@x.example"], ["news@x.example", "xnews-1@x.example"]),
        ("ann@*.example.org", ["ann@x.example.org"], ["bob@x.example.org", "ann@example.org"]),
        ("?@example.org", ["a@example.org"], ["ab@example.org"]),
        ("spam*.example", ["x@spam1.example"], ["x@ham.example"]),
        ("x@[192.0.2.1]", ["x@[192.0.2.1]"], ["x@1"]),
        ("*x@[192.0.2.1]", ["axx@[192.0.2.1]"], ["x@1"]),
        ("münchen.example", ["a@xn--mnchen-3ya.example"], ["a@munchen.example"]),
    ],
)
def test_a_pattern_matches_this_and_not_that(pattern: str, hits: list[str], misses: list[str]) -> None:
    found = senders(pattern)
    assert all(found.find(address) for address in hits)
    assert not any(found.find(address) for address in misses)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("address", "ann", "has no @"),
        ("address", "ann@", "not a valid domain name"),
        ("address", "*@*.*", "would match every domain"),
        ("address", "a b@example.org", "space"),
        ("domain", "ann@example.org", "is an address"),
        ("domain", "exa mple.org", "space"),
        ("domain", "*", "would match every domain"),
        ("domain", "-.example", "not a valid domain"),
        ("ehlo", "ann@example.org", "is an address"),
        ("ehlo", "", "Say which"),
        ("ehlo", "*a*b*c*d*e*f*g*h*i", "more than 8 wildcards"),
    ],
)
def test_what_could_never_match_or_always_would_is_refused(kind: str, text: str, sentence: str) -> None:
    with pytest.raises(BadPattern, match=sentence):
        normal_pattern(text, kind)


def test_what_hosts_call_themselves_may_be_anything() -> None:
    names = NameSet([Rule(1, normal_pattern(text, "ehlo")) for text in ("[127.0.0.1]", "*.dyn.example", "LOCALHOST.")])
    assert names.find("[127.0.0.1]") and names.find("a.b.dyn.example") and names.find("localhost")
    assert not names.find("dyn.example") and not names.find("127.0.0.1")


@given(st.text(max_size=60), st.sampled_from(["address", "domain", "ehlo"]), st.text(max_size=60))
def test_any_text_is_a_pattern_or_refused_and_a_pattern_is_its_own_spelling(text: str, kind: str, name: str) -> None:
    try:
        pattern = normal_pattern(text, kind)
    except BadPattern:
        return
    assert normal_pattern(pattern, kind) == pattern
    SenderSet([Rule(1, pattern)] if kind == "address" else [], [Rule(1, pattern)]).find(name)


def test_a_wildcard_costs_no_more_than_its_name_is_long() -> None:
    found = senders("*a*a*a*a*a*a*a*b@example.org")
    began = time.process_time()
    assert not found.find("a" * 64 + "@example.org")
    assert time.process_time() - began < 0.5
