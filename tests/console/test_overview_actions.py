"""What the menus of the Overview do to accounts and in Security, and that it goes both ways."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import securing
from accounts.models import Domain, Role, Status, User
from security.actions import blacklist, block_smtp, unblacklist, unblock_smtp
from security.models import BlacklistEntry, LoginBlock, SMTPBlock
from spool.actions import Actor
from spool.models import AuditEvent
from spool.rows import statements, traffic_batches
from spool.traffic import rollup

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("home", "redis")]
ANN, IP = "ann@example.org", "203.0.113.66"
ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)


@pytest.fixture(autouse=True)
def _traffic() -> None:
    now = timezone.now()
    out: traffic_batches.Ending = ("delivered", "remote", ANN, IP, "x@far.test", now.isoformat())
    here: traffic_batches.Ending = ("delivered", "local", "tom@far.test", IP, ANN, now.isoformat())
    with statements.write_transaction():
        traffic_batches.endings([out, here], now)
    rollup.roll_up()


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


# What a menu has as two, of which one is due.
TOGGLES = {
    "status": ("receiving", "enable"),
    "blacklist": ("blacklist", "unblock"),
    "block": ("block", "end-block"),
    "block-outbound": ("block-outbound", "end-block-outbound"),
}


def address_of(client: Client, table: str, action: str, key: str) -> str:
    """Where the menu of a row leads to for an action."""
    menu = client.get(f"/admin/overview/{table}/menu/", {"key": key}).content.decode()
    names = TOGGLES.get(action, (action,))
    [address] = [link for link in re.findall(r'hx-post="(/admin/menu/[^"]+)"', menu) if link.split("/")[-2] in names]
    return address


def agree(client: Client, address: str, key: str, **given: str) -> str:
    """Agree to a dialog, as it comes."""
    dialog = client.post(address, {"key": key}).content.decode()
    fields = dict(re.findall(r'name="([\w-]+)"[^>]*? value="([^"]*)"', dialog))
    values = {name: html.unescape(value) for name, value in fields.items() if name != "csrfmiddlewaretoken"}
    return client.post(f"{address}now/", {**values, **given}).content.decode()


def do(client: Client, table: str, action: str, key: str, **given: str) -> str:
    """Agree to the dialog of an action in the menu of a row."""
    return agree(client, address_of(client, table, action, key), key, **given)


def test_each_table_offers_what_the_specification_says(administrator: Client, ann: User) -> None:
    both = ["Delete Messages", "Move Messages"]
    assert labels(administrator, "outbound-senders", ANN) == [
        "Look into it",
        "Manage User",
        "Contain account…",
        "Change Password",
        "Drop Connections",
        "Disable User",
        *both,
    ]
    # A user has one menu, wherever the user is named.
    assert labels(administrator, "inbound-recipients", ANN) == labels(administrator, "outbound-senders", ANN)
    for table in ("outbound-ips", "inbound-ips"):
        assert labels(administrator, table, IP) == ["Look into it", "Blacklist IP", *both]
    senders = ["Look into it", "Block Inbound SMTP", "Allow Past Spam Checks", *both]
    assert labels(administrator, "inbound-senders", "tom@far.test") == senders
    assert labels(administrator, "inbound-domains", "far.test") == ["Look into it", "Block Inbound SMTP", *both]
    assert labels(administrator, "inbound-senders", "") == both
    assert labels(administrator, "outbound-senders", "gate@far.test") == both


def test_disabling_lets_the_account_receive_only_and_enabling_takes_it_back(administrator: Client, ann: User) -> None:
    assert "is set to Disable and Allow Mail" in do(administrator, "outbound-senders", "status", ANN)
    ann.refresh_from_db()
    assert ann.status == Status.RECEIVING
    assert marks(administrator, "outbound-senders") == ["Disable and Allow Mail"]
    assert marks(administrator, "inbound-recipients") == ["Disable and Allow Mail"]
    assert "Enable User" in labels(administrator, "outbound-senders", ANN)
    assert "is enabled" in do(administrator, "outbound-senders", "status", ANN)
    ann.refresh_from_db()
    assert ann.status == Status.ENABLED


def test_a_status_that_is_set_in_accounts_shows_here(administrator: Client, ann: User) -> None:
    securing.set_user_status(Actor.system(), ann, Status.DISABLED)
    assert marks(administrator, "outbound-senders") == ["Disabled"]
    assert "Enable User" in labels(administrator, "outbound-senders", ANN)


def test_what_was_agreed_to_is_done_whatever_somebody_else_did_meanwhile(administrator: Client, ann: User) -> None:
    securing.set_user_status(Actor.system(), ann, Status.RECEIVING)
    agree(administrator, "/admin/menu/user/receiving/", ANN)
    ann.refresh_from_db()
    assert ann.status == Status.RECEIVING


def test_a_password_is_changed_or_the_dialog_says_why_not(administrator: Client, ann: User) -> None:
    weak = do(administrator, "outbound-senders", "password", ANN, **{"p-password": "password"})
    assert "too common" in weak
    assert 'id="confirm-title"' in weak
    ann.refresh_from_db()
    assert not ann.has_usable_password()
    assert f"The password of {ANN} is changed" in do(administrator, "outbound-senders", "password", ANN)
    do(administrator, "inbound-recipients", "password", ANN, **{"p-password": "another-long-secret"})
    ann.refresh_from_db()
    assert ann.check_password("another-long-secret")


def test_dropping_connections_ends_web_sessions(administrator: Client, ann: User) -> None:
    other = Client()
    other.force_login(ann)
    assert "1 web" in do(administrator, "outbound-senders", "drop", ANN)
    assert "_auth_user_id" not in Client(headers={"cookie": other.cookies.output(header="", sep="")}).session


def test_managing_a_user_leads_into_the_user_site(administrator: Client, ann: User) -> None:
    menu = administrator.get("/admin/overview/outbound-senders/menu/", {"key": ANN}).content.decode()
    action = re.search(r'<form method="post" action="([^"]+)"', menu)
    assert action is not None
    answer = administrator.post(action[1], {"user_pk": str(ann.pk)}, follow=True)
    assert answer.request["PATH_INFO"].startswith("/me/")
    assert ANN in answer.content.decode()


def test_an_administrators_place_can_not_be_taken(administrator: Client, ann: User) -> None:
    User.objects.filter(pk=ann.pk).update(role=Role.SYSTEM_ADMINISTRATOR)
    assert "Manage User" not in labels(administrator, "outbound-senders", ANN)


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


def test_unblocking_takes_away_only_what_the_spool_made(administrator: Client) -> None:
    row = blacklist(ROOT, IP, protocols=["web"], description="By hand")
    do(administrator, "outbound-ips", "blacklist", IP)
    row.refresh_from_db()
    assert (row.smtp, row.web) == (True, True)
    do(administrator, "outbound-ips", "blacklist", IP)
    row.refresh_from_db()
    assert (row.smtp, row.web) == (False, True)
    blacklist(ROOT, IP, protocols=["smtp"])
    said = do(administrator, "outbound-ips", "blacklist", IP)
    assert f"{IP} was blacklisted in Security by root@example.org, not from the spool" in said
    assert BlacklistEntry.objects.get().smtp


def test_a_senders_block_that_somebody_made_in_security_stays(administrator: Client) -> None:
    block_smtp(ROOT, "tom@far.test", direction="outbound")
    do(administrator, "inbound-senders", "block", "tom@far.test")
    assert SMTPBlock.objects.get().direction == "both"
    do(administrator, "inbound-senders", "block", "tom@far.test")
    assert SMTPBlock.objects.get().direction == "outbound"
    block_smtp(ROOT, "tom@far.test", direction="inbound")
    said = do(administrator, "inbound-senders", "block", "tom@far.test")
    assert "was blocked in Security by root@example.org, not from the spool" in said
    assert SMTPBlock.objects.get().direction == "both"


@pytest.mark.parametrize(("table", "key"), [("inbound-senders", ANN), ("inbound-domains", "example.org")])
def test_the_block_of_a_sender_of_ours_says_whom_it_does_not_stop_and_offers_what_does(
    administrator: Client, ann: User, table: str, key: str
) -> None:
    offered = labels(administrator, table, key)
    assert {"Block Inbound SMTP", "Block Outbound SMTP"} <= set(offered)
    assert ("Disable User" in offered) == (table == "inbound-senders")
    dialog = administrator.post(address_of(administrator, table, "block", key), {"key": key}).content.decode()
    assert "is refused when it comes from outside" in dialog
    assert "who logs in, or sends from a host that needs no login, still sends with it" in dialog
    assert "is blocked" in do(administrator, table, "block-outbound", key)
    assert SMTPBlock.objects.get().direction == "outbound"
    assert "Unblock Outbound SMTP" in labels(administrator, table, key)
    do(administrator, table, "block-outbound", key)
    assert not SMTPBlock.objects.exists()


def test_a_sender_of_ours_is_disabled_where_blocking_would_not_help(administrator: Client, ann: User) -> None:
    assert "Disable and Allow Mail" in do(administrator, "inbound-senders", "status", ANN)
    ann.refresh_from_db()
    assert ann.status == Status.RECEIVING


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
    ("kind", "action", "key"),
    [
        ("user", "receiving", "gate@far.test"),
        ("domain", "receiving", "far.test"),
        ("user", "blacklist", ANN),
        ("ip", "receiving", IP),
        ("ip", "blacklist", "no address"),
        ("sender", "block", ""),
        ("sender", "block-outbound", "tom@far.test"),
        ("user", "nonsense", ANN),
        ("user", "review", ANN),
        ("nonsense", "block", ANN),
    ],
)
def test_an_action_that_a_thing_does_not_have_is_not_done(
    administrator: Client, ann: User, kind: str, action: str, key: str
) -> None:
    for address in (f"/admin/menu/{kind}/{action}/", f"/admin/menu/{kind}/{action}/now/"):
        assert administrator.post(address, {"key": key}).status_code == 404
    assert not BlacklistEntry.objects.exists()
    assert not SMTPBlock.objects.exists()


def test_only_posts_change_anything(administrator: Client, ann: User) -> None:
    for end in ("", "now/"):
        assert administrator.get(f"/admin/menu/user/receiving/{end}", {"key": ANN}).status_code == 405


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
def test_nobody_else_does_any_of_it(client: Client, ann: User, role: Role) -> None:
    User.objects.filter(pk=ann.pk).update(role=role)
    client.force_login(User.objects.get(pk=ann.pk))
    for kind, action, key in (
        ("user", "receiving", ANN),
        ("user", "password", ANN),
        ("user", "drop", ANN),
        ("ip", "blacklist", IP),
        ("domain", "block", "far.test"),
    ):
        for address in (f"/admin/menu/{kind}/{action}/", f"/admin/menu/{kind}/{action}/now/"):
            assert client.post(address, {"key": key}).status_code == 302
    assert client.get("/admin/menu/user/", {"key": ANN}).status_code == 302
    ann.refresh_from_db()
    assert ann.status == Status.ENABLED
    assert not BlacklistEntry.objects.exists()
    assert not SMTPBlock.objects.exists()


def test_everything_is_written_down(administrator: Client, ann: User) -> None:
    do(administrator, "outbound-ips", "blacklist", IP)
    do(administrator, "inbound-domains", "block", "far.test")
    written = list(AuditEvent.objects.order_by("pk").values_list("actor", "action", "on"))
    assert written == [("admin@localhost", "blacklist", IP), ("admin@localhost", "smtp-block", "far.test")]


def undo(client: Client, done: str) -> str:
    """Press Undo in what came of an action."""
    form = re.search(r'<form hx-post="(?P<url>/admin/menu/[^"]+)"(?P<fields>.*?)</form>', done, re.DOTALL)
    assert form is not None, done
    fields = re.findall(r'name="([\w-]+)" value="([^"]*)"', form["fields"])
    values = {name: [html.unescape(one) for key, one in fields if key == name] for name, _ in fields}
    return client.post(form["url"], values).content.decode()


@pytest.mark.parametrize(
    ("table", "action", "key", "again"),
    [
        ("outbound-senders", "status", ANN, "Disable User"),
        ("outbound-ips", "blacklist", IP, "Blacklist IP"),
        ("inbound-domains", "block", "far.test", "Block Inbound SMTP"),
        ("inbound-senders", "block-outbound", ANN, "Block Outbound SMTP"),
    ],
)
def test_what_was_done_is_taken_back_by_undo_and_that_too(
    administrator: Client, ann: User, table: str, action: str, key: str, again: str
) -> None:
    done = do(administrator, table, action, key)
    assert again not in labels(administrator, table, key)
    taken_back = undo(administrator, done)
    assert again in labels(administrator, table, key)
    undo(administrator, taken_back)
    assert again not in labels(administrator, table, key)


def test_limits_are_set_back_to_what_they_were(administrator: Client, ann: User) -> None:
    Domain.objects.update(messages_per_hour=7)
    assert "Set Limits" in labels(administrator, "inbound-domains", "example.org")
    done = agree(administrator, "/admin/menu/domain/limits/", "example.org", **{"p-messages_per_hour": "9"})
    assert Domain.objects.get().messages_per_hour == 9
    undo(administrator, done)
    assert Domain.objects.get().messages_per_hour == 7


def test_a_login_that_is_closed_is_opened_from_the_menu_of_who_wants_in(administrator: Client, ann: User) -> None:
    assert "Release Login" not in labels(administrator, "outbound-senders", ANN)
    now = timezone.now()
    LoginBlock.objects.create(reason="account", account=ANN, failures=9, since=now, until=now + timedelta(minutes=9))
    assert "1 login opened" in do(administrator, "outbound-senders", "release-login", ANN)
    assert "Release Login" not in labels(administrator, "outbound-senders", ANN)


def test_a_thing_has_one_menu_wherever_it_is_named(administrator: Client, ann: User) -> None:
    menu = administrator.get("/admin/menu/user/", {"key": ANN}).content.decode()
    texts = [text.strip() for text in re.findall(r"</span>([^<]+)</(?:button|a)>", menu)]
    assert texts == labels(administrator, "outbound-senders", ANN)
