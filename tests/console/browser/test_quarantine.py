"""Both quarantines, used by a browser."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from quarantine.items import transfer
from quarantine.items.transfer import Caught
from quarantine.models import AntispamSettings, Check, CheckKind, Item, ItemKind
from spool.flow import intake, leases
from spool.models import Entry
from spool.rows import statements
from tests.console.browser.conftest import Console
from tests.quarantine import mail
from tests.support.messages import a_submission

pytestmark = pytest.mark.alike

SPAM, VIRUS = "/admin/quarantine/item/spam/", "/admin/quarantine/item/virus/"


def quarantine(kind: ItemKind, why: str, sender: str, content: bytes | None = None) -> Item:
    [name] = intake.accept([a_submission(sender, content=content)])
    with statements.write_transaction():
        leases.take("stage", timezone.now(), 10, straight=False, no_delay=True)
    entry = Entry.objects.get(file_name=name)
    transfer.take("stage", [Caught(entry.id, kind, why)], timezone.now(), 30)
    return Item.objects.get(file_name=name)


def test_what_a_filter_leaves_is_resent_by_selecting_all_that_match(console: Console) -> None:
    for sender in ("ann@example.org", "eve@example.com", "eve@example.com"):
        quarantine(ItemKind.SPAM, "31 points: SPF 31", sender)
    page = console.open(f"{SPAM}?sender=eve@example.com")
    assert console.rows() == 2
    page.check(".pick-one >> nth=0")
    page.click("#bar-all")
    page.click("#bar [data-act=resend]")
    expect(page.locator("#confirm-title")).to_have_text("Resend: 2 messages")
    page.click("#confirm button[type=submit]")
    expect(page.locator(".ms-result")).to_contain_text("2 resent")
    assert Entry.objects.count() == 2 and Item.objects.count() == 1
    assert console.misdeeds == []


def test_an_infected_message_is_read_as_text_and_downloaded_only_after_a_warning(console: Console) -> None:
    item = quarantine(ItemKind.VIRUS, "Win.Test (clamd)", "eve@example.com", mail.attached())
    page = console.open(VIRUS)
    page.click(".ms-entry .sender")
    expect(page.locator("#popup #why")).to_contain_text("Win.Test (clamd)")
    page.click("#tab-content")
    expect(page.locator("#popup pre")).to_have_text("Please pay.")
    expect(page.locator("#popup")).to_contain_text("invoice.com")
    assert page.locator("#popup iframe").count() == 0
    page.click("#popup [data-ask]")
    expect(page.locator("#confirm")).to_contain_text("can infect your computer")
    with page.expect_download() as download:
        page.click("#confirm button[type=submit]")
    assert download.value.suggested_filename == f"{item.file_name}.txt"
    assert console.misdeeds == []


def test_a_deletion_is_undone_by_the_button_beside_it(console: Console) -> None:
    quarantine(ItemKind.SPAM, "31 points: SPF 31", "eve@example.com")
    page = console.open(SPAM)
    page.click(".ms-entry .sender")
    page.click("#popup [data-act=delete]")
    page.click("#confirm button[type=submit]")
    expect(page.locator(".ms-result")).to_contain_text("1 deleted")
    expect(page.locator(".ms-entry")).to_have_count(0)
    page.click(".ms-result >> text=Undo")
    expect(page.locator(".ms-entry")).to_have_count(1)
    assert console.misdeeds == []


def test_a_message_is_tried_out_on_the_page_antispam(console: Console) -> None:
    AntispamSettings.load()
    Check.objects.create(name="rule", kind=CheckKind.HEADER, where="Subject", pattern="prize", weight=12)
    page = console.open("/admin/quarantine/antispamsettings/1/change/")
    page.fill("#try-message", "Subject: A prize\n\nhello")
    page.get_by_role("button", name="Try", exact=True).click()
    expect(page.locator("#tried")).to_contain_text("12 points: rule 12")
    assert console.misdeeds == []


def test_the_list_is_sorted_saved_as_a_view_and_exported(console: Console) -> None:
    for sender, why in (("ann@example.org", "31 points: SPF 31"), ("eve@example.com", "60 points: DNSBL 60")):
        quarantine(ItemKind.SPAM, why, sender)
    page = console.open(SPAM)
    page.locator("thead a", has_text="Sender").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Senderarrow_upward")
    expect(page.locator(".ms-entry .sender").first).to_have_text("eve@example.com")
    page.locator("summary", has_text="Views").click()
    page.fill("[name=name]", "By sender")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("body")).to_contain_text("The view “By sender” is saved.")
    console.open(SPAM)
    page.locator("summary", has_text="Views").click()
    page.get_by_role("link", name="By sender").click()
    expect(page).to_have_url(re.compile(r"sort=sender"))
    page.check("#pick-page")
    page.click("#bar [data-act=export]")
    expect(page.locator("#confirm-title")).to_have_text("Export: 2 messages")
    with page.expect_download() as download:
        page.click("#confirm button[type=submit]")
    assert re.fullmatch(r"quarantine-\d{8}-\d{6}\.csv", download.value.suggested_filename)
    assert "eve@example.com" in download.value.path().read_text()
    assert console.misdeeds == []
