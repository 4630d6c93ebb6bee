"""What there may be after a crash, and what there must be: outcomes, rows, files, and the doctor's view of them."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

from tests.crash.ledger import Ledger
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.waiting import wait_until

_TEST_ID = re.compile(rb"(?im)^x-test-id:[ \t]*(\S+)")


def found_test_id(path: Path) -> str:
    """The X-Test-Id of a message, or of the one that it reports about; "" when there is none."""
    match = _TEST_ID.search(path.read_bytes())
    return match[1].decode() if match else ""


def findings(mailspool: MailspoolUnderTest, *, mend: bool = False) -> list[tuple[str, str]]:
    """(kind, what) of all that the doctor finds."""
    options = ["--mend"] if mend else []
    found = json.loads(mailspool.manage("spool", "doctor", "--json", *options, check=False).stdout)
    return [(row["Kind"], row["What"]) for row in found]


def age_files(mailspool: MailspoolUnderTest, hours: float = 2.0) -> None:
    """Have time go by for the files in the spool: the doctor leaves alone what may be coming in just now."""
    then = time.time() - hours * 3600
    for path in mailspool.message_files():
        os.utime(path, (then, then))


def assert_one_outcome_each(mailspool: MailspoolUnderTest, ledger: Ledger) -> None:
    """Every recipient of every acknowledged message has exactly one recorded outcome, and it was delivered."""
    counts: dict[tuple[str, str], int] = {}
    query = (
        "SELECT subject, recipient, count(*), count(CASE WHEN outcome = 'delivered' THEN 1 END)"
        " FROM spool_trace GROUP BY subject, recipient, file_name"
    )
    for subject, recipient, count, delivered in mailspool.rows(query):
        if subject.startswith(f"{ledger.prefix}-"):
            assert count == delivered == 1, f"{subject} to {recipient}: {count} outcomes, {delivered} delivered"
            counts[subject, recipient] = count
    assert not ledger.promised - counts.keys(), "some have no outcome"


def assert_nothing_is_left(mailspool: MailspoolUnderTest, ledger: Ledger, *, spawned: bool = False) -> None:
    """No rows. Files: of messages that have ended, which go, and of messages whose clients got no 250, which are kept
    aside. After mending there is nothing to find.

    With `spawned` there may also be copies of acknowledged messages aside, which were written but not recorded.
    """
    tables = ("spool_entry", "spool_recipient", "spool_content", "spool_contentpart")
    assert [mailspool.count(table) for table in tables] == [0, 0, 0, 0]
    # The files of what has just ended go a moment after their rows.
    time.sleep(0.5)
    age_files(mailspool)
    found = findings(mailspool, mend=True)
    print("left behind:", *(f"{kind} {what}" for kind, what in found) if found else ["nothing"])
    assert {kind for kind, _ in found} <= {"leftover file", "orphan file", "unfinished file"}
    assert mailspool.message_files() == []
    assert findings(mailspool) == []
    for path in (mailspool.home / "lost+found").glob("*"):
        assert spawned or found_test_id(path) not in ledger.acknowledged, f"{path} had been acknowledged"


def assert_everything_is_counted_once(mailspool: MailspoolUnderTest) -> None:
    """The traffic counts say what the trace says, recipient by recipient, and name each message that was taken in."""
    wait_until(lambda: mailspool.count("spool_trafficbatch") == 0, "the traffic is added up", 30)
    totals = dict(mailspool.rows("SELECT kind, total FROM spool_traffictotal WHERE key = '-'"))
    traced = mailspool.rows("SELECT outcome, kind, COUNT(*) FROM spool_trace GROUP BY outcome, kind")
    delivered = {kind: count for outcome, kind, count in traced if outcome == "delivered"}
    lost = sum(count for outcome, _, count in traced if outcome in ("bounced", "expired"))
    messages = mailspool.rows("SELECT COUNT(DISTINCT file_name) FROM spool_trace")[0][0]
    assert (totals.get(1, 0), totals.get(2, 0)) == (delivered.get("local", 0), delivered.get("remote", 0))
    assert totals.get(12, 0) == lost
    assert totals.get(10, 0) + totals.get(11, 0) == messages
