"""A backup of an older release is brought up to date where it is restored."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.mailspool_process import MailspoolUnderTest
from tests.support.postgres import PostgresServer
from tests.upgrades.dumped import Dumped

_STATES = (
    "SELECT file_name, 'entry' FROM spool_entry UNION ALL SELECT file_name, state FROM spool_trashed"
    " UNION ALL SELECT file_name, state FROM quarantine_item"
)


def test_a_backup_of_an_older_schema_is_restored_and_brought_up_to_date(
    tmp_path: Path, durable_postgres: PostgresServer | None
) -> None:
    old = Dumped("7afd7b3", tmp_path / "old", durable_postgres)
    url = durable_postgres.create_database("backup_of_older") if durable_postgres else ""
    new = MailspoolUnderTest(tmp_path / "new", database_url=url)
    try:
        before = sorted(old.mailspool.rows(_STATES))
        old.mailspool.manage("backup", str(tmp_path / "backups"), "--quiet")
        new.home.mkdir(parents=True, exist_ok=True)
        new.manage("restore", str(tmp_path / "backups"), "--quiet")
        assert sorted(new.rows(_STATES)) == before
        # A command on other tables than its own says so.
        assert json.loads(new.manage("spool", "doctor", "--json", check=False).stdout) == []
        assert new.run("from base import schema; print(schema.examine().fault)").strip() == ""
    finally:
        new.kill()
        old.remove()
