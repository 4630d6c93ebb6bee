"""Messages at rest on their way from files to the database and back, and whoever brings them killed anywhere."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from tests.crash.conftest import DATABASE, Install
from tests.crash.extent import LONG, SEED
from tests.crash.faults import Fault, can_inject, kill_at
from tests.crash.ledger import REMOTE, Ledger, send_one, settle
from tests.crash.remains import age_files, assert_one_outcome_each, findings
from tests.support.dns import DNSServer
from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.ports import free_port
from tests.support.sink import CountingSink
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(not can_inject(), reason="needs strace, and the right to trace"),
]

FILES = {"MAILSPOOL_STORE": "files", "MAILSPOOL_INLINE_KB": "0"}
# The last is in parts in the database.
MESSAGE_SIZES = (600, 4096, 40_000, 700_000)
# Statements of the command between two deaths.
STEP = 2 if LONG else 12


@pytest.mark.parametrize(
    ("before", "after"), [pytest.param(FILES, DATABASE, id="to database"), pytest.param(DATABASE, FILES, id="to files")]
)
def test_a_relocation_killed_at_any_step_loses_nothing_and_is_ended_by_the_next(
    install: Install,
    sink: CountingSink,
    sink_port: int,
    dns: DNSServer,
    before: dict[str, str],
    after: dict[str, str],
) -> None:
    old = install(env=before)
    old.run("from spool.files import marks; assert not marks.settle()")
    # Nobody answers where they are to go: they come to rest, and stay there.
    old.settings(smtp_out_port=free_port(), retry_intervals_minutes="60")
    old.start()
    ledger = Ledger("moved")
    with old.smtp() as client:
        assert all(send_one(client, ledger, REMOTE[:1], size) for size in MESSAGE_SIZES)
    resting = "SELECT count(*) FROM spool_entry WHERE leased_by = '' AND attempts > 0"
    wait_until(lambda: old.rows(resting) == [(len(MESSAGE_SIZES),)], "nobody works on any")
    old.kill_programs()
    old.lapse_leases()
    new = MailspoolUnderTest(old.folder, dns=dns.address, env=after, beside=old)
    try:
        deaths = _killed_again_and_again(new, after is FILES)
        print(f"MAILSPOOL_CRASH_SEED={SEED}: {deaths} deaths")
        assert deaths
        assert len(_files(new)) == (0 if after is DATABASE else len(MESSAGE_SIZES))
        assert (new.count("spool_content") + new.count("spool_contentpart") > 0) == (after is DATABASE)
        new.settings(smtp_out_port=sink_port)
        new.run(
            "from django.utils import timezone\nfrom spool.models import Entry\n"
            "Entry.objects.update(due_at=timezone.now())"
        )
        new.start()
        new.wait_until_empty(60)
        account = settle(ledger, new, sink)
        assert not account.lost
        assert account.remote_duplicates == 0
        assert_one_outcome_each(new, ledger)
        age_files(new)
        # Files that a killed command had begun.
        assert {kind for kind, _ in findings(new, mend=True)} <= {"leftover file", "orphan file", "unfinished file"}
        assert findings(new) == [] and _files(new) == []
        assert new.count("spool_content") == new.count("spool_contentpart") == 0
    finally:
        new.kill()


def _killed_again_and_again(mailspool: MailspoolUnderTest, of_files: bool) -> int:
    """The command at later and later calls, until it comes to its end; how often it died."""
    faults: list[Fault] = [kill_at("fsync", 1), kill_at("fsync", 3), kill_at("rename", 2)] if of_files else []
    deaths = 0
    for fault in faults if LONG else faults[:1]:
        deaths += _dies(mailspool, fault)
    for number in count(1 + SEED % STEP, STEP):
        if not _dies(mailspool, kill_at("sendto", number)):
            return deaths
        deaths += 1
    raise AssertionError


def _dies(mailspool: MailspoolUnderTest, fault: Fault) -> bool:
    daemon = mailspool.process("relocate", "spool", "relocate", wrap=fault.wrapper)
    daemon.start()
    ended = daemon.finish(60)
    assert ended in (0, -9), f"{daemon.log_tail()}"
    return ended != 0


def _files(mailspool: MailspoolUnderTest) -> list[Path]:
    """Of messages; what a killed command had begun is for the doctor."""
    return [path for path in (mailspool.home / "spool").glob("subspool*/*.eml") if not path.name.startswith(".")]
