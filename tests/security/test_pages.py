"""The pages of the lists: what they show, refuse, cost, and that they go by the same actions as the commands."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Role, User
from security import actions, lists, login_protection
from security.models import BlacklistEntry, LoginBlock, LoginRules, Protocol, SMTPBlock, Source, WhitelistEntry
from spool.actions.actor import Actor
from spool.models import AuditEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis"), pytest.mark.alike]
ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)


@pytest.fixture
def administrator(client: Client) -> Client:
    user = User(email="root@example.org", role=Role.SYSTEM_ADMINISTRATOR)
    user.set_unusable_password()
    user.save()
    client.force_login(user)
    return client


def url(model: str, page: str, *args: object) -> str:
    return reverse(f"admin:security_{model}_{page}", args=args)


def act(browser: Client, model: str, action: str, *rows: Any) -> str:
    answer = browser.post(
        url(model, "changelist"), {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True
    )
    return answer.content.decode()


class TestLists:
    def test_a_block_of_a_type_that_there_is_not_is_shown_and_blocks_nothing(self, administrator: Client) -> None:
        actions.block_smtp(ROOT, "spam.example")
        SMTPBlock.objects.create(kind="weather", pattern="rain.example")
        lists.forget()
        page = administrator.get(url("smtpblock", "changelist"))
        assert page.status_code == 200 and "rain.example" in page.content.decode()
        senders = lists.current().inbound.senders
        assert senders.find("ann@spam.example") and not senders.find("ann@rain.example")

    @pytest.mark.parametrize("model", ["blacklistentry", "whitelistentry", "smtpblock", "loginblock"])
    def test_the_number_of_queries_does_not_grow_with_the_list(
        self, administrator: Client, model: str, django_assert_max_num_queries: Any
    ) -> None:
        LoginRules.objects.create(pk=1, pair_failures=3)
        for n in range(40):
            actions.blacklist(ROOT, f"198.51.100.{n}")
            actions.whitelist(ROOT, f"192.0.2.{n}")
            actions.block_smtp(ROOT, f"spam{n}.example")
            LoginBlock.objects.create(
                reason="ip",
                ip=f"203.0.113.{n}",
                protocol="smtp",
                failures=9,
                since=timezone.now(),
                until=timezone.now() + timedelta(hours=1),
            )
        lists.forget()
        with django_assert_max_num_queries(14):
            page = administrator.get(url(model, "changelist")).content.decode()
        assert page.count('name="_selected_action"') >= 40

    @pytest.mark.parametrize(
        ("model", "sentence"),
        [
            ("blacklistentry", "Addresses and networks whose connections are refused"),
            ("smtpblock", "Mail is refused by its envelope sender"),
            ("loginblock", "Who tries too many wrong passwords"),
        ],
    )
    def test_an_empty_list_says_what_would_be_in_it(self, administrator: Client, model: str, sentence: str) -> None:
        assert sentence in administrator.get(url(model, "changelist")).content.decode()

    def test_searching_for_an_address_finds_the_networks_around_it(self, administrator: Client) -> None:
        for network in ("198.51.0.0/16", "198.51.100.0/24", "198.51.100.7", "203.0.113.0/24", "2001:db8::/32"):
            actions.blacklist(ROOT, network, description="why not")

        def found(text: str) -> set[str]:
            page = administrator.get(url("blacklistentry", "changelist"), {"q": text})
            return {str(row) for row in page.context["cl"].result_list}

        assert found("198.51.100.7") == {"198.51.0.0/16", "198.51.100.0/24", "198.51.100.7"}
        assert found("198.51.100.0/24") == {"198.51.0.0/16", "198.51.100.0/24"}
        assert found("2001:db8::1") == {"2001:db8::/32"}
        assert found("why") == set(BlacklistEntry.objects.values_list("network", flat=True))
        assert found("192.0.2.1") == set()
        code = BlacklistEntry.objects.get(network="2001:db8::/32").pk
        assert found(f"b{code}") == {"2001:db8::/32"}, "the code that a refusal names"

    def test_where_an_entry_comes_from_is_marked_and_filtered_by(self, administrator: Client) -> None:
        actions.blacklist(ROOT, "198.51.100.7", source=Source.SPOOL)
        actions.blacklist(ROOT, "198.51.100.8")
        page = administrator.get(url("blacklistentry", "changelist"), {"source__exact": "spool"})
        assert [str(row) for row in page.context["cl"].result_list] == ["198.51.100.7"]
        assert "Spool" in page.content.decode()


class TestBlacklist:
    def test_an_entry_is_made_by_the_action_in_the_name_of_who_is_there(self, administrator: Client) -> None:
        fields = {"network": "198.51.100.0/24", "smtp": "on", "description": "flood"}
        assert administrator.post(url("blacklistentry", "add"), fields).status_code == 302
        row = BlacklistEntry.objects.get()
        assert (row.created_by, row.source, row.web) == ("root@example.org", Source.MANUAL, False)
        assert actions.blacklisted(["198.51.100.9"])
        assert AuditEvent.objects.get().actor == "root@example.org"
        assert administrator.post(url("blacklistentry", "delete", row.pk), {"post": "yes"}).status_code == 302
        assert not actions.blacklisted(["198.51.100.9"])
        assert AuditEvent.objects.filter(action="unblacklist").count() == 1

    def test_a_large_network_is_taken_with_a_warning(self, administrator: Client) -> None:
        fields = {"network": "198.51.0.0/16", "smtp": "on"}
        page = administrator.post(url("blacklistentry", "add"), fields, follow=True).content.decode()
        assert "covers 65,536 addresses" in page
        assert BlacklistEntry.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"network": ""}, "This field is required"),
            ({"network": "nobody"}, "is not an IP address or network"),
            ({"network": "198.51.100.7/24"}, "write 198.51.100.0/24, or 198.51.100.7 alone"),
            ({"network": "0.0.0.0/0"}, "is everybody"),
            ({"network": "10.1.2.3"}, "and the whitelist wins"),
            ({"smtp": ""}, "Choose at least one"),
            ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "This time is in the past."),
            ({"network": "203.0.113.9"}, "already exists"),
        ],
    )
    def test_what_can_not_be_is_answered_at_its_field(
        self, administrator: Client, fields: dict[str, str], sentence: str
    ) -> None:
        actions.blacklist(ROOT, "203.0.113.9")
        wanted = {"network": "198.51.100.7", "smtp": "on", **fields}
        answer = administrator.post(url("blacklistentry", "add"), {k: v for k, v in wanted.items() if v})
        assert answer.status_code == 200
        assert sentence in answer.content.decode().replace("&#x27;", "'")
        assert BlacklistEntry.objects.count() == 1

    def test_nobody_locks_themselves_out(self, administrator: Client) -> None:
        fields = {"network": "198.51.100.0/24", "web": "on"}
        there = Client(REMOTE_ADDR="198.51.100.7")
        there.force_login(User.objects.get())
        answer = there.post(url("blacklistentry", "add"), fields)
        assert "You are at 198.51.100.7 yourself" in answer.content.decode()
        assert administrator.post(url("blacklistentry", "add"), fields).status_code == 302

    def test_many_are_let_in_or_kept_out_for_longer_at_once(self, administrator: Client) -> None:
        rows = [actions.blacklist(ROOT, f"198.51.100.{n}") for n in range(3)]
        assert "2 expire in 24 hours" in act(administrator, "blacklistentry", "for_a_day", *rows[:2])
        assert BlacklistEntry.objects.filter(expires_at__isnull=False).count() == 2
        assert "3 blocked permanently" in act(administrator, "blacklistentry", "for_good", *rows)
        asked = act(administrator, "blacklistentry", "delete_selected", *rows)
        assert "Are you sure" in asked and BlacklistEntry.objects.count() == 3
        administrator.post(
            url("blacklistentry", "changelist"),
            {"action": "delete_selected", "_selected_action": [row.pk for row in rows], "post": "yes"},
        )
        assert not BlacklistEntry.objects.exists()
        assert AuditEvent.objects.get(action="unblacklist").done == 3


class TestImport:
    @pytest.fixture
    def page(self) -> str:
        return reverse("admin:security_blacklistentry_import")

    def test_what_would_be_added_is_shown_before_it_is(self, administrator: Client, page: str) -> None:
        actions.blacklist(ROOT, "203.0.113.1")
        fields: dict[str, Any] = {
            "networks": "203.0.113.1\n203.0.113.2 # remark\nnonsense\n198.18.0.0/15",
            "protocols": ["smtp", "web"],
            "until": "3d",
            "description": "a list",
        }
        shown = administrator.post(page, fields).content.decode()
        assert "2 would be added; 1 listed already" in shown
        assert "is not an IP address or network" in shown and "covers 131,072 addresses" in shown
        assert BlacklistEntry.objects.count() == 1
        answer = administrator.post(page, {**fields, "confirmed": "yes"}, follow=True)
        assert "2 added, 1 were listed already, 1 left out" in answer.content.decode()
        row = BlacklistEntry.objects.get(network="203.0.113.2")
        assert row.protocols == [Protocol.SMTP, Protocol.WEB] and row.description == "a list" and row.expires_at

    def test_a_file_goes_on_in_the_box_so_that_it_can_be_confirmed(self, administrator: Client, page: str) -> None:
        file = SimpleUploadedFile("list.txt", b"203.0.113.2\n203.0.113.3\n")
        shown = administrator.post(page, {"file": file, "protocols": ["smtp"]})
        assert "2 would be added" in shown.content.decode()
        form = shown.context["form"]
        assert form["networks"].value().split() == ["203.0.113.2", "203.0.113.3"]
        assert form["protocols"].value() == ["smtp"]

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({}, "Give at least one"),
            ({"networks": "203.0.113.1", "until": "soon"}, "is no time"),
            ({"networks": "203.0.113.1", "protocols": []}, "This field is required"),
            ({"networks": "nonsense"}, "None of these can be listed"),
        ],
    )
    def test_what_can_not_be_is_answered_with_a_sentence(
        self, administrator: Client, page: str, fields: dict[str, Any], sentence: str
    ) -> None:
        assert sentence in administrator.post(page, {"protocols": ["smtp"], **fields}).content.decode()
        assert not BlacklistEntry.objects.exists()


class TestWhitelist:
    def test_internal_networks_are_changed_but_not_removed(self, administrator: Client) -> None:
        row = WhitelistEntry.objects.get(network="10.0.0.0/8")
        assert administrator.post(url("whitelistentry", "delete", row.pk), {"post": "yes"}).status_code == 403
        other = actions.whitelist(ROOT, "192.0.2.1")
        page = act(administrator, "whitelistentry", "take_off", row, other)
        assert "internal networks were left" in page and "1 taken off" in page
        assert WhitelistEntry.objects.filter(pk=row.pk).exists()
        assert not WhitelistEntry.objects.filter(pk=other.pk).exists()
        fields = {"network": row.network, "web": "on", "auth_bypass": "on"}
        page = administrator.post(url("whitelistentry", "change", row.pk), fields, follow=True).content.decode()
        assert "Every host in 10.0.0.0/8 may send anywhere without logging in" in page
        assert lists.newest().may_relay("10.1.2.3")


class TestBlocks:
    def test_a_block_is_made_and_ended(self, administrator: Client) -> None:
        fields = {"kind": "domain", "pattern": "*@Spam.example", "direction": "inbound"}
        assert administrator.post(url("smtpblock", "add"), fields).status_code == 302
        row = SMTPBlock.objects.get()
        assert (row.pattern, row.kind, row.created_by) == ("spam.example", "domain", "root@example.org")
        administrator.post(url("smtpblock", "change", row.pk), {**fields, "direction": "both"})
        assert actions.smtp_blocked(["x@spam.example"], "both")
        administrator.post(url("smtpblock", "delete", row.pk), {"post": "yes"})
        assert not actions.smtp_blocked(["x@spam.example"], "inbound")

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"pattern": "*"}, "would match every domain"),
            ({"pattern": "x@spam.example"}, "choose the type for addresses"),
            ({"kind": "address"}, "has no @"),
            ({"pattern": "known.example"}, "already exists"),
        ],
    )
    def test_what_can_not_be_is_answered_with_a_sentence(
        self, administrator: Client, fields: dict[str, str], sentence: str
    ) -> None:
        actions.block_smtp(ROOT, "known.example")
        wanted = {"kind": "domain", "pattern": "spam.example", "direction": "inbound", **fields}
        answer = administrator.post(url("smtpblock", "add"), wanted)
        assert sentence in answer.content.decode()
        assert SMTPBlock.objects.count() == 1


class TestLogins:
    @pytest.fixture
    def block(self) -> LoginBlock:
        LoginRules.objects.create(pk=1, pair_failures=3)
        for n in range(3):
            login_protection.failed("ann@example.org", "203.0.113.7", f"guess {n}", "smtp")
        return LoginBlock.objects.get()

    def test_who_is_closed_out_is_shown_with_the_time_left(self, administrator: Client, block: LoginBlock) -> None:
        page = administrator.get(url("loginblock", "changelist")).content.decode()
        assert "ann@example.org from 203.0.113.7" in page
        assert "15 min" in page or "14 min" in page

    def test_a_login_is_opened_and_then_found_among_those_that_are_over(
        self, administrator: Client, block: LoginBlock
    ) -> None:
        assert "1 login opened" in act(administrator, "loginblock", "release", block)
        assert login_protection.closed("ann@example.org", "203.0.113.7") is None
        assert "Nobody is closed out" in administrator.get(url("loginblock", "changelist")).content.decode()
        over = administrator.get(url("loginblock", "changelist"), {"state": "over"}).content.decode()
        assert "ann@example.org" in over and "open again" in over

    def test_its_address_or_network_is_blacklisted(self, administrator: Client, block: LoginBlock) -> None:
        assert "1 blacklisted" in act(administrator, "loginblock", "blacklist_for_a_day", block)
        assert BlacklistEntry.objects.get().expires_at is not None
        assert "1 blacklisted" in act(administrator, "loginblock", "blacklist_network", block)
        assert actions.blacklisted(["203.0.113.200"])

    def test_the_rules_are_one_form(self, administrator: Client, block: LoginBlock) -> None:
        page = url("loginrules", "change", 1)
        assert administrator.get(url("loginrules", "changelist"))["Location"] == page
        fields = {
            "pair_failures": 5,
            "ip_failures": 9,
            "account_failures": 20,
            "window_minutes": 10,
            "block_minutes": 30,
        }
        assert administrator.post(page, fields).status_code == 302
        assert LoginRules.load().block_minutes == 30
        assert login_protection.closed("ann@example.org", "203.0.113.7") is None, "switched off"
        assert "switched off" in AuditEvent.objects.filter(action="login-rules").latest("pk").outcome
        answer = administrator.post(page, {**fields, "enabled": "on", "pair_failures": 1})
        assert "greater than or equal to 3" in answer.content.decode()
