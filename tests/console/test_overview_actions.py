"""What the menus of the Overview do to accounts and in Security, and that it goes both ways."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Domain, Role, Status, User
from security.actions import blacklist, unblacklist, unblock_smtp
from security.models import BlacklistEntry, SMTPBlock
from spool import statements
from spool.actions import Actor
from spool.models import AuditEvent
from spool.traffic import counting, rolling

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]
ANN, IP = "ann@example.org", "203.0.113.66"


@pytest.fixture(autouse=True)
def _traffic() -> None:
    now = timezone.now()
    out: counting.Ending = ("delivered", "remote", ANN, IP, "x@far.test", now.isoformat())
    here: counting.Ending = ("delivered", "local", "tom@far.test", IP, ANN, now.isoformat())
    with statements.write_transaction():
        counting.endings([out, here], now)
    rolling.roll_up()


@pytest.fixture
def ann() -> User:
    user = User(email=ANN, domain=Domain.objects.create(name="example.org"))
    user.set_unusable_password()
    user.save()
    return user


def labels(client: Client, table: str, key: str) -> list[str]:
    page = client.get(f"/admin/overview/{table}/menu/", {"key": key}).content.decode()
    return [text.strip() for text in re.findall(r"</span>([^<]+)</(?:button|a)>", page)]


def marks(client: Client, table: str) -> list[str]:
    page = client.get("/admin/").content.decode()
    section = page[page.index(f'data-table="{table}"') :]
    return re.findall(r'class="ms-label tone-\w+" title="[^"]*">([^<]+)<', section[: section.index("</section>")])


def do(client: Client, table: str, action: str, key: str, **given: str) -> str:
    """Agree to the dialog of an action, as it comes."""
    address = f"/admin/overview/{table}/do/{action}/"
    dialog = client.post(address, {"key": key}).content.decode()
    fields = dict(re.findall(r'name="(\w+)"[^>]*? value="([^"]*)"', dialog))
    values = {name: html.unescape(value) for name, value in fields.items() if name != "csrfmiddlewaretoken"}
    return client.post(f"{address}now/", {**values, **given}).content.decode()


def test_each_table_offers_what_the_specification_says(administrator: Client, ann: User) -> None:
    both = ["Delete Messages", "Move Messages"]
    assert labels(administrator, "outbound-senders", ANN) == [
        *both,
    ]  # fmt: skip
    expected = both
    assert labels(administrator, "inbound-recipients", ANN) == expected
    for table in ("outbound-ips", "inbound-ips"):
        assert labels(administrator, table, IP) == ["Blacklist IP", *both]
    assert labels(administrator, "inbound-senders", "tom@far.test") == ["Block Inbound SMTP", *both]
    assert labels(administrator, "inbound-domains", "far.test") == ["Block Inbound SMTP", *both]
    assert labels(administrator, "inbound-senders", "") == both
    assert labels(administrator, "outbound-senders", "gate@far.test") == both


@pytest.mark.parametrize("table", ["outbound-ips", "inbound-ips"])
def test_an_address_is_blacklisted_for_smtp_and_unblocked_again(administrator: Client, table: str) -> None:
    assert "is blacklisted for SMTP" in do(administrator, table, "blacklist", IP)
    entry = BlacklistEntry.objects.get()
    assert (entry.network, [p.value for p in entry.protocols], entry.source) == (IP, ["smtp"], "spool")
    assert marks(administrator, "outbound-ips") == marks(administrator, "inbound-ips") == ["Blacklisted"]
    assert "Unblock IP" in labels(administrator, table, IP)
    do(administrator, table, "blacklist", IP)
    assert not BlacklistEntry.objects.exists()
    assert marks(administrator, "outbound-ips") == []


def test_what_security_blacklists_shows_here_and_back(administrator: Client) -> None:
    blacklist(Actor.system(), IP)
    assert marks(administrator, "inbound-ips") == ["Blacklisted"]
    unblacklist(Actor.system(), IP)
    assert marks(administrator, "inbound-ips") == []


def test_an_address_that_is_kept_out_with_its_network_says_so(administrator: Client) -> None:
    blacklist(Actor.system(), "203.0.113.0/24")
    assert "203.0.113.0/24" in do(administrator, "outbound-ips", "blacklist", IP)
    assert BlacklistEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("table", "key", "kind"),
    [("inbound-senders", "tom@far.test", "address"), ("inbound-domains", "far.test", "domain")],
)
def test_a_sender_or_domain_is_blocked_by_envelope_sender_and_unblocked(
    administrator: Client, table: str, key: str, kind: str
) -> None:
    assert "is blocked" in do(administrator, table, "block", key)
    block = SMTPBlock.objects.get()
    assert (block.kind, block.pattern, block.direction, block.source) == (kind, key, "inbound", "spool")
    assert "Blocked" in marks(administrator, table)
    assert "Unblock Inbound SMTP" in labels(administrator, table, key)
    unblock_smtp(Actor.system(), key)
    assert "Blocked" not in marks(administrator, table)
    do(administrator, table, "block", key)
    do(administrator, table, "block", key)
    assert not SMTPBlock.objects.exists()


@pytest.mark.parametrize(
    ("table", "action", "key"),
    [
        ("outbound-senders", "status", "gate@far.test"), ("inbound-recipients", "status", ANN),
        ("outbound-senders", "blacklist", ANN), ("outbound-ips", "block", IP), ("inbound-senders", "block", ""),
        ("outbound-senders", "nonsense", ANN),
    ],
)  # fmt: skip
def test_an_action_that_a_row_does_not_have_is_not_done(
    administrator: Client, ann: User, table: str, action: str, key: str
) -> None:
    for address in (f"/admin/overview/{table}/do/{action}/", f"/admin/overview/{table}/do/{action}/now/"):
        assert administrator.post(address, {"key": key}).status_code == 404
    assert not BlacklistEntry.objects.exists()


def test_only_posts_change_anything(administrator: Client, ann: User) -> None:
    for end in ("", "now/"):
        assert administrator.get(f"/admin/overview/outbound-ips/do/blacklist/{end}", {"key": IP}).status_code == 405


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
def test_nobody_else_does_any_of_it(client: Client, ann: User, role: Role) -> None:
    User.objects.filter(pk=ann.pk).update(role=role)
    client.force_login(User.objects.get(pk=ann.pk))
    for table, action, key in (
        ("outbound-ips", "blacklist", IP), ("inbound-domains", "block", "far.test"),
    ):  # fmt: skip
        assert client.post(f"/admin/overview/{table}/do/{action}/now/", {"key": key}).status_code == 302
    ann.refresh_from_db()
    assert ann.status == Status.ENABLED
    assert not BlacklistEntry.objects.exists()
    assert not SMTPBlock.objects.exists()


def test_everything_is_written_down(administrator: Client, ann: User) -> None:
    do(administrator, "outbound-ips", "blacklist", IP)
    do(administrator, "inbound-domains", "block", "far.test")
    written = list(AuditEvent.objects.order_by("pk").values_list("actor", "action", "on"))
    assert written == [("admin@localhost", "blacklist", IP), ("admin@localhost", "smtp-block", "far.test")]
