"""What the actions do to the lists, refuse and write down."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import Role
from security import actions, lists
from security.models import BlacklistEntry, Direction, Protocol, SMTPBlock, Source, WhitelistEntry
from spool.actions.actor import Actor, NotAllowed
from spool.actions.verb import Refused
from spool.models import AuditEvent

pytestmark = pytest.mark.django_db
ROOT = Actor("root@example.org", Role.SYSTEM_ADMINISTRATOR)


@pytest.mark.parametrize("role", [Role.USER, Role.DOMAIN_ADMINISTRATOR])
def test_only_a_system_administrator_changes_the_lists(role: Role) -> None:
    actor = Actor("ann@example.org", role, "example.org")
    actions.blacklist(ROOT, "192.0.2.1")
    actions.block_smtp(ROOT, "spam.example")
    for attempt in (
        lambda: actions.blacklist(actor, "192.0.2.2"),
        lambda: actions.unblacklist(actor, "192.0.2.1"),
        lambda: actions.whitelist(actor, "192.0.2.1"),
        lambda: actions.unwhitelist(actor, "192.0.2.1"),
        lambda: actions.block_smtp(actor, "x.example"),
        lambda: actions.unblock_smtp(actor, "spam.example"),
    ):
        with pytest.raises(NotAllowed):
            attempt()
    assert (BlacklistEntry.objects.count(), SMTPBlock.objects.count()) == (1, 1)


class TestBlacklist:
    def test_an_address_is_kept_out_for_the_protocols_chosen_and_the_audit_says_so(self) -> None:
        actions.blacklist(ROOT, "198.51.100.0/24", description="a flood", source=Source.SPOOL)
        assert actions.blacklisted(["198.51.100.9", "198.51.101.9", "nonsense", ""]) == {"198.51.100.9"}
        assert actions.blacklisted(["198.51.100.9"], Protocol.WEB) == set()
        event = AuditEvent.objects.get()
        assert (event.actor, event.action, event.on) == ("root@example.org", "blacklist", "198.51.100.0/24")
        assert event.outcome == "Added: SMTP"

    def test_listing_it_again_adds_to_what_is_there(self) -> None:
        soon = timezone.now() + timedelta(hours=1)
        actions.blacklist(ROOT, "2001:db8::1", protocols=["web"], expires_at=soon)
        row = actions.blacklist(ROOT, "2001:DB8:0::1", source=Source.SPOOL)
        assert BlacklistEntry.objects.count() == 1
        assert (row.smtp, row.web, row.expires_at, row.source) == (True, True, None, Source.MANUAL)

    def test_an_entry_ends_by_itself(self) -> None:
        row = actions.blacklist(ROOT, "198.51.100.1", expires_at=timezone.now() + timedelta(minutes=5))
        assert actions.blacklisted(["198.51.100.1"])
        BlacklistEntry.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
        lists.changed()
        assert not actions.blacklisted(["198.51.100.1"])
        again = actions.blacklist(ROOT, "198.51.100.1")
        assert again.pk == row.pk and again.expires_at is None

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"network": "nobody"}, "is not an IP address or network"),
            ({"network": "198.51.100.7/24"}, "write 198.51.100.0/24"),
            ({"network": "0.0.0.0/0"}, "is everybody"),
            ({"network": "198.51.100.7", "protocols": []}, "at least one"),
            ({"network": "198.51.100.7", "expires_at": timezone.now() - timedelta(days=1)}, "This time is in the past"),
            ({"network": "10.1.2.3"}, "on the whitelist for SMTP .by 10.0.0.0/8., and the whitelist wins"),
            ({"network": "127.0.0.1", "protocols": ["web"]}, "take Web off that entry first"),
        ],
    )
    def test_what_can_not_be_is_refused_with_a_sentence(self, arguments: dict[str, Any], sentence: str) -> None:
        with pytest.raises(Refused, match=sentence):
            actions.blacklist(ROOT, **arguments)
        assert not BlacklistEntry.objects.exists() and not AuditEvent.objects.exists()

    def test_a_part_of_a_larger_network_is_not_let_in_by_itself(self) -> None:
        actions.blacklist(ROOT, "198.51.100.0/24")
        with pytest.raises(Refused, match=r"part of 198\.51\.100\.0/24"):
            actions.unblacklist(ROOT, "198.51.100.7")
        assert actions.unblacklist(ROOT, "198.51.100.0/24") == 1
        assert actions.unblacklist(ROOT, "198.51.100.0/24") == 0
        assert not actions.blacklisted(["198.51.100.7"])
        assert AuditEvent.objects.filter(action="unblacklist", done=1).count() == 1

    def test_a_large_network_comes_with_a_warning(self) -> None:
        assert "65,536 addresses" in actions.blacklist(ROOT, "198.51.0.0/16").warning
        assert actions.blacklist(ROOT, "198.51.100.0/24").warning == ""

    def test_looking_many_up_costs_four_queries_whatever_their_number(self, django_assert_max_num_queries: Any) -> None:
        actions.blacklist(ROOT, "198.51.100.0/24")
        with django_assert_max_num_queries(4):
            found = actions.blacklisted(f"198.51.{n}.1" for n in range(256))
        assert found == {"198.51.100.1"}


class TestWhitelist:
    def test_it_wins_over_the_blacklist_for_its_protocols(self) -> None:
        actions.blacklist(ROOT, "198.51.100.0/24", protocols=Protocol)
        actions.whitelist(ROOT, "198.51.100.7", protocols=["smtp"])
        assert actions.blacklisted(["198.51.100.7", "198.51.100.8"]) == {"198.51.100.8"}
        assert actions.blacklisted(["198.51.100.7"], Protocol.WEB) == {"198.51.100.7"}
        assert actions.unwhitelist(ROOT, "198.51.100.7") == 1
        assert actions.blacklisted(["198.51.100.7"]) == {"198.51.100.7"}

    def test_internal_networks_are_listed_and_let_off_nothing_but_closed_logins(self) -> None:
        rows = WhitelistEntry.objects.filter(is_default=True)
        assert {"10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "::1", "fc00::/7"} <= {row.network for row in rows}
        now = lists.newest()
        assert now.skips_login_protection("192.168.1.1")
        assert not now.may_relay("127.0.0.1") and not now.skips_spam_checks("127.0.0.1")

    def test_internal_networks_may_be_changed_but_not_removed_and_stay_as_they_are(self) -> None:
        with pytest.raises(Refused, match="internal network"):
            actions.unwhitelist(ROOT, "10.0.0.0/8")
        actions.whitelist(ROOT, "10.0.0.0/8", protocols=["web"], auth_bypass=True)
        call_command("migrate", verbosity=0)
        row = WhitelistEntry.objects.get(network="10.0.0.0/8")
        assert (row.smtp, row.auth_bypass, row.login_bypass) == (False, True, True)
        assert lists.trusts("10.9.9.9") and not lists.trusts("11.9.9.9")
        actions.blacklist(ROOT, "10.0.0.7")
        assert actions.blacklisted(["10.0.0.7"])

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"network": "::/0", "auth_bypass": True}, "is everybody"),
            ({"network": "198.51.100.7", "protocols": []}, "at least one"),
        ],
    )
    def test_what_can_not_be_is_refused_with_a_sentence(self, arguments: dict[str, Any], sentence: str) -> None:
        with pytest.raises(Refused, match=sentence):
            actions.whitelist(ROOT, **arguments)


class TestBlocks:
    def test_directions_add_up_and_are_taken_off_one_by_one(self) -> None:
        actions.block_smtp(ROOT, "Ann@Example.org", source=Source.SPOOL)
        row = actions.block_smtp(ROOT, "ann@example.org", direction=Direction.OUTBOUND)
        assert (row.direction, row.source) == (Direction.BOTH, Source.SPOOL)
        assert actions.smtp_blocked(["ann@example.org", "bob@example.org"], Direction.BOTH) == {"ann@example.org"}
        assert actions.unblock_smtp(ROOT, "ann@example.org", Direction.INBOUND) == 1
        assert actions.smtp_blocked(["ann@example.org"], Direction.INBOUND) == set()
        assert actions.smtp_blocked(["ann@example.org"], Direction.OUTBOUND) == {"ann@example.org"}
        assert actions.unblock_smtp(ROOT, "ann@example.org", Direction.INBOUND) == 0
        assert actions.unblock_smtp(ROOT, "ann@example.org") == 1
        assert not SMTPBlock.objects.exists()

    def test_a_domain_blocks_its_addresses_and_is_the_one_to_unblock(self) -> None:
        actions.block_smtp(ROOT, "*@Example.org")
        assert SMTPBlock.objects.get().pattern == "example.org"
        assert actions.smtp_blocked(["ann@example.org", "example.org", "@example.org"], Direction.INBOUND) == {
            "ann@example.org",
            "example.org",
            "@example.org",
        }
        with pytest.raises(Refused, match=r"blocked by example\.org"):
            actions.unblock_smtp(ROOT, "ann@example.org", Direction.INBOUND)
        assert actions.unblock_smtp(ROOT, "example.org", Direction.INBOUND) == 1

    def test_a_name_that_hosts_give_themselves_is_no_sender(self) -> None:
        actions.block_smtp(ROOT, "dyn.example", kind="ehlo", direction=Direction.BOTH)
        assert actions.smtp_blocked(["dyn.example", "x@dyn.example"], Direction.INBOUND) == set()
        assert actions.unblock_smtp(ROOT, "dyn.example") == 0
        assert actions.unblock_smtp(ROOT, "dyn.example", kind="ehlo") == 1

    @pytest.mark.parametrize("pattern", ["", "*", "*@*", "a b@example.org", "@", "x" * 300])
    def test_what_can_not_be_is_refused(self, pattern: str) -> None:
        with pytest.raises(Refused):
            actions.block_smtp(ROOT, pattern)
        assert not SMTPBlock.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_taken_back_is_not_kept_by_anybody() -> None:
    from django.db import transaction

    call_command("migrate", verbosity=0)
    lists.forget()
    with transaction.atomic():
        actions.blacklist(ROOT, "198.51.100.1")
        assert lists.current().blacklisted("198.51.100.1", Protocol.SMTP), "its maker sees it"
        transaction.set_rollback(True)
    assert not lists.newest().blacklisted("198.51.100.1", Protocol.SMTP)
    actions.blacklist(ROOT, "198.51.100.2")
    assert lists.current().blacklisted("198.51.100.2", Protocol.SMTP), "in effect at once where it was made"
    assert not lists.current().blacklisted("198.51.100.1", Protocol.SMTP)
