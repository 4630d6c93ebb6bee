"""The Overview over real mail: a flood is seen and stopped in three clicks, and every action of every table works."""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
import threading
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.browser.conftest import PATIENCE_MS, serious_violations
from tests.support.dns import DNSServer
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.sink import SmtpSink
from tests.support.waiting import wait_until

pytestmark = pytest.mark.alike

ADMINISTRATOR, ANN, DMITRI, EVE = "root@localhost", "ann@here.test", "dmitri@here.test", "eve@here.test"
FLOODING_IP, USUAL_IP, DEFERRED_IP = "127.0.0.66", "127.0.0.10", "127.0.0.67"
# From the flood to the first screen.
SEEN_WITHIN_SECONDS = 20


class Sender:
    """Somebody who logs in and sends, over and over, and comes back when thrown out."""

    def __init__(
        self, mailspool: MailspoolUnderTest, user: str, ip: str, pause_seconds: float, domain: str = "far.test"
    ) -> None:
        self._mailspool, self.user, self._ip, self._pause = mailspool, user, ip, pause_seconds
        self._domain = domain
        self.taken = 0
        self.refused: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sender:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._session()
            except (smtplib.SMTPException, OSError) as error:
                self.refused.append(str(error))
                self._stop.wait(0.3)

    def _session(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        port = self._mailspool.submission_port
        with smtplib.SMTP("127.0.0.1", port, timeout=20, source_address=(self._ip, 0)) as client:
            client.starttls(context=context)
            client.login(self.user, PASSWORD)
            while not self._stop.is_set():
                to = f"someone{self.taken}@{self._domain}"
                client.sendmail(self.user, [to], a_message(to, self.user))
                self.taken += 1
                self._stop.wait(self._pause)


@pytest.fixture(scope="module")
def mailspool(
    tmp_path_factory: pytest.TempPathFactory, durable_postgres: PostgresServer | None
) -> Iterator[MailspoolUnderTest]:
    tmp_path = tmp_path_factory.mktemp("flood")
    url = durable_postgres.create_database("flood") if durable_postgres else ""
    sink = SmtpSink(tmp_path / "sink")
    sink.start()
    with DNSServer() as dns:
        dns.add("far.test", "MX", "10 mx.far.test.")
        dns.add("mx.far.test", "A", "127.0.0.1")
        dns.add("dead.test", "MX", "10 mx.dead.test.")
        # Nothing listens there.
        dns.add("mx.dead.test", "A", "127.0.0.9")
        running = MailspoolUnderTest(tmp_path, database_url=url, dns=dns.address, web=True)
        running.prepare()
        running.add_domain("here.test", "ann", "dmitri", "eve")
        # As a new installation has them.
        running.run("from spool.alerts import defaults\ndefaults.make('')")
        running.run(f"from accounts.models import User\nUser.objects.create_superuser({ADMINISTRATOR!r}, {PASSWORD!r})")
        running.settings(smtp_out_port=sink.port)
        try:
            running.start()
            yield running
        finally:
            running.kill()
            sink.stop()


def log_in(page: Page, mailspool: MailspoolUnderTest) -> None:
    page.goto(f"http://127.0.0.1:{mailspool.web_port}/admin/")
    page.locator("[name=username]").fill(ADMINISTRATOR)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#t-activity")).to_be_visible()
    # Its scripts have run: before that a click opens no menu.
    page.wait_for_load_state()


def test_a_flood_is_seen_and_contained_in_three_clicks_while_the_rest_flows(
    mailspool: MailspoolUnderTest, page: Page
) -> None:
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    usual = Sender(mailspool, ANN, USUAL_IP, 0.3)
    flood = Sender(mailspool, DMITRI, FLOODING_IP, 0.01)
    with usual, flood:
        wait_until(lambda: flood.taken > 150 and usual.taken > 3, "mail flows", 60)
        time.sleep(3)  # what was delivered is added up
        log_in(page, mailspool)
        row = page.locator('[data-table="outbound-senders"] tbody tr').first
        expect(row).to_contain_text(DMITRI)
        expect(row).to_contain_text("Rising")
        first_ip = page.locator('[data-table="outbound-ips"] tbody tr').first
        expect(first_ip).to_contain_text(FLOODING_IP)

        row.get_by_role("button").click()
        page.get_by_role("menuitem", name="Disable User").click()
        page.locator("#confirm").get_by_role("button", name="Disable User").click()

        expect(page.locator("#results")).to_contain_text(f"{DMITRI} is set to Disable and Allow Mail")
        time.sleep(1.5)
        taken, others = flood.taken, usual.taken
        wait_until(lambda: usual.taken >= others + 5, "Ann's mail flows on", 30)
        assert flood.taken == taken
        assert usual.refused == []
        assert any("535" in refusal for refusal in flood.refused)
        page.reload()
        expect(page.locator('[data-table="outbound-senders"] tbody tr').first).to_contain_text("Disable and Allow Mail")
    # Mail for the account still arrives.
    mailspool.send("x@elsewhere.test", DMITRI, a_message(DMITRI, "x@elsewhere.test"))
    wait_until(lambda: mailspool.maildir(DMITRI), "mail for the account arrives", 20)


def is_on_first_screen(locator: Locator) -> bool:
    """Whether it is seen without scrolling."""
    box, size = locator.bounding_box(), locator.page.viewport_size
    return box is not None and size is not None and box["y"] >= 0 and box["y"] + box["height"] <= size["height"]


# Of what several rules say of the same, whichever says most.
FLOODS = re.compile(rf"({re.escape(EVE)} handed in|messages from {re.escape(EVE)} were deferred)")


def test_a_flood_that_nobody_takes_is_on_the_first_screen_and_contained_from_there(
    mailspool: MailspoolUnderTest, page: Page
) -> None:
    page.set_default_timeout(PATIENCE_MS)
    log_in(page, mailspool)
    # Nothing listens where it goes: all of it is deferred.
    with contextlib.ExitStack() as stack:
        floods = [stack.enter_context(Sender(mailspool, EVE, DEFERRED_IP, 0.0, "dead.test")) for _ in range(3)]
        wait_until(lambda: sum(flood.taken for flood in floods) > 400, "the flood comes in", 60)
        began = time.monotonic()
        strip, people = page.locator("#attention"), page.locator('[data-table="people"] tbody tr').first
        expect(strip.get_by_role("listitem").filter(has_text=FLOODS)).to_be_visible(timeout=SEEN_WITHIN_SECONDS * 1000)
        page.reload()
        expect(people).to_contain_text(EVE)
        assert time.monotonic() - began < SEEN_WITHIN_SECONDS
        expect(people).to_contain_text("Rising")
        expect(page).to_have_title(re.compile(r"^\(\d+\) "))
        assert page.locator('[data-table="outbound-senders"] tr', has_text=EVE).count() == 0
        for theme in ("light", "dark"):
            page.evaluate(f"localStorage.setItem('adminTheme', JSON.stringify('{theme}'))")
            for width, height in ((1440, 900), (390, 844)):
                page.set_viewport_size({"width": width, "height": height})
                page.reload()
                # Whoever flooded before has a line of his own.
                flooding = strip.get_by_role("listitem").filter(has_text=FLOODS)
                contain = flooding.get_by_role("link", name="Contain account").first
                assert is_on_first_screen(flooding.get_by_role("link", name=FLOODS).first)
                assert is_on_first_screen(contain)
                assert is_on_first_screen(people)
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert serious_violations(page, "#attention") == []
        expect(page.locator('[data-table="people"] tbody tr').first.locator("td.much")).not_to_have_count(0)

        contain.click()
        page.get_by_role("button", name="Contain", exact=True).click()

        expect(page.locator("#contained")).to_be_visible()
        time.sleep(1.5)
        taken = sum(flood.taken for flood in floods)
        time.sleep(1.5)
        assert sum(flood.taken for flood in floods) == taken
        assert mailspool.rows(f"SELECT COUNT(*) FROM spool_entry WHERE auth_user = '{EVE}' AND NOT hold") == [(0,)]
    page.set_viewport_size({"width": 1440, "height": 900})
    page.locator("#attention").get_by_role("button", name=re.compile(f"Acknowledge: {FLOODS.pattern}")).first.click()
    expect(page.locator("#attention")).to_contain_text(f"acknowledged by {ADMINISTRATOR}")
    mailspool.run("from spool.models import Entry\nEntry.objects.filter(hold=True).delete()")


def send_from(mailspool: MailspoolUnderTest, ip: str, sender: str, ehlo: str = "client.test") -> str:
    """Hand in a message for Ann without a login; the reply that refused it, or "" when it was taken."""
    try:
        with smtplib.SMTP("127.0.0.1", mailspool.smtp_port, ehlo, timeout=20, source_address=(ip, 0)) as client:
            client.sendmail(sender, [ANN], a_message(ANN, sender))
    except smtplib.SMTPResponseException as error:
        return f"{error.smtp_code} {error.smtp_error!r}"
    except smtplib.SMTPRecipientsRefused as error:
        return str(error.recipients)
    except smtplib.SMTPServerDisconnected as error:
        return str(error)
    return ""


def act(page: Page, table: str, key: str, label: str, agree: str = "") -> None:
    """From the menu of a row to the result."""
    row = page.locator(f'[data-table="{table}"] tr[data-key="{key}"]')
    row.get_by_role("button").click()
    page.get_by_role("menuitem", name=label, exact=True).click()
    page.locator("#confirm").get_by_role("button", name=agree or label).click()
    expect(page.locator("#results .ms-result").last).to_be_visible()
    expect(page.locator("#confirm")).to_be_hidden()
    time.sleep(1.2)  # what other processes may be out of date


@pytest.fixture
def console(mailspool: MailspoolUnderTest, page: Page) -> Page:
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    for sender, ip in (("win@prizes.test", "127.0.0.77"), ("tom@nice.test", "127.0.0.78")):
        assert send_from(mailspool, ip, sender) == ""
    wait_until(lambda: mailspool.is_empty, "it is delivered", 30)
    time.sleep(3)
    log_in(page, mailspool)
    return page


def test_senders_and_domains_are_blocked_by_envelope_sender_and_unblocked(
    mailspool: MailspoolUnderTest, console: Page
) -> None:
    for table, key, other in (
        ("inbound-senders", "win@prizes.test", "too@prizes.test"),
        ("inbound-domains", "prizes.test", "tom@nice.test"),
    ):
        act(console, table, key, "Block Inbound SMTP")
        expect(console.locator(f'[data-table="{table}"] tr[data-key="{key}"]')).to_contain_text("Blocked")
        assert send_from(mailspool, "127.0.0.77", "win@prizes.test").startswith("5")
        assert send_from(mailspool, "127.0.0.77", other) == ""
        # It is not about the name with which a host introduces itself.
        assert send_from(mailspool, "127.0.0.78", "tom@nice.test", ehlo="prizes.test") == ""
        act(console, table, key, "Unblock Inbound SMTP")
        assert send_from(mailspool, "127.0.0.77", "win@prizes.test") == ""


def test_an_address_is_kept_out_once_the_whitelist_does_not_let_it_in(
    mailspool: MailspoolUnderTest, console: Page
) -> None:
    row = console.locator('[data-table="inbound-ips"] tr[data-key="127.0.0.77"]')
    row.get_by_role("button").click()
    console.get_by_role("menuitem", name="Blacklist IP").click()
    console.locator("#confirm").get_by_role("button", name="Blacklist IP").click()
    expect(console.locator("#confirm [role=alert]")).to_contain_text("whitelist")
    console.locator("#confirm").get_by_role("button", name="Cancel").click()
    mailspool.run("from security.models import WhitelistEntry\nWhitelistEntry.objects.all().delete()")
    time.sleep(1.2)
    act(console, "inbound-ips", "127.0.0.77", "Blacklist IP")
    expect(row).to_contain_text("Blacklisted")
    assert send_from(mailspool, "127.0.0.77", "other@elsewhere.test") != ""
    assert send_from(mailspool, "127.0.0.78", "tom@nice.test") == ""
    act(console, "inbound-ips", "127.0.0.77", "Unblock IP")
    assert send_from(mailspool, "127.0.0.77", "win@prizes.test") == ""


def test_a_recipient_loses_connections_and_gets_a_new_password(mailspool: MailspoolUnderTest, console: Page) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = smtplib.SMTP("127.0.0.1", mailspool.submission_port, timeout=20, source_address=(USUAL_IP, 0))
    client.starttls(context=context)
    client.login(ANN, PASSWORD)
    act(console, "inbound-recipients", ANN, "Drop Connections")
    expect(console.locator("#results")).to_contain_text("1 SMTP")
    with pytest.raises((smtplib.SMTPException, OSError)):
        for _ in range(5):
            code, _ = client.noop()
            assert code == 421
    row = console.locator(f'[data-table="inbound-recipients"] tr[data-key="{ANN}"]')
    row.get_by_role("button").click()
    console.get_by_role("menuitem", name="Change Password").click()
    password = console.get_by_label("New password").input_value()
    console.locator("#confirm").get_by_role("button", name="Change Password").click()
    expect(console.locator("#results")).to_contain_text(f"The password of {ANN} is changed")
    with smtplib.SMTP("127.0.0.1", mailspool.submission_port, timeout=20, source_address=(USUAL_IP, 0)) as again:
        again.starttls(context=context)
        with pytest.raises(smtplib.SMTPAuthenticationError):
            again.login(ANN, PASSWORD)
    with smtplib.SMTP("127.0.0.1", mailspool.submission_port, timeout=20, source_address=(USUAL_IP, 0)) as again:
        again.starttls(context=context)
        again.login(ANN, password)
        # What waits for a host that is not there can be deleted and moved.
        again.sendmail(ANN, ["one@dead.test", "two@far.test"], a_message("one@dead.test", ANN))
    wait_until(lambda: mailspool.rows("SELECT status FROM spool_entry") == [("waiting",)], "it waits", 30)
    time.sleep(3)
    console.reload()
    act(console, "outbound-senders", ANN, "Delete Messages", "Delete")
    expect(console.locator("#results")).to_contain_text("1 deleted")
    assert mailspool.is_empty


def test_an_administrator_takes_a_users_place_and_comes_back(mailspool: MailspoolUnderTest, console: Page) -> None:
    row = console.locator(f'[data-table="inbound-recipients"] tr[data-key="{ANN}"]')
    row.get_by_role("button").click()
    console.get_by_role("menuitem", name="Manage User").click()
    console.wait_for_url("**/me/**")
    expect(console.locator("body")).to_contain_text(ANN)
    console.get_by_role("button", name="Back to the console").click()
    console.goto(f"http://127.0.0.1:{mailspool.web_port}/admin/")
    expect(console.locator("#t-activity")).to_be_visible()
