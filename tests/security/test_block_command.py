"""`manage.py block` and `manage.py allow`, as a person and as a program uses them."""

from __future__ import annotations

import pytest

from security import login_protection
from security.models import BlacklistEntry, LoginRules, SMTPBlock, WhitelistEntry
from spool.models import AuditEvent
from tests.support.commands import Manage, manage_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def manage(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Manage:
    return manage_with(capsys, monkeypatch, "security")


def test_addresses_are_added_listed_and_removed(manage: Manage) -> None:
    added = manage("block", "ip", "add", "198.51.100.7", "2001:db8::/32", "--description", "flood", "--until", "2h")
    assert added.status == 0
    assert added.out.splitlines()[0] == "2 added, 0 were listed already."
    assert "Warning: 2001:db8::/32 covers 65,536 networks" in added.out
    rows = manage("block", "ip", "list", "--json").json
    assert [row["network"] for row in rows] == ["198.51.100.7", "2001:db8::/32"]
    assert rows[0]["protocols"] == "smtp" and rows[0]["expires"] and rows[0]["description"] == "flood"
    assert "198.51.100.7" in manage("block", "ip", "list").out
    assert manage("block", "ip", "remove", "198.51.100.7", "--json").json == {"dry_run": False, "removed": 1}
    again = manage("block", "ip", "remove", "198.51.100.7")
    assert (again.status, again.err.strip()) == (1, "None of them is listed.")
    assert [event.source for event in AuditEvent.objects.all()] == ["shell", "shell"]


def test_a_published_list_comes_by_standard_input_with_one_line_in_the_audit(manage: Manage) -> None:
    text = "# a list\n198.51.100.0/24 ; SBL1\n\n203.0.113.9, 203.0.113.10\nnonsense\n10.0.0.1\n203.0.113.9\n"
    done = manage("block", "ip", "add", "--protocol", "smtp", "--protocol", "web", "--json", stdin=text)
    assert done.status == 0
    assert (done.json["added"], done.json["listed_already"]) == (3, 0)
    assert "'nonsense' is not an IP address" in done.json["left_out"][0]
    assert "10.0.0.1 is on the whitelist" in done.json["left_out"][1]
    assert set(BlacklistEntry.objects.values_list("smtp", "web")) == {(True, True)}
    assert AuditEvent.objects.count() == 1
    assert manage("block", "ip", "add", "--json", stdin=text).json["listed_already"] == 3


def test_ten_thousand_networks_are_added_in_a_hundred_statements(
    manage: Manage, django_assert_max_num_queries: object
) -> None:
    text = "\n".join(f"198.{18 + n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(10_000))
    with django_assert_max_num_queries(120):  # type: ignore[operator]
        assert manage("block", "ip", "add", "--json", stdin=text).json["added"] == 10_000


def test_a_published_list_of_domains_adds_up_with_what_is_blocked(
    manage: Manage, django_assert_max_num_queries: object
) -> None:
    manage("block", "domain", "add", "spam7.example", "--direction", "outbound")
    text = "\n".join(f"spam{n}.example" for n in range(5_000))
    with django_assert_max_num_queries(100):  # type: ignore[operator]
        done = manage("block", "domain", "add", "--json", stdin=text).json
    assert (done["added"], done["listed_already"]) == (4_999, 1)
    assert SMTPBlock.objects.get(pattern="spam7.example").direction == "both"
    assert set(SMTPBlock.objects.exclude(pattern="spam7.example").values_list("direction")) == {("inbound",)}


def test_a_dry_run_says_what_would_be_done_and_does_nothing(manage: Manage) -> None:
    shown = manage("block", "ip", "add", "198.51.100.7", "--dry-run")
    assert shown.out == "Would be done: 1 added, 0 were listed already.\n"
    assert manage("block", "sender", "add", "ann@spam.example", "--dry-run", "--json").json["added"] == 1
    assert not BlacklistEntry.objects.exists() and not SMTPBlock.objects.exists() and not AuditEvent.objects.exists()
    manage("block", "ip", "add", "198.51.100.7")
    manage("block", "sender", "add", "ann@spam.example")
    assert manage("block", "ip", "remove", "198.51.100.7", "--dry-run").out == "Would be removed: 1.\n"
    assert manage("block", "sender", "remove", "ann@spam.example", "--dry-run").out == "Would be removed: 1.\n"
    assert BlacklistEntry.objects.exists() and SMTPBlock.objects.exists()


def test_senders_domains_and_hosts_names_are_lists_of_their_own(manage: Manage) -> None:
    assert manage("block", "sender", "add", "Ann@Spam.example", "news-*@shop.example").status == 0
    assert manage("block", "domain", "add", "*.spam.example", "--direction", "both").status == 0
    assert manage("block", "ehlo", "add", "[127.0.0.1]").status == 0
    patterns = [row["pattern"] for row in manage("block", "sender", "list", "--json").json]
    assert patterns == ["ann@spam.example", "news-*@shop.example"]
    outbound = manage("block", "domain", "list", "--direction", "outbound", "--json").json
    assert [row["direction"] for row in outbound] == ["both"]
    assert manage("block", "sender", "list", "--direction", "outbound").status == 1
    assert manage("block", "domain", "remove", "*.spam.example", "--direction", "outbound").status == 0
    assert SMTPBlock.objects.get(kind="domain").direction == "inbound"
    assert manage("block", "ehlo", "remove", "[127.0.0.1]").status == 0
    assert manage("block", "ehlo", "list", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("block", "ip", "add", "nonsense"), 1, ""),
        (("block", "ip", "add", "198.51.100.7", "--until", "soon"), 1, "'soon' is no time"),
        (("block", "ip", "remove", "nonsense"), 1, "is not an IP address or network"),
        (("block", "sender", "add", "nonsense"), 1, ""),
        (("block", "ip", "add", "198.51.100.7", "--protocol", "pop"), 2, "invalid choice"),
        (("block", "ip"), 2, "VERB"),
        (("block", "login", "release", "nobody@example.org"), 1, "No login of nobody@example.org is closed."),
        (("allow", "add", "nonsense"), 1, "is not an IP address or network"),
        (("allow", "remove", "192.0.2.1"), 1, "192.0.2.1 is not listed."),
        (("allow", "remove", "10.0.0.0/8"), 1, "internal network"),
    ],
)
def test_what_can_not_be_is_answered_with_a_sentence_and_a_status(
    manage: Manage, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    ran = manage(*arguments)
    assert ran.status == status
    assert sentence in ran.err


def test_the_whitelist_is_added_to_and_changed_bit_by_bit(manage: Manage) -> None:
    shown = manage("allow", "add", "192.0.2.0/28", "--auth-bypass", "--description", "printers", "--json").json
    assert (shown["protocols"], shown["auth_bypass"], shown["spam_bypass"]) == ("smtp, web", True, False)
    changed = manage("allow", "add", "192.0.2.0/28", "--spam-bypass", "--no-auth-bypass", "--json").json
    assert (changed["auth_bypass"], changed["spam_bypass"]) == (False, True)
    assert changed["description"] == "printers"
    assert "127.0.0.0/8" in manage("allow", "list").out
    assert manage("allow", "remove", "192.0.2.0/28").status == 0
    assert not WhitelistEntry.objects.filter(network="192.0.2.0/28").exists()


def test_a_closed_login_is_listed_and_opened(manage: Manage) -> None:
    LoginRules.objects.create(pk=1, pair_failures=3)
    for n in range(3):
        login_protection.failed("ann@example.org", "198.51.100.1", f"guess {n}", "smtp")
    [row] = manage("block", "login", "list", "--json").json
    assert (row["account"], row["address"], row["wrong_passwords"]) == ("ann@example.org", "198.51.100.1", 3)
    assert manage("block", "login", "release", "198.51.100.1", "--dry-run").out == "Would be opened: 1.\n"
    assert manage("block", "login", "release", "Ann@example.org").out == "Opened: 1.\n"
    assert login_protection.closed("ann@example.org", "198.51.100.1") is None
    assert manage("block", "login", "list").status == 1
