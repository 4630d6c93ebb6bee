"""An account is used by somebody else: seen on the Overview, stopped in three clicks, while all other mail flows."""

from __future__ import annotations

import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.browser.conftest import PATIENCE_MS
from tests.support.dns import DNSServer
from tests.support.mailspool_process import PASSWORD, MailspoolUnderTest
from tests.support.messages import a_message
from tests.support.postgres import PostgresServer
from tests.support.sink import SmtpSink
from tests.support.waiting import wait_until

ADMINISTRATOR, ANN, DMITRI = "root@localhost", "ann@here.test", "dmitri@here.test"
FLOODING_IP, USUAL_IP = "127.0.0.66", "127.0.0.10"


class Sender:
    """Somebody who logs in and sends, over and over, and comes back when thrown out."""

    def __init__(self, mailspool: MailspoolUnderTest, user: str, ip: str, pause_seconds: float) -> None:
        self._mailspool, self.user, self._ip, self._pause = mailspool, user, ip, pause_seconds
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
                to = f"someone{self.taken}@far.test"
                client.sendmail(self.user, [to], a_message(to, self.user))
                self.taken += 1
                self._stop.wait(self._pause)


@pytest.fixture
def mailspool(tmp_path: Path, durable_postgres: PostgresServer | None) -> Iterator[MailspoolUnderTest]:
    url = durable_postgres.create_database("flood") if durable_postgres else ""
    sink = SmtpSink(tmp_path / "sink")
    sink.start()
    with DNSServer() as dns:
        dns.add("far.test", "MX", "10 mx.far.test.")
        dns.add("mx.far.test", "A", "127.0.0.1")
        running = MailspoolUnderTest(tmp_path, database_url=url, dns=dns.address, web=True)
        running.prepare()
        running.add_domain("here.test", "ann", "dmitri")
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

        expect(page.locator("#results")).to_contain_text(f"{DMITRI} is disabled but receiving")
        time.sleep(1.5)
        taken, others = flood.taken, usual.taken
        wait_until(lambda: usual.taken >= others + 5, "Ann's mail flows on", 30)
        assert flood.taken == taken
        assert usual.refused == []
        assert any("535" in refusal for refusal in flood.refused)
        page.reload()
        expect(page.locator('[data-table="outbound-senders"] tbody tr').first).to_contain_text("Disabled, receiving")
    # Mail for the account still arrives.
    mailspool.send("x@elsewhere.test", DMITRI, a_message(DMITRI, "x@elsewhere.test"))
    wait_until(lambda: mailspool.maildir(DMITRI), "mail for the account arrives", 20)
