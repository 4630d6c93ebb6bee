"""DMARC judges what a reader may see; and what one sender's DNS does is nobody else's business."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError

from quarantine.engines.checks import _points_of_dmarc
from quarantine.engines.dmarc import DmarcResult, _strictest, _tags, _walk, _wish, dmarc_of, from_domains
from quarantine.engines.examined import Examined
from quarantine.models import AntispamSettings, CheckKind, Item, ItemKind
from spool.actions import Actor, perform
from tests.quarantine.spamming import EVE, a_check, a_mail, from_outside, junk, signed
from tests.spool.passing import FAR, Spool

PROTECTED = "protected.test"
ATTACKER = "attacker.test"


def results(spool: Spool) -> list[str]:
    """What Authentication-Results says of each message that arrived."""
    spool.work()
    messages = [message.as_string() for message in spool.mailbox()] + [raw.decode() for raw in junk()]
    return [text.replace("\n ", " ").partition("Authentication-Results: ")[2].partition("\n")[0] for text in messages]


@pytest.mark.parametrize(
    "fields",
    [
        f"From: x@{ATTACKER}\r\nFrom: ceo@{PROTECTED}",
        f"From: ceo@{PROTECTED}\r\nFrom: x@{ATTACKER}",
        f"From: x@{ATTACKER}, ceo@{PROTECTED}",
        f"From: x@{ATTACKER} <ceo@{PROTECTED}>",
        f'From: "ceo@{PROTECTED}" <x@{ATTACKER}>',
        f"From: =?utf-8?Q?ceo=40{PROTECTED}?= <x@{ATTACKER}>",
        f"From: bosses: ceo@{PROTECTED}, x@{ATTACKER};",
        f"From: ceo@{PROTECTED}",
        f"from : ceo@{PROTECTED.upper()}.",
    ],
)
def test_every_domain_that_could_be_shown_is_judged(spool: Spool, fields: str) -> None:
    spool.dns.add(f"_dmarc.{PROTECTED}", "TXT", '"v=DMARC1; p=reject"')
    spool.dns.add(ATTACKER, "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"')
    spool.dns.add(f"_dmarc.{ATTACKER}", "TXT", '"v=DMARC1; p=none"')
    a_check(CheckKind.DMARC, 10)
    content = a_mail().replace(f"From: {EVE}".encode(), fields.encode())
    from_outside(spool, content, sender=f"x@{ATTACKER}")
    assert results(spool) == [f"mail.test; dmarc=fail header.from={PROTECTED} policy.dmarc=reject"]


@pytest.mark.parametrize(
    "fields",
    [
        f"From: ceo@{PROTECTED} {'(' * 4_000}",
        f"From: {'(' * 4_000}{')' * 4_000} ceo@{PROTECTED}",
        f"From: {'x: ' * 2_000} ceo@{PROTECTED}",
        f'From: "the ceo" (of (all)) @ protected . (x) test, x@{ATTACKER}',
        f'From: "ceo"@{PROTECTED} <x@{ATTACKER}>',
    ],
)
def test_no_way_of_writing_hides_a_domain(fields: str) -> None:
    assert PROTECTED in from_domains(Examined(Path("none"), 0, "", held=f"{fields}\r\n\r\n".encode()))


@pytest.mark.parametrize(
    "fields",
    [
        f"From: {', '.join(f'x@a{number}.test' for number in range(20))}, ceo@{PROTECTED}",
        f"From: ({'x' * 20_000}) ceo@{PROTECTED}",
    ],
)
def test_a_field_that_goes_on_and_on_is_no_way_past_it(spool: Spool, fields: str) -> None:
    check = a_check(CheckKind.DMARC, 10)
    examined = Examined(Path("none"), 0, "", held=f"{fields}\r\n\r\n".encode())
    points, text = _points_of_dmarc(check, examined, asyncio.run(dmarc_of(examined)))
    assert (points, text) == (5.0, "permerror: From is longer than can be judged")


@pytest.mark.parametrize("first_line", ["From x@attacker.test\r\n y", "X: y\r\n z"])
def test_what_upsets_the_reader_of_signatures_is_judged_without_one(spool: Spool, first_line: str) -> None:
    spool.dns.add(f"_dmarc.{PROTECTED}", "TXT", '"v=DMARC1; p=reject"')
    a_check(CheckKind.DMARC, 10)
    signature = "DKIM-Signature: v=1; d=attacker.test\r\n"
    content = a_mail().replace(f"From: {EVE}".encode(), f"{first_line}\r\n{signature}From: ceo@{PROTECTED}".encode())
    from_outside(spool, content, sender=f"x@{ATTACKER}")
    assert results(spool) == [f"mail.test; dmarc=fail header.from={PROTECTED} policy.dmarc=reject"]


def test_a_record_that_is_all_blanks_or_letters_is_read_once() -> None:
    for text in ("v=DMARC1;" + " " * 65_000, "v=DMARC1;" + "a" * 65_000):
        assert _tags(f"{text};p=reject")["p"] == "reject"


def test_a_domain_beyond_ascii_is_asked_for_by_its_name_in_the_dns(tmp_path: Path) -> None:
    content = "From: =?utf-8?Q?x?= <a@faß.test>, b@bücher.test\r\n\r\n".encode()
    examined = Examined(tmp_path, len(content), "", held=content)
    assert from_domains(examined) == ["xn--fa-hia.test", "xn--bcher-kva.test"]


def test_a_sender_whose_dns_is_silent_is_forgiven_nothing_and_stops_no_check(spool: Spool) -> None:
    spool.dns.add(f"_dmarc.{PROTECTED}", "TXT", '"v=DMARC1; p=reject"')
    spool.dns.fail("silent.test", "SERVFAIL")
    spool.dns.fail("_dmarc.silent.test", "SERVFAIL")
    for kind in (CheckKind.SPF, CheckKind.DMARC):
        a_check(kind, 10)
    for _ in range(8):
        from_outside(spool, a_mail(sender="x@silent.test"), sender="x@silent.test")
        assert all("spf=temperror" in one and "dmarc=temperror" in one for one in results(spool))
    from_outside(spool, a_mail(sender=f"ceo@{PROTECTED}"), sender="x@silent.test")
    assert (
        f"mail.test; spf=temperror smtp.mailfrom=silent.test; dmarc=fail header.from={PROTECTED} policy.dmarc=reject"
        in results(spool)
    )


def test_a_key_that_was_revoked_fails(spool: Spool) -> None:
    content = signed(a_mail(), spool)
    spool.dns.clear(f"s1._domainkey.{FAR}")
    spool.dns.add(f"s1._domainkey.{FAR}", "TXT", '"v=DKIM1; p="')
    a_check(CheckKind.DKIM, 6)
    from_outside(spool, content)
    assert results(spool) == [f"mail.test; dkim=fail header.d={FAR}"]


@pytest.mark.parametrize(
    ("record", "own", "wish"),
    [
        ({"p": "reject"}, True, "reject"),
        ({"p": "reject", "sp": "none"}, True, "reject"),
        ({"p": "reject", "sp": "none"}, False, "none"),
        ({"p": "reject", "sp": "noone"}, False, "reject"),
        ({"p": "none", "sp": "none", "np": "reject"}, False, "none"),
        ({"p": "none", "sp": "none", "np": "reject", "missing": "yes"}, False, "reject"),
        ({"p": "reject", "pct": "0"}, True, "reject"),
        ({"p": "reject", "t": "y"}, True, "quarantine"),
        ({"p": "quarantine", "t": "y"}, True, "none"),
        ({"p": "none", "sp": "reject", "t": "y"}, False, "quarantine"),
        ({"p": "reject", "t": "n"}, True, "reject"),
    ],
)
def test_what_an_owner_asks_for(record: dict[str, str], own: bool, wish: str) -> None:
    assert _wish(record, own) == wish


# Records by domain, and what they make of a domain: its organisational one, and what is asked for.
WALKS: list[tuple[dict[str, str], str, str, str]] = [
    ({}, "a.b.example.test", "a.b.example.test", ""),
    ({"example.test": "p=reject"}, "example.test", "example.test", "reject"),
    ({"example.test": "p=reject; sp=none"}, "a.b.example.test", "example.test", "none"),
    ({"example.test": "p=none", "b.example.test": "p=reject"}, "a.b.example.test", "example.test", "none"),
    ({"example.test": "p=none", "a.b.example.test": "p=reject"}, "a.b.example.test", "example.test", "reject"),
    ({"example.test": "p=none", "b.example.test": "p=reject; psd=n"}, "a.b.example.test", "b.example.test", "reject"),
    ({"co.test": "p=none; sp=quarantine; psd=y"}, "mail.example.co.test", "example.co.test", "quarantine"),
    ({"co.test": "p=none; psd=y", "example.co.test": "p=reject"}, "x.example.co.test", "example.co.test", "reject"),
    ({"co.test": "p=reject; psd=y", "test": "p=none; psd=y"}, "co.test", "co.test", "reject"),
    ({"test": "p=reject"}, "a.example.test", "example.test", "reject"),
    ({"test": "p=reject; psd=n"}, "a.example.test", "test", "reject"),
    ({"example.test": "p=none; sp=none; np=reject"}, "nobody.example.test", "example.test", "reject"),
    ({"example.test": "p=none; np=reject"}, "there.example.test", "example.test", "none"),
    ({"example.test": "p=reject; pct=0; t=y"}, "example.test", "example.test", "quarantine"),
    ({"example.test": "rua=mailto:a@b.test"}, "example.test", "example.test", "none"),
    ({"example.test": "sp=reject"}, "example.test", "example.test", ""),
    ({"c.d.e.f.g.h.test": "p=reject"}, "x.y.z.a.b.c.d.e.f.g.h.test", "c.d.e.f.g.h.test", "reject"),
    ({"b.c.d.e.f.g.h.test": "p=reject"}, "x.y.z.a.b.c.d.e.f.g.h.test", "x.y.z.a.b.c.d.e.f.g.h.test", ""),
]


@pytest.mark.parametrize(("records", "domain", "organisational", "wish"), WALKS)
def test_the_dns_says_whose_a_domain_is(
    spool: Spool, records: dict[str, str], domain: str, organisational: str, wish: str
) -> None:
    spool.dns.add("there.example.test", "MX", "10 mx.example.test.")
    for name, record in records.items():
        spool.dns.add(f"_dmarc.{name}", "TXT", f'"v=DMARC1; {record}"')
    owned = asyncio.run(_walk(domain))
    assert owned.organisational == organisational
    assert (_wish(owned.record, owned.own) if owned.record else "") == wish


def test_several_records_at_one_name_are_none(spool: Spool) -> None:
    for record in ("p=none", "p=quarantine"):
        spool.dns.add("_dmarc.a.example.test", "TXT", f'"v=DMARC1; {record}"')
    spool.dns.add("_dmarc.example.test", "TXT", '"v=DMARC1; p=none; sp=reject"')
    owned = asyncio.run(_walk("a.example.test"))
    assert (owned.own, _wish(owned.record, owned.own)) == (False, "reject")


@pytest.mark.parametrize(
    ("signer", "result"),
    [
        ("example.co.test", "pass"),
        ("mail.example.co.test", "pass"),
        ("other.example.co.test", "pass"),
        # Another owner below the same domain, and others below the same suffix.
        ("deep.own.example.co.test", "fail"),
        ("other.co.test", "fail"),
        ("co.test", "fail"),
    ],
)
def test_a_proof_counts_for_the_same_owner_only(spool: Spool, signer: str, result: str) -> None:
    spool.dns.add("_dmarc.example.co.test", "TXT", '"v=DMARC1; p=reject"')
    spool.dns.add("_dmarc.own.example.co.test", "TXT", '"v=DMARC1; p=reject; psd=n"')
    spool.dns.add("_dmarc.co.test", "TXT", '"v=DMARC1; p=none; psd=y"')
    spool.dns.add(signer, "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"')
    a_check(CheckKind.DMARC, 10)
    for _ in range(2):
        # What is known of a moment ago says the same.
        from_outside(spool, a_mail(sender="ceo@mail.example.co.test"), sender=f"x@{signer}")
    asked = " policy.dmarc=reject" if result == "fail" else ""
    assert set(results(spool)) == {f"mail.test; dmarc={result} header.from=mail.example.co.test{asked}"}


@pytest.mark.parametrize(
    ("follow", "policy", "exceptions", "is_kept"),
    [
        ("no", "reject", "", False),
        ("keep", "none", "", False),
        ("keep", "quarantine", "", True),
        ("keep", "reject", "", True),
        ("full", "reject", "", True),
        ("keep", "reject; t=y", "", True),
        ("keep", "quarantine; t=y", "", False),
        ("keep", "reject", "protected.test", False),
        ("keep", "reject", "other.test 192.0.2.0/24", False),
        ("keep", "reject", "other.test 198.51.100.0/24", True),
    ],
)
def test_mail_that_fails_is_kept_where_its_owner_asks_and_we_follow(
    spool: Spool, setting: Callable[..., None], follow: str, policy: str, exceptions: str, is_kept: bool
) -> None:
    spool.dns.add(f"_dmarc.{PROTECTED}", "TXT", f'"v=DMARC1; p={policy}"')
    a_check(CheckKind.DMARC, 0.1)
    setting(AntispamSettings, follow_dmarc=follow, dmarc_exceptions=exceptions)
    from_outside(spool, a_mail(sender=f"ceo@{PROTECTED}"), sender=f"x@{ATTACKER}")
    from_outside(spool, a_mail(sender="eve@nobody.test"), sender="eve@nobody.test")
    spool.work()
    assert len(spool.mailbox()) == (1 if is_kept else 2)
    kept = list(Item.objects.values_list("kind", "why"))
    asked = "quarantine" if policy.startswith("quarantine") or policy.endswith("t=y") else "refuse"
    assert kept == (
        [(ItemKind.SPAM, f"DMARC fails for {PROTECTED}, whose owner asks to {asked} such mail")] if is_kept else []
    )


def test_what_was_resent_from_the_quarantine_arrives(spool: Spool, setting: Callable[..., None]) -> None:
    spool.dns.add(f"_dmarc.{PROTECTED}", "TXT", '"v=DMARC1; p=reject"')
    a_check(CheckKind.DMARC, 0.1)
    setting(AntispamSettings, follow_dmarc="keep")
    from_outside(spool, a_mail(sender=f"ceo@{PROTECTED}"), sender=f"x@{ATTACKER}")
    spool.work()
    perform("quarantine-resend", [Item.objects.get().pk], Actor.at_the_shell())
    spool.work()
    assert len(spool.mailbox()) == 1


def test_the_policies_are_followed_only_with_a_check_and_exceptions_that_can_be_read(spool: Spool) -> None:
    row = AntispamSettings(follow_dmarc="keep", dmarc_exceptions="Example.ORG\n192.0.2.9")
    with pytest.raises(ValidationError, match="Add a DMARC check"):
        row.full_clean()
    a_check(CheckKind.DMARC, 10)
    row.full_clean()
    assert row.dmarc_exceptions.split() == ["example.org", "192.0.2.9/32"]
    row.dmarc_exceptions = "a_b@c"
    with pytest.raises(ValidationError, match="neither a domain nor"):
        row.full_clean()


def test_the_worst_result_counts() -> None:
    passes, fails = DmarcResult("pass", "a"), DmarcResult("fail", "b", "quarantine")
    assert _strictest([passes, fails, DmarcResult("fail", "c", "none")]) == fails
    assert _strictest([passes, DmarcResult("none", "d")]).result == "none"
    assert _strictest([]) == DmarcResult("none", "")
